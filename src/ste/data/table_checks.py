"""Checks of a labelled table that involve several columns, for single files, parts and tables being built."""

import numpy as np
import pandas as pd

from ste.data.columns import Violation, check_keyed, find_repeats, find_violations, numeric_columns, violation
from ste.data.table_labels import THREE_TRENDS, TableLabels
from ste.errors import DataError
from ste.market.calendar import Periods
from ste.schema import DIRECTION, HISTORY_ONLY, LABEL_END, MOVEMENT, RETURN, ROW_CLOSE, Column, FeatureSet

HISTORY_ONLY_COLUMN = Column(HISTORY_ONLY, "whether the row is neither trained on nor scored", 0.0, 1.0)


def check_built_table(table: pd.DataFrame, features: FeatureSet) -> None:
    """Raise `DataError` where features computed from daily sources break a column rule.

    Args:
        table: columns of `schema.table_columns`.
        features: its feature set.
    """
    values = {str(name): table[name].to_numpy() for name in table}
    violations = find_violations(values, numeric_columns(features, values))
    check_keyed(violations, lambda _: "data", table, "Fix the ticker's bars, or exclude it with data.tickers=[…].")


def find_target_violations(
    table: pd.DataFrame, periods: Periods, features: FeatureSet, labels: TableLabels = THREE_TRENDS
) -> list[Violation]:
    """Check trends, ends, marks of history, the movement against return and close, and one row per ticker and period.

    Args:
        table: typed columns of a table.
        periods: of the rows.
        features: of the table.
        labels: of the table; default: three trends.
    """
    trends = table[DIRECTION].to_numpy()
    out = violation(~np.isin(trends, np.arange(labels.trend_count)), DIRECTION, trends, labels.trends)
    if LABEL_END in table:
        ahead = periods.index(table[LABEL_END]) - periods.index(table["date"])
        span = f"1 to {labels.horizon} {periods.word}s after the row's date, as data.labels.horizon={labels.horizon}"
        far = int(ahead.max(initial=0))
        more = f" (or try data.labels.horizon={far}, which also decides the purge)" if far > labels.horizon else ""
        wrong = (ahead < 1) | (ahead > labels.horizon)
        out += violation(wrong, LABEL_END, table[LABEL_END].to_numpy(), span + more)
    own = features.period_bar()[ROW_CLOSE]
    if own in table:
        close, movement = table[own].to_numpy(), table[MOVEMENT].to_numpy()
        off = np.abs(movement - table[RETURN].to_numpy() * close) > 1e-4 * close
        out += violation(off, MOVEMENT, movement, f"{RETURN} x {own}")
    if HISTORY_ONLY in table:
        marks = table[HISTORY_ONLY].to_numpy()
        out += violation(~np.isin(marks, [0, 1]), HISTORY_ONLY, marks, "1 (neither trained on nor scored) or 0")
    keys = {"period": periods.index(table["date"]), "ticker": table["ticker"].to_numpy()}
    return out + find_repeats(keys, "date", table["date"], f"one row per ticker and {periods.word}")


class ClassOrder:
    """Checks that every Downtrend's return lies below every Uptrend's, over one or more tables.

    Args:
        labels: of the tables; those of methods that cut each date by itself are not ordered.
    """

    def __init__(self, labels: TableLabels = THREE_TRENDS) -> None:
        self._ordered, self._neutral = labels.ordered, labels.trend_count // 2
        self._down: tuple[float, str] = (-np.inf, "")
        self._up: tuple[float, str] = (np.inf, "")

    def add(self, table: pd.DataFrame) -> None:
        """Take the rows of a table into account."""
        returns, trends = table[RETURN].to_numpy(), table[DIRECTION].to_numpy()
        down = np.where(trends < self._neutral, returns, -np.inf)
        up = np.where(trends > self._neutral, returns, np.inf)
        if len(table) and down.max() > self._down[0]:
            self._down = down.max(), _row(table, int(down.argmax()))
        if len(table) and up.min() < self._up[0]:
            self._up = up.min(), _row(table, int(up.argmin()))

    def check(self, where: object) -> None:
        """Raise `DataError` where a Downtrend's return lies above an Uptrend's."""
        (down, falling), (up, rising) = self._down, self._up
        if self._ordered and down > up:
            raise DataError(
                f"{where}: {DIRECTION} contradicts {RETURN}: {falling} is a Downtrend with {down:+.4f}, {rising} an "
                f"Uptrend with {up:+.4f}. Expected every Downtrend's return below every Uptrend's."
            )


def _row(table: pd.DataFrame, row: int) -> str:
    return f"{table['ticker'].iloc[row]} on {table['date'].iloc[row]:%Y-%m-%d}"
