"""The rows of a split in a fixed order, with the period of each row."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.evaluation.predictions import Predictions


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """N rows sorted by period, path and ticker, so that the order of the frame changes no score.

    Attributes:
        order: `[N]`, sorts the frame; the arrays below are sorted by it.
        labels, returns, path: `[N]`, see `Predictions`.
        period: int64 `[N]`, position of each row's period among the P periods.
        ticker: int64 `[N]`, codes in alphabetical order.
        period_index: int64 `[P]`, calendar number of each period; consecutive periods differ by 1.
        dates: ISO `[P]`, each period's last close.
    """

    order: np.ndarray
    labels: np.ndarray
    returns: np.ndarray
    period: np.ndarray
    path: np.ndarray
    ticker: np.ndarray
    period_index: np.ndarray
    dates: list[str]

    @classmethod
    def from_predictions(cls, predictions: Predictions) -> "ScoredRows":
        """Sort the rows of one split.

        Raises:
            DataError: no rows, or rows of several splits.
        """
        frame = predictions.frame
        if frame.empty:
            raise DataError("predictions: hold no row. Expected the rows of a split; see data.split.")
        splits = frame["split"].unique()
        if len(splits) > 1:
            raise DataError(
                f"predictions: hold the splits {', '.join(splits)}. Expected the rows of one: .slice_split(…)"
            )
        period_index, period = np.unique(predictions.periods, return_inverse=True)
        path = frame["path"].to_numpy()
        ticker, _ = pd.factorize(frame["ticker"], sort=True)
        order = np.lexsort((ticker, path, period))
        period, dates = period[order], frame["date"].to_numpy(dtype="datetime64[D]")[order]
        last = np.maximum.reduceat(dates, np.searchsorted(period, np.arange(len(period_index))))
        return cls(
            order,
            predictions.labels[order],
            predictions.returns[order],
            period,
            path[order],
            ticker[order].astype(np.int64),
            period_index,
            [str(day) for day in last],
        )

    @property
    def periods(self) -> int:
        """Number of periods that have rows, P."""
        return len(self.period_index)

    @cached_property
    def example(self) -> np.ndarray:
        """Number of each row's example, int64 `[N]`; a row has the same in each path."""
        keys = self.period * (int(self.ticker.max()) + 1) + self.ticker
        return np.unique(keys, return_inverse=True)[1]

    @cached_property
    def examples(self) -> int:
        """Number of different examples, however many paths repeat them."""
        return len(self.labels) if self.path.min() == self.path.max() else int(self.example.max()) + 1

    def overlap(self, horizon: int) -> int:
        """Neighbouring periods that share a part of their labels, 1 where none do.

        That is the horizon, and less where the rows are not of every period: monthly rows whose labels look four weeks
        ahead do not overlap.

        Args:
            horizon: periods that a label looks ahead.
        """
        step = int(np.diff(self.period_index).min()) if self.periods > 1 else 1
        return -(-horizon // step)

    def influence(self, values: np.ndarray) -> np.ndarray:
        """Deviation that each period adds to a mean, `[P]`: its sum of values `[N]` less its rows times the mean."""
        totals, sizes = np.bincount(self.period, weights=values), np.bincount(self.period)
        return totals - sizes * (totals.sum() / sizes.sum())
