"""Columns of a row store that no net reads: dates, tickers, splits, returns, trends, volatility.

N rows, sorted by ticker and date; n chosen rows; K volatilities.
"""

from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from ste.features.volatility import trailing_volatility
from ste.schema import DIRECTION, RETURN


class Columns(Protocol):
    """Columns of a table in memory, or mapped from disk."""

    @property
    def tickers(self) -> np.ndarray:
        """Ticker names, sorted."""

    @property
    def ticker(self) -> np.ndarray:
        """Index into `tickers`, integers `[N]`."""

    @property
    def day(self) -> np.ndarray:
        """Days since 1970-01-01, integers `[N]`."""

    @property
    def split(self) -> np.ndarray:
        """Index into `schema.SPLITS` of the row's file, int8 `[N]`."""

    @property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[N]`."""

    @property
    def directions(self) -> np.ndarray:
        """Trend of the table's own label, integers `[N]`."""

    def dates(self, rows: np.ndarray) -> np.ndarray:
        """Return the dates of rows `[n]`, datetime64 `[n]`."""

    def volatility(self, rows: np.ndarray) -> np.ndarray:
        """Return the trailing volatilities of rows `[n]`, float64 `[n, K]`; see `volatility.trailing_volatility`."""

    def release(self) -> None:
        """Free memory that can be read again from disk."""


class FrameColumns:
    """`Columns` of a table in memory.

    Args:
        frame: every row and column, sorted by ticker and date.
        ticker: index of each row's ticker, integers `[N]`.
        tickers: ticker names, sorted.
    """

    def __init__(self, frame: pd.DataFrame, ticker: np.ndarray, tickers: np.ndarray) -> None:
        self.frame, self.ticker, self.tickers = frame, ticker, tickers

    @cached_property
    def day(self) -> np.ndarray:
        """Days since 1970-01-01, int64 `[N]`."""
        return self._column("date").astype("datetime64[D]").astype(np.int64)

    @property
    def split(self) -> np.ndarray:
        """Index into `schema.SPLITS`, int8 `[N]`."""
        return self._column("split").astype(np.int8, copy=False)

    @cached_property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[N]`."""
        return self._column(RETURN).astype(np.float64, copy=False)

    @cached_property
    def directions(self) -> np.ndarray:
        """Trend, int64 `[N]`."""
        return self._column(DIRECTION).astype(np.int64, copy=False)

    def first_rows(self, split: int, count: int) -> pd.DataFrame:
        """Return the first rows of a split, as the table has them."""
        rows = self.frame[(self.frame["split"] == split).to_numpy()]
        return rows.iloc[:count].drop(columns="split")

    def dates(self, rows: np.ndarray) -> np.ndarray:
        """Return the dates of rows `[n]`, datetime64 `[n]` in the table's own unit."""
        return self._column("date")[rows]

    def volatility(self, rows: np.ndarray) -> np.ndarray:
        """Return trailing volatilities float64 `[n, K]`, computed once for all rows."""
        return self._volatility[rows]

    def release(self) -> None:
        """Do nothing: the rows are in memory only."""

    @cached_property
    def _volatility(self) -> np.ndarray:
        return trailing_volatility(self.frame)

    def _column(self, name: str) -> np.ndarray:
        return self.frame[name].to_numpy()
