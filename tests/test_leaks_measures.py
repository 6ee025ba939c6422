"""The measures under the leak checks, against scipy, pandas and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from scipy.stats.contingency import association
from sklearn.metrics import roc_auc_score

from ste.features.association import centred_ranks, difference, over_time, rank_ic
from ste.leakage.audit_table import AuditTable
from ste.leakage.encoded_labels import cramers_v
from ste.leakage.null_models import permuted_within
from ste.schema import DIRECTION, RETURN


def table_of(weeks: int, tickers: int, seed: int = 0, fraction: float = 1.0) -> AuditTable:
    """Random returns of a panel, some rows missing."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-01-03", periods=weeks, freq="7D")
    frame = pd.DataFrame(
        {
            "date": np.tile(dates, tickers),
            "ticker": np.repeat([f"T{i}" for i in range(tickers)], weeks),
            "x": rng.normal(size=weeks * tickers),
            RETURN: rng.normal(0, 0.03, weeks * tickers),
        }
    )
    frame[DIRECTION] = np.digitize(frame[RETURN], [-0.01, 0.01])
    frame["split"] = np.where(frame["date"] < dates[2 * weeks // 3], "train", "test")
    return AuditTable(frame[rng.random(len(frame)) < fraction])


def test_equal_weeks_give_the_mean_of_scipys_rank_correlations():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 8)
    x = rng.normal(size=240)
    y = x + rng.normal(size=240)
    weekly = [spearmanr(x[groups == g], y[groups == g]).statistic for g in range(30)]
    found = rank_ic(x, y, groups)
    assert found.value == pytest.approx(np.mean(weekly))
    np.testing.assert_allclose(found.series, weekly)
    assert found.error == pytest.approx(max(np.std(weekly), 1 / np.sqrt(7)) / np.sqrt(30))


def test_rows_without_an_outcome_are_left_out():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 9)
    x, y = rng.normal(size=(2, 180))
    y[groups < 3] = np.nan
    there = groups >= 3
    assert rank_ic(x, y, groups).value == pytest.approx(rank_ic(x[there], y[there], groups[there] - 3).value)


def test_an_ic_of_nothing_has_the_error_it_states():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 5)
    t = [rank_ic(*rng.normal(size=(2, 200)), groups).t for _ in range(300)]
    assert 0.8 < np.std(t) < 1.1
    assert abs(np.mean(t)) < 0.2


def test_over_time_is_the_rank_correlation_of_the_weeks_means():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(50), 4)
    x, y = rng.normal(size=(2, 200))
    means = [pd.Series(v).groupby(groups).mean() for v in (x, y)]
    assert over_time(x, y, groups).value == pytest.approx(spearmanr(*means).statistic)
    assert over_time(x[:40], y[:40], groups[:40]).value == 0.0  # 10 weeks say nothing


def test_a_difference_is_positive_where_the_first_is_stronger():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(60), 6)
    y = rng.normal(size=360)
    noise = rng.normal(size=360)
    for sign in (1, -1):
        gap = difference(rank_ic(sign * y, y, groups), rank_ic(sign * y, noise, groups))
        assert gap.value > 0.8
        assert gap.t > 10


def test_ranks_of_ties_and_gaps():
    ranks = centred_ranks(np.array([3.0, 1.0, 1.0, np.nan, 5.0]), np.array([0, 0, 0, 0, 1]))
    np.testing.assert_allclose(ranks, [1.0, -0.5, -0.5, np.nan, 0.0])


def test_cramers_v_is_scipys():
    rng = np.random.default_rng(6)
    first, second = rng.integers(0, 10, 500), rng.integers(0, 3, 500)
    second[first == 4] = 2
    seen = pd.crosstab(first, second).to_numpy()
    assert cramers_v(first, second)[0] == pytest.approx(association(seen, method="cramer"))
    assert cramers_v(np.zeros(5, dtype=int), np.arange(5)) == (0.0, 1.0)


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 9), st.integers(-4, 4))
def test_ahead_is_a_merge_on_ticker_and_week(weeks: int, tickers: int, seed: int, steps: int):
    table = table_of(weeks + 2, tickers, seed, fraction=0.7)
    if table.frame.empty:
        return
    rows = table.frame[["ticker", "x"]].assign(week=table.periods)
    later = rows.assign(week=rows["week"] - steps)
    merged = rows.merge(later, on=["ticker", "week"], how="left", suffixes=("", "_later"))
    np.testing.assert_array_equal(table.ahead(table.column("x"), steps), merged["x_later"].to_numpy())


@settings(max_examples=25)
@given(st.integers(2, 10), st.integers(1, 6), st.integers(0, 9))
def test_a_shuffle_keeps_every_weeks_returns_and_moves_them(weeks: int, tickers: int, seed: int):
    table = table_of(weeks, tickers, seed)
    moved = permuted_within(table, np.random.default_rng(seed))
    for week in np.unique(table.period_codes):
        own = table.period_codes == week
        np.testing.assert_array_equal(np.sort(moved[own]), np.sort(table.returns[own]))


def test_a_row_that_stands_twice_is_shuffled_once():
    once = table_of(20, 6).frame
    twice = AuditTable(pd.concat([once, once.assign(split="test")]))
    moved = pd.Series(permuted_within(twice, np.random.default_rng(0)))
    by_key = moved.groupby([twice.frame["ticker"], twice.frame["date"]])
    assert (by_key.nunique() == 1).all()
    assert not np.allclose(moved, twice.returns)


def test_the_area_of_a_label_is_sklearns():
    from ste.leakage.single_columns import _auc

    table = table_of(30, 5)
    moved = table.labels != 1
    expected = roc_auc_score(table.labels[moved] == 2, table.column("x")[moved])
    found = _auc(table, table.column("x"))
    assert found >= max(expected, 1 - expected) - 1e-12
    assert found < 0.65
