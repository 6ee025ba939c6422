"""Quantiles of the training rows' returns."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ste.labels.label_method import AllRows, LabelMethod
from ste.labels.thresholds import directions, quantile_fractions
from ste.registry import LABELS


@dataclass(frozen=True)
class Terciles(LabelMethod):
    """Three classes of equal size among the training rows; quintiles with four or five classes.

    With two or four classes the middle third or fifth is left out.
    """

    needs_all_rows: ClassVar[bool] = True
    needs_training: ClassVar[bool] = True
    meaning: ClassVar[str] = "terciles of {ahead} return in training"

    def fit(self, rows: AllRows) -> tuple[float, ...]:
        """Return the returns that cut the training rows, a number fewer than trends."""
        cuts = np.quantile(rows.returns[rows.training], quantile_fractions(self.trend_count))
        return tuple(float(cut) for cut in cuts)

    def edges(self, volatility: np.ndarray, fitted: Any) -> tuple[Any, ...]:
        """Return the cuts of `fit`."""
        assert fitted is not None
        return tuple(fitted)

    def trends(
        self, returns: np.ndarray, period: np.ndarray, volatility: np.ndarray, fitted: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut the returns."""
        return returns, directions(returns, *self.edges(volatility, fitted))


LABELS.add("terciles", Terciles)
