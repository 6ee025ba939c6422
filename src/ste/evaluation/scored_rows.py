"""A split's rows in an order of their own, with what is resampled together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.evaluation.predictions import Predictions


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """ScoredRows sorted by period, path and ticker, so that the frame's own order changes no figure.

    Attributes:
        order: `[N]`, sorts the frame; the arrays below are sorted by it.
        labels, returns, path: `[N]`, see `Predictions`.
        period: int64 `[N]`, index of each row's period.
        ticker: int64 `[N]`, codes in alphabetical order.
        number: int64 `[P]`, calendar number of each period.
        dates: ISO `[P]`, each period's last close.
    """

    order: np.ndarray
    labels: np.ndarray
    returns: np.ndarray
    period: np.ndarray
    path: np.ndarray
    ticker: np.ndarray
    number: np.ndarray
    dates: list[str]

    @classmethod
    def from_predictions(cls, predictions: Predictions) -> "ScoredRows":
        """Sort one split's rows.

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
        number, period = np.unique(predictions.periods, return_inverse=True)
        path = frame["path"].to_numpy()
        ticker, _ = pd.factorize(frame["ticker"], sort=True)
        order = np.lexsort((ticker, path, period))
        period, dates = period[order], frame["date"].to_numpy(dtype="datetime64[D]")[order]
        last = np.maximum.reduceat(dates, np.searchsorted(period, np.arange(len(number))))
        return cls(
            order,
            predictions.labels[order],
            predictions.returns[order],
            period,
            path[order],
            ticker[order].astype(np.int64),
            number,
            [str(day) for day in last],
        )

    @property
    def periods(self) -> int:
        """How many periods have rows."""
        return len(self.number)

    @cached_property
    def example(self) -> np.ndarray:
        """Number of each row's example: the same in each path."""
        keys = self.period * (int(self.ticker.max()) + 1) + self.ticker
        return np.unique(keys, return_inverse=True)[1]

    @cached_property
    def examples(self) -> int:
        """How many different rows there are, whatever the number of paths."""
        return len(self.labels) if self.path.min() == self.path.max() else int(self.example.max()) + 1

    def influence(self, values: np.ndarray) -> np.ndarray:
        """What each period adds to a mean's error, `[P]`: its sum of values `[N]` less its rows' share of all."""
        totals, sizes = np.bincount(self.period, weights=values), np.bincount(self.period)
        return totals - sizes * (totals.sum() / sizes.sum())
