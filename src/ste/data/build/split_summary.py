"""Counts of each split for the data card, accumulated block by block."""

from typing import Any

import numpy as np
import pandas as pd

from ste.config import DataSettings
from ste.data.splits import check_splits, usable_periods
from ste.errors import DataError
from ste.schema import CLASS_NAMES, DIRECTION, SPLITS


class SplitSummary:
    """Counts rows, days, tickers and classes of each split.

    Args:
        settings: of the table.
    """

    def __init__(self, settings: DataSettings) -> None:
        self.settings = settings
        self._rows = pd.Series(dtype=np.int64)  # by split, day and trend
        self._tickers = np.zeros(len(SPLITS), dtype=np.int64)

    def add(self, rows: pd.DataFrame, split: np.ndarray) -> None:
        """Count rows of a table.

        Args:
            rows: all rows of some tickers.
            split: of each row, `[N]`.
        """
        cells = {"split": split, "day": rows["date"].to_numpy(), "trend": rows[DIRECTION].to_numpy()}
        counts = pd.DataFrame(cells).value_counts()
        known = [self._rows, counts] if len(self._rows) else [counts]
        self._rows = pd.concat(known).groupby(level=["split", "day", "trend"]).sum()
        self._tickers += [rows["ticker"][split == code].nunique() for code in range(len(SPLITS))]

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last date."""
        days = self._rows.index.get_level_values("day")
        return days.min(), days.max()

    def check(self) -> None:
        """Raise `DataError` where a required split has no rows, or training has no usable row."""
        rows = self._rows.reset_index(name="rows")
        counts = np.bincount(rows["split"], weights=rows["rows"], minlength=len(SPLITS)).astype(np.int64)
        check_splits(counts, self.settings.split, *self.span)
        if counts[0] == self._purged()[0]:
            raise DataError("data.split: no training row is left after the purge. Give the table more rows.")

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return the data card's figures of each split that has rows."""
        purged = self._purged()
        out = {}
        for code in self._rows.index.unique(level="split").tolist():
            own = self._rows.loc[code]
            days = own.index.get_level_values("day")
            classes = own.groupby(level="trend").sum().reindex(range(len(CLASS_NAMES)), fill_value=0)
            out[SPLITS[code]] = {
                "rows": int(own.sum()),
                "purged": int(purged[code]),
                "first": f"{days.min():%Y-%m-%d}",
                "last": f"{days.max():%Y-%m-%d}",
                "periods": days.nunique(),
                "tickers": int(self._tickers[code]),
                "classes": dict(zip(CLASS_NAMES, classes.tolist(), strict=True)),
            }
        return out

    def _purged(self) -> np.ndarray:
        """Return the number of purged rows of each split, int64."""
        rows = self._rows.reset_index(name="rows")
        split = rows["split"].to_numpy()
        purge = self.settings.split.purged_periods(self.settings.labels.horizon)
        purged = ~usable_periods(self.settings.periods.index(rows["day"]), split, purge)
        return np.bincount(split[purged], weights=rows["rows"][purged], minlength=len(SPLITS)).astype(np.int64)
