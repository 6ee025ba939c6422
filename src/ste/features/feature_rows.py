"""Compute the feature rows of a table from daily sources, with past data only.

This is the one engine for tables, bulk prediction, the service and the live pipeline: it evaluates the expressions of a
feature set (`ste.expressions`) on the bars of each history.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.expressions.evaluator import BarPeriods, Evaluator
from ste.expressions.expression import Expression, lookback, parse
from ste.features.bar_fields import PERIOD_FIELDS, Fields, check_fields
from ste.market.calendar import Periods
from ste.market.histories import history_starts
from ste.market.sources import Market
from ste.registry import FEATURE_FUNCTIONS
from ste.schema import PERIOD_BAR, ROW_PERIOD, ROW_VOLATILITY, FeatureSet

_VOLATILITY = "TA.STDDEV(Log($close) - Ref(Log($close), 1), 20)"
_VOLATILITY_BARS = 21


def expressions(features: FeatureSet) -> tuple[Expression, ...]:
    """Return the parsed expression of each column that has one, with the functions that are registered now."""
    return _expressions(features, FEATURE_FUNCTIONS.changes)


@cache
def _expressions(features: FeatureSet, changes: int) -> tuple[Expression, ...]:
    return tuple(parse(column.expr, column.name) for column in features.columns if column.expr)


def needed_fields(features: FeatureSet) -> frozenset[str]:
    """Return the names of the fields `$NAME` that the set reads; empty for a set of a ready table's columns."""
    return frozenset().union(*(one.fields for one in expressions(features)))


def own_functions(features: FeatureSet) -> frozenset[str]:
    """Return the names of the user's functions that the set calls."""
    return frozenset().union(*(one.functions for one in expressions(features)))


def is_cross_sectional(features: FeatureSet) -> bool:
    """Return whether a row depends on the other tickers of its date."""
    return any(one.cross_sectional for one in expressions(features))


def look_back(features: FeatureSet, bars_per_period: int) -> int:
    """Return how many bars of a ticker a row needs, those of its own period included.

    Args:
        features: computed from bars.
        bars_per_period: most bars of a ticker in a period.
    """
    return _look_back(features, bars_per_period, FEATURE_FUNCTIONS.changes)


@cache
def _look_back(features: FeatureSet, bars_per_period: int, changes: int) -> int:
    needs = [lookback(one, bars_per_period, PERIOD_FIELDS) for one in expressions(features)]
    finite = max(bars for bars, _ in needs)
    recursive = max(bars for _, bars in needs)
    return max(finite, features.lookback or recursive, _VOLATILITY_BARS)


def feature_rows(
    market: Market,
    frequency: str,
    features: FeatureSet,
    ends: np.datetime64 | None = None,
    *,
    with_undefined: bool = False,
) -> pd.DataFrame:
    """Compute the feature rows of every ticker and period, without labels.

    Args:
        market: daily sources; bars sorted by ticker and date.
        frequency: `weekly`, `daily` or `monthly`: the period of a row.
        features: the set, with an expression for each column.
        with_undefined: also return the rows that have no value of some feature, with NaN or infinity there.
        ends: a session that counts as the last one of its period; no bar is later. None: the calendar decides.

    Returns:
        `date`, `ticker`, the features, `period` (index of the week, session or month), the columns of
        `schema.PERIOD_BAR` (adjusted, dollars) and `volatility` (standard deviation of 20 log returns from bar to bar,
        times the root of the bars in a period), sorted by ticker and date. A row exists where the ticker traded on the
        period's last session, has the feature set's look-back of bars by then, all of its present history
        (`market.histories`), and a value of every feature; what the last rule leaves out is counted in
        `market.summary`.

    Raises:
        ConfigError: an expression names a field that the market does not have.
    """
    if not features.from_bars:
        missing = [column.name for column in features.columns if not column.expr]
        raise DataError(
            f"features={features.name}: {', '.join(missing[:4])} has no expr, so it cannot be computed from bars. "
            "Give it one, or a ready table that has the column (data=csv)."
        )
    for one in expressions(features):
        check_fields(one.where, one.fields, market.extra)
    bars = market.bars
    periods = market.periods(frequency)
    period = periods.index(bars["date"])
    # One segment per history and period; a segment's last bar carries the row.
    starts = history_starts(bars)
    first_of_period = np.append(True, np.diff(period) != 0)
    first_of_period[starts] = True
    first = np.flatnonzero(first_of_period)
    last = np.append(first[1:], len(bars)) - 1
    age = last - np.repeat(starts, np.diff(np.append(np.searchsorted(first, starts), len(first)))) + 1
    dates = bars["date"].to_numpy()[last]
    complete = age >= look_back(features, market.bars_per_period(frequency))
    if frequency != "daily":
        complete &= (dates == periods.last_sessions(dates).to_numpy()) | (dates == ends)
    evaluator = _evaluator(market, periods, period, starts, first, last)
    at = np.flatnonzero(complete)
    values = _columns(evaluator, features, at)
    if not with_undefined:
        defined = _defined(market, values, features.names, last[at])
        if not defined.all():
            at, values = at[defined], values[:, defined]
    rows = bars[["date", "ticker"]].iloc[last[at]].reset_index(drop=True)
    others: dict[str, Any] = {ROW_PERIOD: period[last[at]]}
    others |= {bar.name: evaluator.values(parse(bar.expr))[at] for bar in PERIOD_BAR}
    root = np.sqrt(market.bars_per_period(frequency))
    others[ROW_VOLATILITY] = evaluator.values(parse(_VOLATILITY))[at] * root
    # One block of features: a frame of separate columns takes more time and memory in every later step.
    table = pd.DataFrame(values.T, columns=list(features.names), copy=False)
    return pd.concat([rows, table, pd.DataFrame(others)], axis=1)


def _evaluator(
    market: Market, periods: Periods, period: np.ndarray, starts: np.ndarray, first: np.ndarray, last: np.ndarray
) -> Evaluator:
    day = market.bars["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    return Evaluator(BarPeriods(day, starts, first, last, Fields(market, periods, period, last)))


def _columns(evaluator: Evaluator, features: FeatureSet, at: np.ndarray) -> np.ndarray:
    """Evaluate the columns at some periods, float64 `[F, R]`; an undefined value is the column's `fill`."""
    out = np.empty((len(features.columns), len(at)))
    for own, column, values in zip(out, features.columns, evaluator.table(expressions(features)), strict=True):
        np.take(values, at, out=own)
        if column.fill is not None:
            own[~np.isfinite(own)] = column.fill
    return out


def _defined(market: Market, values: np.ndarray, names: Sequence[str], last: np.ndarray) -> np.ndarray:
    """Return which rows have a value of every feature, bool `[R]`; count the others by their first missing one.

    Args:
        market: for its summary.
        values: float64 `[F, R]`.
        names: of the features.
        last: bar of each row.
    """
    defined = np.ones(len(last), dtype=bool)
    for name, own in zip(names, values, strict=True):
        finite = np.isfinite(own)
        if not finite.all():
            _count_undefined(market, name, ~finite & defined, last)
            defined &= finite
    return defined


def _count_undefined(market: Market, name: str, rows: np.ndarray, last: np.ndarray) -> None:
    if rows.any():
        at = last[rows]
        market.summary.count(
            market.summary.undefined, market.bars.iloc[at], np.ones(len(at), dtype=bool), f"without a value of {name}"
        )
