"""Counts of each split for the data card, accumulated block by block."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from ste.config import DataSettings
from ste.data.splits import check_splits, usable_periods
from ste.errors import DataError
from ste.market.calendar import periods
from ste.schema import CLASS_NAMES, DIRECTION, SPLITS


class SplitSummary:
    """Counts rows, days, tickers and classes of each split.

    Args:
        settings: of the table.
    """

    def __init__(self, settings: DataSettings) -> None:
        self.settings = settings
        self._days: list[Counter[int]] = [Counter() for _ in SPLITS]
        self._tickers = [0] * len(SPLITS)
        self._classes = np.zeros((len(SPLITS), len(CLASS_NAMES)), dtype=np.int64)

    def add(self, rows: pd.DataFrame, split: np.ndarray) -> None:
        """Count rows of a table.

        Args:
            rows: all rows of some tickers.
            split: of each row, `[N]`.
        """
        days = rows["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
        directions = rows[DIRECTION].to_numpy()
        for code in range(len(SPLITS)):
            own = split == code
            if not own.any():
                continue
            first = days[own].min()
            counts = np.bincount(days[own] - first)
            present = np.flatnonzero(counts)
            self._days[code].update(dict(zip((present + first).tolist(), counts[present].tolist(), strict=True)))
            self._tickers[code] += rows["ticker"][own].nunique()
            self._classes[code] += np.bincount(directions[own], minlength=len(CLASS_NAMES))

    @property
    def counts(self) -> np.ndarray:
        """Rows of each split, int64."""
        return np.array([days.total() for days in self._days])

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last date."""
        days = [day for known in self._days for day in known]
        return _date(min(days)), _date(max(days))

    def check(self) -> None:
        """Raise `DataError` where a required split has no rows, or training has no usable row."""
        check_splits(self.counts, self.settings.split, *self.span)
        if self.counts[0] == self._purged()[0]:
            raise DataError("data.split: no training row is left after the purge. Give the table more rows.")

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return the data card's figures of each split that has rows."""
        purged = self._purged()
        return {
            name: {
                "rows": days.total(),
                "purged": int(purged[code]),
                "first": f"{_date(min(days)):%Y-%m-%d}",
                "last": f"{_date(max(days)):%Y-%m-%d}",
                "periods": len(days),
                "tickers": self._tickers[code],
                "classes": dict(zip(CLASS_NAMES, self._classes[code].tolist(), strict=True)),
            }
            for code, (name, days) in enumerate(zip(SPLITS, self._days, strict=True))
            if days
        }

    def _purged(self) -> np.ndarray:
        """Return the number of purged rows of each split, int64."""
        codes = np.repeat(np.arange(len(SPLITS)), [len(days) for days in self._days])
        days = np.array([day for known in self._days for day in known], dtype="datetime64[D]")
        rows = np.array([count for known in self._days for count in known.values()], dtype=np.int64)
        purge = self.settings.split.purged_periods(self.settings.labels.horizon)
        purged = ~usable_periods(periods(days, self.settings.frequency), codes, purge)
        return np.bincount(codes[purged], weights=rows[purged], minlength=len(SPLITS)).astype(np.int64)


def _date(day: int) -> pd.Timestamp:
    return pd.Timestamp(day, unit="D")
