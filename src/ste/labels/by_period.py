"""Quantities of each period, over the rows of all tickers.

P periods, N rows.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ByPeriod:
    """Values of periods.

    Attributes:
        period: index of the periods, ascending, int64 `[P]`.
        values: float64 `[P, ...]`.
    """

    period: np.ndarray
    values: np.ndarray

    def of_rows(self, period: np.ndarray) -> np.ndarray:
        """Return the values of each row's period, float64 `[N, ...]`; NaN of a period that is not known."""
        if not len(self.period):
            return np.full((len(period), *self.values.shape[1:]), np.nan)
        at = np.minimum(np.searchsorted(self.period, period), len(self.period) - 1)
        found = self.values[at].astype(np.float64)
        found[self.period[at] != period] = np.nan
        return found


def grouped(period: np.ndarray, returns: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the periods in order, and the returns of each.

    Args:
        period: index of each row's period `[N]`.
        returns: of each row `[N]`.
    """
    if not len(period):
        return np.empty(0, dtype=np.int64), []
    order = np.argsort(period, kind="stable")
    known, first = np.unique(period[order], return_index=True)
    return known, np.split(returns[order], first[1:])
