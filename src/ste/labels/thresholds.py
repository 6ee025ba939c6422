"""Methods that cut returns at thresholds."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ste.config import LabelSettings
from ste.labels.label_method import LabelMethod, Rules


def directions(returns: np.ndarray, *edges: np.ndarray | float) -> np.ndarray:
    """Return the trend of each return, int64 `[N]`.

    Args:
        returns: simple returns over the horizon, `[N]`.
        edges: ascending, an even number of them, `[N]` or one for all. A return below those of the lower half falls,
            one above those of the upper half rises; one that equals an edge belongs to the side of Neutral.
    """
    middle = len(edges) // 2
    trends = np.full(len(returns), middle, dtype=np.int64)
    for edge in edges[:middle]:
        trends -= returns < edge
    for edge in edges[middle:]:
        trends += returns > edge
    return trends


def quantile_fractions(trends: int) -> list[float]:
    """Return the fractions that cut returns into this number of classes of equal size."""
    return [part / trends for part in range(1, trends)]


@dataclass(frozen=True)
class ThresholdMethod(LabelMethod):
    """Base of methods with two thresholds, and with four or five classes two more, `strong` times as far."""

    threshold: float = 0.01
    lower: float | None = None
    strong: float = 3.0

    @classmethod
    def rules(cls, settings: LabelSettings) -> Rules:
        """Yield the rules of the thresholds."""
        yield from super().rules(settings)
        lower, threshold = settings.lower, settings.threshold
        expected = f"at most data.labels.threshold={threshold:g}, or null"
        yield lower is None or lower <= threshold, "lower", expected, None
        if settings.classes > 3:
            below = -threshold if lower is None else lower
            yield threshold > 0, "threshold", "above 0 with four or five classes", 0.01
            yield below < 0, "lower", "below 0 with four or five classes, or null", None

    def edges(self, volatility: np.ndarray, fitted: Any) -> tuple[Any, ...]:
        """Return the thresholds of each row, `[N]` each."""
        scale = self.scale(volatility)
        return tuple(edge * scale for edge in self.factors())

    def factors(self) -> tuple[float, ...]:
        """Return the thresholds before they are scaled, ascending."""
        lower = -self.threshold if self.lower is None else self.lower
        if self.trend_count == 3:
            return lower, self.threshold
        return lower * self.strong, lower, self.threshold, self.threshold * self.strong

    def scale(self, volatility: np.ndarray) -> np.ndarray:
        """Return what the thresholds are multiples of, `[N]`."""
        return np.ones(len(volatility))

    def trends(
        self, returns: np.ndarray, period: np.ndarray, volatility: np.ndarray, fitted: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut the returns at the edges."""
        edges = self.edges(volatility, fitted)
        assert edges is not None
        return returns, directions(returns, *edges)


def separating_edges(returns: np.ndarray, trends: np.ndarray, count: int) -> list[float] | None:
    """Recover the returns between trends from labelled rows; None where no returns separate them.

    Args:
        returns: `[N]`.
        trends: of each row `[N]`.
        count: number of trends.
    """
    out: list[float] = []
    for below, above in pairwise(range(count)):
        low, high = returns[trends <= below], returns[trends >= above]
        if not len(low) or not len(high) or low.max() > high.min():
            return None
        out.append(float((low.max() + high.min()) / 2))
    return out
