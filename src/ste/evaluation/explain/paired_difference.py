"""Differences of two predictions of the same examples, with intervals over periods. N examples, K differences."""

import numpy as np

from ste.evaluation.bootstrap import RESAMPLES, Resampling, overlap_block
from ste.evaluation.scorecard import Estimate

_SEED = 0


class PeriodResampling:
    """Resamples the periods of some examples, once for all differences, as the other figures of a run do.

    Args:
        periods: `[N]`, the week or session of each example.
        horizon: periods that a label looks ahead.
        resamples: of the bootstrap.
    """

    def __init__(self, periods: np.ndarray, horizon: int = 1, resamples: int = RESAMPLES) -> None:
        self._unit = np.unique(periods, return_inverse=True)[1]
        count = int(self._unit.max()) + 1
        self._resampling = Resampling.draw_blocks(count, overlap_block(count, horizon), resamples, _SEED, horizon)
        self._sizes = self._resampling.sums(np.bincount(self._unit))

    @property
    def periods(self) -> int:
        """Number of periods."""
        return self._resampling.units

    def means(self, differences: np.ndarray) -> list[Estimate]:
        """Return the mean of each difference with its 95 % interval.

        Args:
            differences: a value per example, float64 `[K, N]`.
        """
        totals = np.stack([np.bincount(self._unit, weights=one, minlength=self.periods) for one in differences], axis=1)
        figures = (self._resampling.sums(totals) / self._sizes[:, None]).T
        ends = self._resampling.intervals(figures).tolist()
        return [Estimate(value, low, high) for value, (low, high) in zip(figures[:, 0].tolist(), ends, strict=True)]
