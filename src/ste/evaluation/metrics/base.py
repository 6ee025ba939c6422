"""Declaration of metrics, and the scored examples that they are computed from.

N examples, C classes, U units that are resampled (periods, or groups of examples), R resamples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.roc import area_under_roc
from ste.registry import METRICS

MIN_PROBABILITY = 1e-7
"""Lower bound of a probability inside a logarithm, so that one certain mistake is not infinite."""


@dataclass(frozen=True, eq=False)
class ScoredExamples:
    """Predicted probabilities, labels and resamples: the input of a metric.

    Attributes:
        probs: float64 `[N, C]`.
        labels: int64 `[N]`, index into `classes`.
        unit: int64 `[N]`, index of each example's unit.
        resampling: of the U units; its first row is the data itself.
        classes: `Downtrend`, `Neutral` (with three classes), `Uptrend`.
    """

    probs: np.ndarray
    labels: np.ndarray
    unit: np.ndarray
    resampling: Resampling
    classes: tuple[str, ...]

    @cached_property
    def confusion(self) -> np.ndarray:
        """True class by predicted class, float64 `[1 + R, C, C]`."""
        return self.contingency(self.labels, self.probs.argmax(axis=1), len(self.classes))

    @cached_property
    def moved(self) -> np.ndarray:
        """Whether the true class is not Neutral, bool `[N]`."""
        return (self.labels == 0) | (self.labels == len(self.classes) - 1)

    @cached_property
    def direction_confusion(self) -> np.ndarray:
        """Down or Up among the examples that moved, true by predicted, float64 `[1 + R, 2, 2]`."""
        truth, call = (self.labels > 0).astype(np.int64), self.probs[:, -1] > self.probs[:, 0]
        return self.contingency(truth[self.moved], call[self.moved], 2, self.unit[self.moved])

    @cached_property
    def class_areas(self) -> np.ndarray:
        """Area under the ROC curve of each class against the others, float64 `[C, 1 + R]`."""
        return np.stack(
            [
                area_under_roc(self.probs[:, k], self.labels == k, self.unit, self.resampling)
                for k in range(len(self.classes))
            ]
        )

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number of examples, float64 `[1 + R]`."""
        return self.resampling.sums(np.bincount(self.unit, minlength=self.resampling.units))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of one value per example `[N]`, float64 `[1 + R]`."""
        totals = np.bincount(self.unit, weights=values, minlength=self.resampling.units)
        return self.resampling.sums(totals) / self.sizes

    def contingency(self, truth: np.ndarray, call: np.ndarray, size: int, unit: np.ndarray | None = None) -> np.ndarray:
        """Counts of truth by call, float64 `[1 + R, size, size]`.

        Args:
            truth: codes from 0 to `size` - 1, `[M]`.
            call: the same of the predictions.
            size: number of codes.
            unit: index of each example's unit `[M]`; None is that of all N examples.
        """
        units = self.resampling.units
        return self.resampling.sums(
            count_codes((truth, call), (size, size), self.unit if unit is None else unit, units)
        )


Compute = Callable[[ScoredExamples], np.ndarray | None]
"""From scored examples to the metric, float64 `[1 + R]`: of the data, then of each resample. A metric per class
gives `[1 + R, C]`. None, or NaN in the first place, is a metric that these examples do not have."""


@dataclass(frozen=True)
class Metric:
    """A metric, its range and its direction.

    Attributes:
        name: unique.
        low, high: smallest and largest possible value; an interval is clipped to them.
        higher_is_better: False for losses.
        compute: see `Compute`; None for a metric that other code computes.
        per_class: `compute` gives a value per class; the metric is their mean over the classes that are present.
        needs_probabilities: undefined for one-hot predictions, such as those of the persistence baseline.
        every_epoch: computed on the validation rows after each epoch, so that `fit.monitor` may name it.
        compared: compared with every baseline.
        reflected: resampling adds a bias as large as the one that the estimate has; the percentiles are reflected
            at the estimate (the basic interval of Davison and Hinkley 1997, section 5.2).
    """

    name: str
    low: float = -inf
    high: float = inf
    higher_is_better: bool = True
    compute: Compute | None = None
    per_class: bool = False
    needs_probabilities: bool = False
    every_epoch: bool = True
    compared: bool = True
    reflected: bool = False

    @property
    def mode(self) -> str:
        """`max` or `min`: which end is better."""
        return "max" if self.higher_is_better else "min"


def declare_metric(compute: Compute, name: str, low: float = -inf, high: float = inf, **flags: bool) -> Metric:
    """Return the metric that a function computes; see `Metric` for the arguments."""
    return Metric(name, low, high, compute=compute, **flags)


def metric(low: float = -inf, high: float = inf, **flags: bool) -> Callable[[Compute], Compute]:
    """Register a function as the metric of its name; used as a decorator. See `Metric` for the arguments."""

    def register(compute: Compute) -> Compute:
        METRICS.add(compute.__name__, declare_metric(compute, compute.__name__, low, high, **flags))
        return compute

    return register


def count_codes(codes: tuple[np.ndarray, ...], sizes: tuple[int, ...], unit: np.ndarray, units: int) -> np.ndarray:
    """Count each combination of codes in each unit, int64 `[U, *sizes]`."""
    cells = np.ravel_multi_index((unit, *codes), (units, *sizes))
    return np.bincount(cells, minlength=units * int(np.prod(sizes))).reshape(units, *sizes)


def log_losses(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log probability of the true class of each example, nats (Good 1952), float64 `[N]`.

    Args:
        probs: `[N, C]`.
        labels: int64 `[N]`.
    """
    return -np.log(np.maximum(probs[np.arange(len(labels)), labels], MIN_PROBABILITY))


def divide(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """`part / whole`, and `empty` where `whole` is not above 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), empty), where=np.asarray(whole) > 0)


def share_correct(table: np.ndarray) -> np.ndarray:
    """Fraction of the counts `[..., C, C]` on the diagonal; NaN where there is no count."""
    return divide(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)), empty=np.nan)


def matthews(table: np.ndarray) -> np.ndarray:
    """Multiclass correlation of truth and call (Matthews 1975; Gorodkin 2004) of counts `[..., C, C]`."""
    rows, true, called = table.sum(axis=(-2, -1)), table.sum(axis=-1), table.sum(axis=-2)
    together = np.trace(table, axis1=-2, axis2=-1) * rows - (true * called).sum(axis=-1)
    spread = np.sqrt((rows**2 - (true**2).sum(axis=-1)) * (rows**2 - (called**2).sum(axis=-1)))
    return divide(together, spread)
