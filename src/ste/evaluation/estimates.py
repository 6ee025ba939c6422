"""Metrics of several predictors of the same rows, with intervals and paired gains.

All predictors share one set of resamples, so that a gain over a baseline is paired: both are scored on the same
resampled periods.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from ste.evaluation.bootstrap import Resampling, binomial_interval
from ste.evaluation.classification import Figures, compared_metrics, compute_metrics, metrics_by_name, per_class_name
from ste.evaluation.metrics.base import Metric, ScoredExamples, count_codes
from ste.evaluation.result_cache import ResultCache
from ste.evaluation.scorecard import Estimate, Gain
from ste.evaluation.scored_rows import ScoredRows
from ste.registry import METRICS

_BASELINE_FIGURES: ResultCache[Figures] = ResultCache(16)


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores probabilities `[N, C]` on the same rows and the same resamples.

    Attributes:
        rows: the N rows.
        classes: names in label order.
        resampling: of the U units.
        unit: int64 `[N]`, index of each row's unit.
        observations: with too few periods to resample, the number of independent ones that an exact interval of a
            fraction of all rows counts; None where periods are resampled.
    """

    rows: ScoredRows
    classes: tuple[str, ...]
    resampling: Resampling
    unit: np.ndarray
    observations: float | None = None

    def figures(self, probs: np.ndarray, *, probabilistic: bool = True) -> Figures:
        """Compute the registered metrics with their resamples."""
        return compute_metrics(self.examples(probs), probabilistic=probabilistic)

    def baseline_figures(self, probs: np.ndarray, *, probabilistic: bool = True) -> Figures:
        """Compute the same, once per process for the same rows: the trials of a sweep share their baselines."""
        return _BASELINE_FIGURES.get(
            lambda: self.figures(probs, probabilistic=probabilistic),
            *(probs, self.rows.labels, self.unit, self.resampling.multiplicity),
            f"{self.resampling.independent}{self.classes}{probabilistic}{list(METRICS)}",
        )

    def estimates(self, figures: Figures, probs: np.ndarray) -> dict[str, Estimate]:
        """Add intervals to metrics; with too few periods, those of fractions of `probs` are exact."""
        out = with_intervals(figures, self.resampling, metrics_by_name(self.classes))
        if self.observations is not None:
            repeats = len(self.rows.labels) / self.observations
            for name, rows in self._fraction_sizes(probs).items():
                if name in out and rows:
                    size, fraction = rows / repeats, out[name].value
                    out[name] = Estimate(fraction, *binomial_interval(fraction * size, size))
        return out

    def gains(self, own: Figures, theirs: Figures) -> dict[str, Gain]:
        """Difference to a baseline in each compared metric; above 0 is better, in the metric's direction."""
        names = [name for name in compared_metrics() if name in own and name in theirs]
        pairs = [(own[n], theirs[n]) if METRICS[n].higher_is_better else (theirs[n], own[n]) for n in names]
        gains = np.stack([better - worse for better, worse in pairs])
        values = gains[:, 0].tolist()
        intervals = self.resampling.intervals(gains).tolist()
        p_values = self.resampling.p_values(gains, min(self.resampling.independent, self.rows.periods)).tolist()
        return {
            name: Gain(value, None if isnan(low) else low, None if isnan(high) else high, p)
            for name, value, (low, high), p in zip(names, values, intervals, p_values, strict=True)
        }

    def examples(self, probs: np.ndarray) -> ScoredExamples:
        """Probabilities `[N, C]` with the rows' labels and resamples."""
        return ScoredExamples(probs, self.rows.labels, self.unit, self.resampling, self.classes)

    def _fraction_sizes(self, probs: np.ndarray) -> dict[str, int]:
        """Number of rows that each metric is a fraction of."""
        table = confusion(probs, self.rows.labels)
        total, true, called = int(table.sum()), table.sum(axis=1), table.sum(axis=0)
        out = {"accuracy": total, "move_accuracy": total, "direction_accuracy": int(true[0] + true[-1])}
        for k, name in enumerate(self.classes):
            out[per_class_name("recall", name)] = int(true[k])
            out[per_class_name("precision", name)] = int(called[k])
        return out


def confusion(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """True class by predicted class, int64 `[C, C]`."""
    size = probs.shape[1]
    return count_codes((labels, probs.argmax(axis=1)), (size, size), np.zeros(len(labels), dtype=np.int64), 1)[0]


def with_intervals(figures: Figures, resampling: Resampling, metrics: Mapping[str, Metric]) -> dict[str, Estimate]:
    """Add the 95 % interval to each figure; one that is not resampled `[1]` has none.

    Args:
        figures: by name.
        resampling: that they were computed on.
        metrics: the declaration of each name: its range bounds the interval.
    """
    drawn = {name: values for name, values in figures.items() if len(values) > 1}
    ends = resampling.intervals(np.stack(list(drawn.values()))).tolist() if drawn else []
    intervals = dict(zip(drawn, ends, strict=True))
    return {
        name: _estimate(metrics[name], float(values[0]), *intervals.get(name, (nan, nan)))
        for name, values in figures.items()
    }


def _estimate(metric: Metric, value: float, low: float, high: float) -> Estimate:
    if isnan(low):
        return Estimate(value)
    if metric.reflected:
        low, high = min(2 * value - high, value), max(2 * value - low, value)
    return Estimate(value, max(low, metric.low), min(high, metric.high))
