"""Which period belongs to which split, and which rows of a split may be learnt from or scored.

The purge follows Lopez de Prado (2018), Advances in Financial Machine Learning, chapter 7: a row whose
label period reaches the next split stays in the table as history for later windows and counts in no
score. It is applied where tables are read, to every source alike.
"""

import numpy as np
import pandas as pd

from ste.data.calendar import periods
from ste.errors import DataError
from ste.schema import SPLITS
from ste.settings import SplitSettings


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
        first, second = _cuts(len(dates), settings)
        split = np.digitize(np.arange(len(dates)), [first, second])
    elif settings.validation_start is not None:
        days = dates.to_numpy()
        split = (days >= np.datetime64(settings.validation_start)).astype(np.int64)
        if settings.test_start is not None:
            split += days >= np.datetime64(settings.test_start)
    else:
        known, number = np.unique(periods(dates, frequency), return_inverse=True)
        first, second = _cuts(len(known), settings)
        split = np.digitize(number, [first, second])
    for code, name in enumerate(SPLITS):
        wanted = name != "test" or settings.test_start is not None or _test_by_fraction(settings)
        if wanted and not (split == code).any():
            raise DataError(
                f"data.split: no rows for {name} among {len(dates)} from {dates.min():%Y-%m-%d} to "
                f"{dates.max():%Y-%m-%d}. Move data.split.validation_start or data.split.test_start, "
                "or give the table more rows."
            )
    return split.astype(np.int8)


def _test_by_fraction(settings: SplitSettings) -> bool:
    return settings.validation_start is None and settings.shares()[1] > 0


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
