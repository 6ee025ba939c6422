"""Which period belongs to which split, and which rows of a split may be learnt from or scored.

The purge follows Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 7: a row whose
label period reaches the next split stays in the table as history for later windows and counts in no
score. It is applied where tables are read, to every source alike.
"""

import numpy as np
import pandas as pd

from ste.config import SplitSettings
from ste.errors import DataError
from ste.market.calendar import periods
from ste.schema import SPLITS


def assign(dates: pd.Series, settings: SplitSettings, frequency: str = "weekly") -> np.ndarray:
    """Split of each row: 0 train, 1 validation, 2 test, int8 `[N]`.

    Args:
        dates: the rows' dates, sorted.
        settings: dates or fractions; fractions count periods, or rows with `by=row`.
        frequency: of the table.

    Raises:
        DataError: a split would be empty.
    """
    if settings.by == "row":
        split = np.digitize(np.arange(len(dates)), _cuts(len(dates), settings)).astype(np.int8)
    else:
        number = periods(dates, frequency)
        split = codes(dates.to_numpy(), number, starts(settings, np.unique(number)))
    check_splits(np.bincount(split, minlength=len(SPLITS)), settings, dates.min(), dates.max())
    return split


def by_shares(settings: SplitSettings) -> bool:
    """Whether the periods that a table has decide where its splits begin."""
    return settings.validation_start is None


def starts(settings: SplitSettings, known: np.ndarray) -> np.ndarray:
    """Where validation and test begin: datetime64 dates, or by shares the numbers of periods; at most 2.

    Args:
        settings: `by` date.
        known: numbers of all the table's periods, sorted; asked for by shares alone.
    """
    if by_shares(settings):
        return known[[cut for cut in _cuts(len(known), settings) if cut < len(known)]]
    dates = (settings.validation_start, settings.test_start)
    return np.array([date for date in dates if date is not None], dtype="datetime64[D]")


def codes(dates: np.ndarray, number: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Split of each row, int8 `[N]`.

    Args:
        dates: datetime64 `[N]`.
        number: of each row's period.
        begins: `starts`.
    """
    values = dates if begins.dtype.kind == "M" else number
    split = np.zeros(len(values), dtype=np.int8)
    for begin in begins:
        split += values >= begin
    return split


def check_splits(counts: np.ndarray, settings: SplitSettings, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Raise unless every split that `settings` asks for has rows.

    Args:
        counts: rows by split.
        settings: what is asked for.
        first: date of the table.
        last: date of the table.
    """
    for code, name in enumerate(SPLITS):
        wanted = name != "test" or settings.test_start is not None or _test_by_fraction(settings)
        if wanted and not counts[code]:
            raise DataError(
                f"data.split: no rows for {name} among {counts.sum()} from {first:%Y-%m-%d} to {last:%Y-%m-%d}. "
                "Move data.split.validation_start or data.split.test_start, or give the table more rows."
            )


def _test_by_fraction(settings: SplitSettings) -> bool:
    return by_shares(settings) and settings.shares()[1] > 0


def _cuts(n: int, settings: SplitSettings) -> tuple[int, int]:
    validation, test = settings.shares()
    first = int(n * (1.0 - validation - test) + 1e-9)
    second = n if test == 0 else int(n * (1.0 - test) + 1e-9)
    return first, second


def counted(dates: pd.Series, split: np.ndarray, gap: int, frequency: str = "weekly") -> np.ndarray:
    """Rows that may be learnt from or scored: all but each split's last `gap` periods before the next.

    Args:
        dates: the rows' dates.
        split: codes from `assign`.
        gap: periods, `SplitSettings.gap`.
        frequency: of the table.

    Returns:
        bool `[N]`. A row at period w counts if w + gap lies before the next split's first period.
    """
    return counted_periods(periods(dates, frequency), split, gap)


def counted_periods(number: np.ndarray, split: np.ndarray, gap: int) -> np.ndarray:
    """The same for rows whose periods' numbers `[N]` are known."""
    keep = np.ones(len(number), dtype=bool)
    if gap == 0:
        return keep
    for code in range(len(SPLITS) - 1):
        later = number[split > code]
        if len(later):
            keep &= (split != code) | (number + gap < later.min())
    return keep
