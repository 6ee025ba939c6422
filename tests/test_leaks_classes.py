"""One planted leak for each class of the checks of values, rows and labels; `studies.planted_leaks` plants them all."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from ste.config import SyntheticSettings
from ste.leakage.audit_table import SPLIT, AuditTable
from ste.leakage.check_result import CheckResult
from ste.leakage.encoded_labels import encoded_labels
from ste.leakage.filled_gaps import filled_gaps
from ste.leakage.fitted_values import fitted_values
from ste.leakage.group_means import group_means
from ste.leakage.joint_columns import joint_columns
from ste.leakage.label_thresholds import future_thresholds
from ste.leakage.near_copies import near_copies
from ste.leakage.odd_columns import odd_columns
from ste.leakage.overlaps import overlapping_splits
from ste.leakage.preprocessing import future_scalers
from ste.leakage.selected_rows import selected_rows
from ste.leakage.single_columns import measure
from ste.leakage.single_spans import single_spans
from ste.leakage.single_tickers import single_tickers
from ste.schema import DIRECTION, RETURN
from studies.planted_leaks import bases, columns, rows

Plant = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
Check = Callable[[AuditTable], CheckResult]

SMALL = SyntheticSettings(source="world", tickers=12, seed=4, start="2016-01-01", end="2019-12-31", audit="off")


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    """Twelve tickers, four years, signal 0.4; sorted by ticker and date."""
    return bases.rows_of(SMALL)


def tickers(table: AuditTable) -> CheckResult:
    return single_tickers(table, ())


def spans(table: AuditTable) -> CheckResult:
    return single_spans(table, tuple(measure(table)), ())


def joint(table: AuditTable) -> CheckResult:
    return joint_columns(table, ())


def places(result: CheckResult) -> list[str]:
    return [alarm.where for alarm in result.alarms]


CHECKS: Sequence[Check] = (
    *(tickers, spans, joint, encoded_labels, odd_columns, future_scalers, fitted_values, filled_gaps),
    *(group_means, future_thresholds, overlapping_splits, near_copies, selected_rows),
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_clean_table_raises_no_alarm(clean: pd.DataFrame, check: Check):
    result = check(AuditTable(clean))
    assert result.alarms == ()
    assert result.ran


PLANTS: list[tuple[Check, Plant, str | tuple[str, ...]]] = [
    (tickers, columns.one_ticker_early, "stock_rsi of "),
    (tickers, columns.turned, "my_signal of "),
    (spans, columns.last_half_year, "my_signal in "),
    (joint, columns.two_columns, "my_"),
    (joint, columns.product, "my_first and my_second"),
    (encoded_labels, columns.volume_modulo, "stock_volume"),
    (encoded_labels, columns.decimals, "my_ratio"),
    (odd_columns, columns.gaps, "my_gaps"),
    (odd_columns, columns.rating, "my_rating"),
    (odd_columns, columns.updated, "updated_at"),
    (odd_columns, columns.countdown, "my_countdown"),
    (future_scalers, rows.robust, "stock_macd"),
    (future_scalers, rows.drawdown, "my_drawdown"),
    (fitted_values, rows.detrended, "my_detrended"),
    (fitted_values, rows.mean_filled, "my_filled"),
    (fitted_values, rows.clipped, "stock_macd"),
    (fitted_values, rows.binned, "my_bin"),
    (fitted_values, rows.components, "my_pc"),
    (filled_gaps, rows.interpolated_macro, "macro_unemployment"),
    (filled_gaps, rows.back_filled, "stock_sma_20"),
    (group_means, rows.target_encoding, "my_code"),
    (group_means, rows.final_rank, "my_rank"),
    (future_thresholds, rows.deviations, DIRECTION),
    (future_thresholds, rows.own_deviations, DIRECTION),
    (near_copies, rows.noisy_copies, "train and test"),
    (selected_rows, rows.no_extremes, "rows"),
    (selected_rows, rows.no_neutral, ("rows", "test")),
    (selected_rows, rows.balanced, "test"),
]


@pytest.mark.parametrize(("check", "plant", "where"), PLANTS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_planted_leak_is_named_and_nothing_else(
    clean: pd.DataFrame, check: Check, plant: Plant, where: str | tuple[str, ...]
):
    found = places(check(AuditTable(plant(clean, np.random.default_rng(1)))))
    assert found
    assert all(place.startswith(where) for place in found)


@pytest.mark.parametrize("fitted", ["scaler", "clip", "bins", "thresholds", "code"])
def test_what_was_fitted_to_the_training_rows_is_no_alarm(clean: pd.DataFrame, fitted: str):
    train = clean[clean[SPLIT] == "train"]
    macd, early = clean["stock_macd"], train["stock_macd"]
    cut = 0.5 * train[RETURN].std()
    planted = {
        "scaler": {"stock_macd": (macd - early.median()) / (early.quantile(0.75) - early.quantile(0.25))},
        "clip": {"stock_macd": macd.clip(*early.quantile([0.01, 0.99]))},
        "bins": {"stock_macd": np.digitize(macd, early.quantile(np.linspace(0.1, 0.9, 9))).astype(float)},
        "thresholds": {DIRECTION: np.digitize(clean[RETURN], [-cut, cut])},
        "code": {"my_code": clean["ticker"].map(train.groupby("ticker")[RETURN].mean())},
    }[fitted]
    table = AuditTable(clean.assign(**planted))
    for check in (future_scalers, fitted_values, future_thresholds, group_means):
        assert places(check(table)) == []


def test_the_correlation_of_a_ticker_is_the_one_that_pandas_gives(clean: pd.DataFrame):
    leaky = columns.one_ticker_early(clean, np.random.default_rng(1))
    [alarm] = tickers(AuditTable(leaky)).alarms
    name = alarm.where.removeprefix("stock_rsi of ")
    one = leaky[leaky["ticker"] == name]
    change = one["stock_rsi"].diff()
    expected = {
        form: one[RETURN].corr(v, method="spearman") for form, v in (("itself", one["stock_rsi"]), ("its", change))
    }
    figure = float(alarm.seen.split("correlation of ")[1].split(" ")[0])
    assert figure == pytest.approx(max(expected.values()), abs=0.01)


def test_survivors_and_labels_that_reach_into_the_next_split_are_notes(clean: pd.DataFrame):
    [note] = selected_rows(AuditTable(clean)).notes
    assert "100% of 12 tickers live to the last week of 4.0 years" in note
    leaving = clean[(clean["ticker"] != clean["ticker"].iloc[0]) | (clean["date"] < "2018-01-01")]
    assert selected_rows(AuditTable(leaving)).notes == ()
    assert overlapping_splits(AuditTable(clean)).notes == ()
    reaching = overlapping_splits(AuditTable(clean, horizon=4)).notes
    assert "another program must (a purge of 4 weeks)" in reaching[0]


def test_the_same_outcomes_follow_from_the_rows_around_a_gap(clean: pd.DataFrame):
    """A missing row's return is computed from its neighbours: the study's rows are removed, and theirs are known."""
    from ste.leakage.selected_rows import _missing_outcomes

    gone = clean.groupby("ticker").cumcount() % 7 == 3
    gone &= clean.groupby("ticker").cumcount(ascending=False) > 2
    outcomes, _ = _missing_outcomes(AuditTable(clean[~gone]))
    np.testing.assert_allclose(np.sort(outcomes), np.sort(clean.loc[gone, RETURN]), atol=1e-9)
