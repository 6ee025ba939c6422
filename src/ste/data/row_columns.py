"""What is known of a store's rows beside what a net reads: dates, tickers, returns, classes, volatility.

Shapes: N rows, sorted by ticker and date; n chosen ones; K volatilities.
"""

from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from ste.features.volatility import trailing_volatility
from ste.schema import DIRECTION, RETURN


class Columns(Protocol):
    """The columns of a table in memory, or mapped from disk."""

    @property
    def tickers(self) -> np.ndarray:
        """Names, in order."""

    @property
    def ticker(self) -> np.ndarray:
        """Index into `tickers`, integers `[N]`."""

    @property
    def day(self) -> np.ndarray:
        """Days since 1970-01-01, integers `[N]`."""

    @property
    def split(self) -> np.ndarray:
        """Code in `schema.SPLITS` of the file that a row comes from, int8 `[N]`."""

    @property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[N]`."""

    @property
    def directions(self) -> np.ndarray:
        """The table's own trend, integers `[N]`."""

    def dates(self, rows: np.ndarray) -> np.ndarray:
        """datetime64 `[n]` of rows `[n]`."""

    def volatility(self, rows: np.ndarray) -> np.ndarray:
        """Trailing volatilities of rows `[n]`, float64 `[n, K]`; see `volatility.trailing_volatility`."""

    def release(self) -> None:
        """Give back what memory can be filled again."""


class FrameColumns:
    """Of a table in memory.

    Args:
        frame: in any row order.
        ticker, tickers: codes of its rows in that order `[N]`, and names.
        order: that sorts it `[N]`; None where it is sorted.
    """

    def __init__(self, frame: pd.DataFrame, ticker: np.ndarray, tickers: np.ndarray, order: np.ndarray | None) -> None:
        self._frame, self._order = frame, order
        self.ticker = ticker if order is None else ticker[order]
        self.tickers = tickers

    @property
    def frame(self) -> pd.DataFrame:
        """Every row and column, sorted: put in order when it is first asked for."""
        if self._order is not None:
            self._frame, self._order = self._frame.take(self._order), None
            self._frame = self._frame.reset_index(drop=True)
        return self._frame

    def column(self, name: str) -> np.ndarray:
        """A column, sorted, `[N]`."""
        values = self._frame[name].to_numpy()
        return values if self._order is None else values[self._order]

    @cached_property
    def day(self) -> np.ndarray:
        """Days since 1970-01-01, int64 `[N]`."""
        return self.column("date").astype("datetime64[D]").astype(np.int64)

    @property
    def split(self) -> np.ndarray:
        """Code in `schema.SPLITS`, int8 `[N]`."""
        return self.column("split").astype(np.int8, copy=False)

    @cached_property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[N]`."""
        return self.column(RETURN).astype(np.float64, copy=False)

    @cached_property
    def directions(self) -> np.ndarray:
        """Trend, int64 `[N]`."""
        return self.column(DIRECTION).astype(np.int64, copy=False)

    def first_rows(self, split: int, most: int) -> pd.DataFrame:
        """Some rows of a split, as the table has them."""
        rows = self._frame[(self._frame["split"] == split).to_numpy()]
        return rows.iloc[:most].drop(columns="split")

    def dates(self, rows: np.ndarray) -> np.ndarray:
        """datetime64 `[n]`, in the table's own unit."""
        return self.column("date")[rows]

    def volatility(self, rows: np.ndarray) -> np.ndarray:
        """Trailing volatilities float64 `[n, K]`, computed once for all rows."""
        return self._volatility[rows]

    def release(self) -> None:
        """Nothing: there is no file behind these rows."""

    @cached_property
    def _volatility(self) -> np.ndarray:
        return trailing_volatility(self.frame)
