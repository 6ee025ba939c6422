"""Counts of each split for the data card, accumulated block by block."""

from typing import Any

import numpy as np
import pandas as pd

from ste.config import DataSettings
from ste.data.history_only import history_only_rows
from ste.data.splits import check_splits, label_reach, usable_periods
from ste.errors import DataError
from ste.schema import DIRECTION, SPLITS, trend_names


class SplitSummary:
    """Counts rows, days, tickers and classes of each split.

    Args:
        settings: of the table.
    """

    def __init__(self, settings: DataSettings) -> None:
        self.settings = settings
        self._rows = pd.Series(dtype=np.int64)  # by split, day, trend and whether history only
        self._tickers = np.zeros(len(SPLITS), dtype=np.int64)

    def add(self, rows: pd.DataFrame, split: np.ndarray) -> None:
        """Count rows of a table.

        Args:
            rows: all rows of some tickers.
            split: of each row, `[N]`.
        """
        cells = {
            "split": split,
            "day": rows["date"].to_numpy(),
            "trend": rows[DIRECTION].to_numpy(),
            "history": history_only_rows(rows),
        }
        periods = self.settings.periods
        reach = label_reach(rows, periods.index(rows["date"]), self.settings.split, periods)
        if reach is not None:
            cells["reach"] = reach
        counts = pd.DataFrame(cells).value_counts()
        known = [self._rows, counts] if len(self._rows) else [counts]
        self._rows = pd.concat(known).groupby(level=list(cells)).sum()
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
        purged, history = self._left_out()
        check_training(int(counts[0] - purged[0] - history[0]), int(history[0]))

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return the data card's figures of each split that has rows."""
        purged, history = self._left_out()
        out = {}
        for code in self._rows.index.unique(level="split").tolist():
            own = self._rows.loc[code]
            days = own.index.get_level_values("day")
            names = trend_names(self.settings.labels.classes)
            classes = own.groupby(level="trend").sum().reindex(range(len(names)), fill_value=0)
            out[SPLITS[code]] = {
                "rows": int(own.sum()),
                "purged": int(purged[code]),
                **({"history_only": int(history[code])} if history[code] else {}),
                "first": f"{days.min():%Y-%m-%d}",
                "last": f"{days.max():%Y-%m-%d}",
                "periods": days.nunique(),
                "tickers": int(self._tickers[code]),
                "classes": dict(zip(names, classes.tolist(), strict=True)),
            }
        return out

    def _left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of each split's purged rows, and of the others that are history only, int64."""
        rows = self._rows.reset_index(name="rows")
        split = rows["split"].to_numpy()
        purge = self.settings.split.purged_periods(self.settings.labels.horizon)
        reach = rows["reach"].to_numpy() if "reach" in rows else None
        purged = ~usable_periods(self.settings.periods.index(rows["day"]), split, purge, reach)
        history = rows["history"].to_numpy(dtype=bool) & ~purged
        counts = (np.bincount(split[own], rows["rows"][own], len(SPLITS)).astype(np.int64) for own in (purged, history))
        return next(counts), next(counts)


def check_training(usable: int, history_only: int) -> None:
    """Raise `DataError` where no training row may be trained on.

    Args:
        usable: training rows that are neither purged nor history only.
        history_only: training rows that are not purged and history only.
    """
    if usable:
        return
    if history_only:
        raise DataError(
            f"data: all {history_only:,} training rows are history only: their tickers are not traded, or not in "
            "data.universe at the time. Try data.score_untraded=true, or check the file's tickers and dates."
        )
    raise DataError("data.split: no training row is left after the purge. Give the table more rows.")
