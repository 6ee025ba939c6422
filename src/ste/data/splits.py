"""Assign rows to splits, and mark the rows of a split that may be trained on or scored.

The purge follows Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 7: a row whose label period
reaches the next split stays in the table as history for later windows and is not used as an example. It is applied
when tables are read, to every source alike.
"""

import numpy as np
import pandas as pd

from ste.config import SplitSettings
from ste.errors import DataError
from ste.market.calendar import WEEKS, Periods
from ste.schema import LABEL_END, SPLITS


def assign_splits(dates: pd.Series, settings: SplitSettings, periods: Periods = WEEKS) -> np.ndarray:
    """Assign each row to a split: 0 train, 1 validation, 2 test, int8 `[N]`.

    Args:
        dates: the rows' dates, sorted.
        settings: dates or fractions; fractions count periods, or rows with `by=row`.
        periods: of the rows; default: weeks of New York.

    Raises:
        DataError: a split would be empty.
    """
    if settings.by == "row":
        split = np.digitize(np.arange(len(dates)), _cuts(len(dates), settings)).astype(np.int8)
    else:
        period = periods.index(dates)
        split = split_codes(dates.to_numpy(), period, split_starts(settings, np.unique(period)))
    check_splits(np.bincount(split, minlength=len(SPLITS)), settings, dates.min(), dates.max())
    return split


def by_fraction(settings: SplitSettings) -> bool:
    """Return whether fractions of the table's periods decide where its splits start."""
    return settings.validation_start is None


def split_starts(settings: SplitSettings, known: np.ndarray) -> np.ndarray:
    """Return where validation and test start: datetime64 dates, or period indices with fractions; at most 2.

    Args:
        settings: with `by=date`.
        known: period indices of the table, sorted and unique; used with fractions only.
    """
    if by_fraction(settings):
        return known[[cut for cut in _cuts(len(known), settings) if cut < len(known)]]
    dates = (settings.validation_start, settings.test_start)
    return np.array([date for date in dates if date is not None], dtype="datetime64[D]")


def split_codes(dates: np.ndarray, period: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the split of each row, int8 `[N]`.

    Args:
        dates: datetime64 `[N]`.
        period: period index `[N]`.
        starts: of `split_starts`.
    """
    values = dates if starts.dtype.kind == "M" else period
    split = np.zeros(len(values), dtype=np.int8)
    for start in starts:
        split += values >= start
    return split


def check_splits(counts: np.ndarray, settings: SplitSettings, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Raise `DataError` unless every split that `settings` asks for has rows.

    Args:
        counts: rows by split.
        settings: the required splits.
        first: first date of the table, for the message.
        last: last date of the table, for the message.
    """
    has_fraction = by_fraction(settings) and settings.fractions()[1] > 0
    for code, name in enumerate(SPLITS):
        wanted = name != "test" or settings.test_start is not None or has_fraction
        if wanted and not counts[code]:
            raise DataError(
                f"data.split: no rows for {name} among {counts.sum()} from {first:%Y-%m-%d} to {last:%Y-%m-%d}. "
                "Move data.split.validation_start or data.split.test_start, or give the table more rows."
            )


def _cuts(n: int, settings: SplitSettings) -> tuple[int, int]:
    validation, test = settings.fractions()
    first = int(n * (1.0 - validation - test) + 1e-9)
    second = n if test == 0 else int(n * (1.0 - test) + 1e-9)
    return first, second


def label_reach(
    table: pd.DataFrame, period: np.ndarray, settings: SplitSettings, periods: Periods = WEEKS
) -> np.ndarray | None:
    """Return the last period that each row's own label, purge and embargo cover, int64 `[N]`.

    Args:
        table: rows, of which `schema.LABEL_END` is read.
        period: index of each row's period `[N]`.
        settings: `purge`, which can only extend what the label covers, and `embargo`.
        periods: of the rows; default: weeks of New York.

    Returns:
        None for a table whose labels all end with the horizon: see `SplitSettings.purged_periods`.
    """
    return None if LABEL_END not in table else end_reach(periods.index(table[LABEL_END]), period, settings)


def end_reach(ends: np.ndarray, period: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Return `label_reach` of labels that end in these periods, int64 `[N]`."""
    return np.maximum(ends, period.astype(np.int64) + (settings.purge or 0)) + settings.embargo


def usable_rows(dates: pd.Series, split: np.ndarray, purge: int, periods: Periods = WEEKS) -> np.ndarray:
    """Mark the rows that may be trained on or scored: all but each split's last `purge` periods before the next.

    Args:
        dates: the rows' dates.
        split: of `assign_splits`.
        purge: periods, `SplitSettings.purged_periods`.
        periods: of the rows; default: weeks of New York.

    Returns:
        bool `[N]`. A row of period w is usable if w + purge lies before the next split's first period.
    """
    return usable_periods(periods.index(dates), split, purge)


def usable_periods(period: np.ndarray, split: np.ndarray, purge: int, reach: np.ndarray | None = None) -> np.ndarray:
    """Mark usable rows by their period index `[N]`, see `usable_rows`.

    Args:
        period: index of each row's period `[N]`.
        split: of `assign_splits`.
        purge: periods; 0 marks every row.
        reach: last period that each row covers (`label_reach`); None is `period` + `purge`.
    """
    usable = np.ones(len(period), dtype=bool)
    if purge == 0:
        return usable
    for code in range(len(SPLITS) - 1):
        later = period[split > code]
        if len(later):
            usable &= (split != code) | ((period + purge if reach is None else reach) < later.min())
    return usable
