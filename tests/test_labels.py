"""Targets: what the weeks after a row's close brought, and which class that is."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_sets import WEEKLY21
from ste.config import LabelSettings, SplitSettings, SyntheticSettings
from ste.data.build.labelled_rows import build_table
from ste.data.splits import assign_splits, usable_rows
from ste.features.feature_rows import feature_rows
from ste.labels.label_method import AllRows, label_method
from ste.labels.targets import future_returns
from ste.labels.thresholds import directions
from ste.market.calendar import WEEKS
from ste.schema import DIRECTION, MOVEMENT, RETURN, ROW_CLOSE, ROW_PERIOD, ROW_VOLATILITY
from ste.synthetic.generator import generate_market

MONDAY_OF_WEEK_0 = pd.Timestamp("1969-12-29")


def rows_of(weeks: dict[str, list[int]], closes: dict[str, list[float]] | None = None) -> pd.DataFrame:
    """Feature rows of tickers in the given weeks, as far as labels read them."""
    parts = []
    for ticker, numbers in weeks.items():
        values = closes[ticker] if closes else [100.0 + 7.0 * n + 3.0 * (n % 5) for n in range(len(numbers))]
        dates = MONDAY_OF_WEEK_0 + pd.to_timedelta(7 * np.array(numbers) + 4, unit="D")
        parts.append(pd.DataFrame({"date": dates, "ticker": ticker, ROW_CLOSE: values}))
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(**{ROW_PERIOD: WEEKS.index(rows["date"]), ROW_VOLATILITY: 0.02})


def test_return_and_movement_are_next_weeks_over_this_ones() -> None:
    rows = future_returns(rows_of({"A": [2800, 2801, 2802]}, {"A": [100.0, 110.0, 99.0]}), horizon=1)
    np.testing.assert_allclose(rows[RETURN], [0.1, -0.1])
    np.testing.assert_allclose(rows[MOVEMENT], [10.0, -11.0])


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_the_horizon_counts_weeks_and_the_last_rows_are_dropped_never_filled(horizon: int) -> None:
    rows = rows_of({"A": list(range(2800, 2810)), "B": list(range(2803, 2813))})
    labelled = future_returns(rows, horizon)
    assert len(labelled) == len(rows) - 2 * horizon
    assert not labelled[[RETURN, MOVEMENT]].isna().any(axis=None)
    for ticker, last in (("A", 2809), ("B", 2812)):
        own = labelled[labelled["ticker"] == ticker]
        assert own[ROW_PERIOD].max() == last - horizon
        closes = rows[rows["ticker"] == ticker].set_index(ROW_PERIOD)[ROW_CLOSE]
        later, now = closes.loc[own[ROW_PERIOD] + horizon].to_numpy(), own[ROW_CLOSE].to_numpy()
        np.testing.assert_allclose(own[RETURN], later / now - 1.0)
        np.testing.assert_allclose(own[MOVEMENT], later - now)


def test_a_gap_in_the_weeks_gives_no_label_across_it() -> None:
    rows = rows_of({"A": [2800, 2801, 2803, 2804]})
    assert future_returns(rows, 1)[ROW_PERIOD].tolist() == [2800, 2803]
    assert future_returns(rows, 2)[ROW_PERIOD].tolist() == [2801]
    assert future_returns(rows, 5).empty


def test_a_ticker_never_takes_its_label_from_the_next_one() -> None:
    rows = rows_of({"A": [2800, 2801], "B": [2802, 2803]})
    assert future_returns(rows, 1)[ROW_PERIOD].tolist() == [2800, 2802]


@settings(max_examples=80)
@given(
    weeks=st.dictionaries(
        st.sampled_from("ABCDE"), st.sets(st.integers(-300, 300), min_size=1, max_size=40), min_size=1, max_size=4
    ),
    horizon=st.integers(1, 60),
)
def test_labels_join_exactly_the_rows_that_lie_the_horizon_apart(weeks: dict[str, set[int]], horizon: int) -> None:
    """Any gaps, any tickers, weeks before 1970 (negative numbers) too; 13 weeks without a row start a new history."""
    rows = rows_of({ticker: sorted(weeks[ticker]) for ticker in sorted(weeks)})
    close = {
        (ticker, week): value for ticker, week, value in rows[["ticker", ROW_PERIOD, ROW_CLOSE]].itertuples(index=False)
    }

    def one_history(ticker: str, first: int, last: int) -> bool:
        between = [week for week in sorted(weeks[ticker]) if first <= week <= last]
        return all(after - before < 13 for before, after in pairwise(between))

    expected = {
        (ticker, week): close[ticker, week + horizon] - value
        for (ticker, week), value in close.items()
        if (ticker, week + horizon) in close and one_history(ticker, week, week + horizon)
    }
    labelled = future_returns(rows, horizon)
    found = dict(zip(zip(labelled["ticker"], labelled[ROW_PERIOD], strict=True), labelled[MOVEMENT], strict=True))
    assert found == expected


def test_no_rows_give_no_labels() -> None:
    empty = rows_of({"A": [2800]}).iloc[:0]
    assert future_returns(empty, 1).empty


@pytest.mark.parametrize(("start", "end"), [("1962-01-01", "1963-12-31"), ("1969-06-01", "1970-12-31")])
def test_a_world_before_1970_has_weeks_and_labels_like_any_other(start: str, end: str) -> None:
    settings = SyntheticSettings(source="world", tickers=2, start=start, end=end)
    rows = feature_rows(generate_market(settings), "weekly", WEEKLY21)
    assert rows[ROW_PERIOD].min() < 0
    assert len(future_returns(rows, 1)) == len(rows) - 2
    table, *_ = build_table(settings)
    assert len(table) > 100
    weeks = WEEKS.index(table.loc[table["ticker"] == "AAPL", "date"])
    assert (np.diff(weeks) == 1).all()


# --- classes ---


def test_a_class_needs_more_than_its_threshold() -> None:
    returns = np.array([-0.5, -0.0101, -0.01, 0.0, 0.01, 0.0101, 3.0])
    low, high = np.full(7, -0.01), np.full(7, 0.01)
    assert directions(returns, low, high).tolist() == [0, 0, 1, 1, 1, 2, 2]


def labelled_rows(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Rows with known returns and volatilities."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({RETURN: rng.normal(0.002, 0.03, n), ROW_VOLATILITY: rng.uniform(0.01, 0.08, n)})


def trends_of(rows: pd.DataFrame, settings: LabelSettings, training: np.ndarray | None = None) -> np.ndarray:
    """Trends by a method that reads returns, volatilities and which rows are trained on."""
    method, none = label_method(settings), np.zeros(len(rows), dtype=np.int64)
    every = np.ones(len(rows), dtype=bool)
    returns = rows[RETURN].to_numpy()
    fitted = method.fit(AllRows(none, none, returns, every, every if training is None else training))
    return method.trends(returns, none, rows[ROW_VOLATILITY].to_numpy(), fitted)[1]


def test_fixed_thresholds_are_plus_and_minus_the_setting() -> None:
    rows = labelled_rows()
    classes = trends_of(rows, LabelSettings(method="fixed", threshold=0.025))
    assert (classes[rows[RETURN] > 0.025] == 2).all()
    assert (classes[rows[RETURN] < -0.025] == 0).all()
    assert (classes[rows[RETURN].abs() <= 0.025] == 1).all()
    assert set(classes.tolist()) == {0, 1, 2}


def test_volatility_thresholds_scale_with_each_rows_own_trailing_volatility() -> None:
    rows = labelled_rows()
    method = label_method(LabelSettings(method="volatility", threshold=0.5))
    low, high = method.edges(rows[ROW_VOLATILITY].to_numpy(), None)
    np.testing.assert_array_equal(high, 0.5 * rows[ROW_VOLATILITY])
    np.testing.assert_array_equal(low, -high)


def test_terciles_are_those_of_the_training_rows() -> None:
    rows = labelled_rows(600)
    training = np.arange(600) < 300
    classes = trends_of(rows, LabelSettings(method="terciles"), training)
    assert np.bincount(classes[training]).tolist() == [100, 100, 100]


def test_terciles_know_nothing_of_the_other_rows() -> None:
    rows = labelled_rows(600)
    training = np.arange(600) < 300
    other = rows.assign(**{RETURN: np.where(training, rows[RETURN], rows[RETURN] * 100.0 + 5.0)})
    settings = LabelSettings(method="terciles", classes=5)
    found = [trends_of(each, settings, training)[training] for each in (rows, other)]
    np.testing.assert_array_equal(*found)


def terciles_world(horizon: int) -> SyntheticSettings:
    return SyntheticSettings(
        source="world",
        tickers=3,
        start="2018-01-01",
        end="2020-12-31",
        labels=LabelSettings(method="terciles", horizon=horizon),
        split=SplitSettings(validation_start="2019-07-01", test_start="2020-03-01"),
    )


@pytest.mark.parametrize("horizon", [1, 4])
def test_a_tables_terciles_leave_out_the_purged_rows_too(horizon: int) -> None:
    """A purged training row's return lies in the validation weeks: it may not place a threshold."""
    settings = terciles_world(horizon)
    table, split, _, _ = build_table(settings)
    np.testing.assert_array_equal(split, assign_splits(table["date"], settings.split))
    trained_on = (split == 0) & usable_rows(table["date"], split, settings.split.purged_periods(horizon))
    assert 0 < trained_on.sum() < (split == 0).sum()
    counts = np.bincount(table.loc[trained_on, DIRECTION])
    assert counts.sum() == trained_on.sum()
    assert np.ptp(counts) <= 1
    low, high = np.quantile(table.loc[trained_on, RETURN], [1 / 3, 2 / 3])
    np.testing.assert_array_equal(table[DIRECTION], directions(table[RETURN].to_numpy(), low, high))


@pytest.mark.parametrize(("method", "threshold"), [("fixed", 0.01), ("volatility", 0.5), ("terciles", 0.01)])
def test_a_tables_targets_agree_with_its_own_closes(method: str, threshold: float) -> None:
    labels = LabelSettings(horizon=2, method=method, threshold=threshold)
    settings = SyntheticSettings(source="world", tickers=2, start="2020-01-01", end="2020-12-31", labels=labels)
    table, *_ = build_table(settings)
    assert len(table) > 90
    for _, own in table.groupby("ticker"):
        now, later = own["stock_close"].to_numpy()[:-2], own["stock_close"].to_numpy()[2:]
        np.testing.assert_allclose(own[RETURN].to_numpy()[:-2], later / now - 1.0, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(own[MOVEMENT].to_numpy()[:-2], later - now, rtol=1e-9, atol=1e-9)
    assert set(table[DIRECTION]) == {0, 1, 2}
