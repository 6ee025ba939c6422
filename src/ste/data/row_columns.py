"""Columns of a row store that no net reads: dates, tickers, splits, returns, trends, volatility.

N rows, sorted by ticker and date; n chosen rows; K volatilities.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from ste.data.history_only import history_only_rows
from ste.features.volatility import has_period_bar, trailing_volatility
from ste.schema import DIRECTION, RETURN, FeatureSet


@dataclass(frozen=True, eq=False)
class RowColumns:
    """Columns of a table in memory, or mapped from disk.

    Attributes:
        tickers: names, sorted.
        ticker: index into `tickers`, integers `[N]`.
        day: days since 1970-01-01, integers `[N]`.
        split: index into `schema.SPLITS` of the row's file, int8 `[N]`.
        returns: simple return over the label's horizon, float64 `[N]`.
        directions: trend of the table's own label, integers `[N]`.
        history_only: whether a row is neither trained on nor scored, bool `[N]`.
        volatility: from rows `[n]` to their trailing volatilities, float64 `[n, K]`; see
            `volatility.trailing_volatility`. None in a table without high, low and close.
        frame: every row and column of a table in memory.
        release: frees the memory of mapped features, which are read again on access.
    """

    tickers: np.ndarray
    ticker: np.ndarray
    day: np.ndarray
    split: np.ndarray
    returns: np.ndarray
    directions: np.ndarray
    history_only: np.ndarray
    volatility: Callable[[np.ndarray], np.ndarray] | None
    frame: pd.DataFrame | None = None
    release: Callable[[], None] = lambda: None

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, ticker: np.ndarray, tickers: np.ndarray, features: FeatureSet
    ) -> "RowColumns":
        """Take the columns of a table that is sorted by ticker and date; volatilities are computed on first use."""

        @cache
        def volatility() -> np.ndarray:
            return trailing_volatility(frame, features)

        return cls(
            tickers,
            ticker,
            frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64),
            frame["split"].to_numpy(np.int8) if "split" in frame else np.zeros(len(frame), dtype=np.int8),
            frame[RETURN].to_numpy(np.float64),
            frame[DIRECTION].to_numpy(np.int64),
            history_only_rows(frame),
            (lambda rows: volatility()[rows]) if has_period_bar(frame, features) else None,
            frame,
        )

    def dates(self, rows: np.ndarray) -> np.ndarray:
        """Return the dates of rows `[n]`, datetime64[ns] `[n]`."""
        return self.day[rows].astype("datetime64[D]").astype("datetime64[ns]")
