"""Returns of the holding periods that had ended by a date, for portfolios that weigh risks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class PastReturns:
    """Returns of rows, by period and ticker; rows may repeat.

    Attributes:
        period: calendar number of each row's period, int64 `[N]`.
        ticker: codes from 0 `[N]`.
        returns: simple, over `horizon` periods, float64 `[N]`; NaN where unknown.
        horizon: periods after which a row's return is known.
    """

    period: np.ndarray
    ticker: np.ndarray
    returns: np.ndarray
    horizon: int

    def __call__(self, now: int, periods: int, tickers: np.ndarray) -> np.ndarray:
        """Return the last returns that are known at the end of a period, `[T, K]`, oldest first.

        Args:
            now: calendar number of the period.
            periods: largest number of periods, T.
            tickers: codes `[K]`.
        """
        known, table = self._table
        end = int(np.searchsorted(known, now - self.horizon, side="right"))
        return table[max(end - periods, 0) : end, tickers]

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        known, at = np.unique(self.period, return_inverse=True)
        table = np.full((len(known), int(self.ticker.max()) + 1), np.nan)
        table[at, self.ticker] = self.returns
        return known, table
