"""All registered metrics of class probabilities, and the reliability curve."""

from collections.abc import Iterable

import numpy as np

from ste.evaluation.metrics.base import Metric, ScoredExamples, divide
from ste.evaluation.metrics.probability_metrics import CALIBRATION_BINS, confidence_bins
from ste.evaluation.scorecard import Bin
from ste.registry import METRICS

Figures = dict[str, np.ndarray]
"""Values by name, float64 `[1 + R]` each: of the data, then of each resample; `[1]` where nothing is resampled."""


def compared_metrics() -> list[str]:
    """Names of the metrics that are compared with every baseline."""
    return [name for name, metric in METRICS.items() if metric.compared]


def epoch_metrics() -> list[Metric]:
    """Metrics that are computed on the validation rows after each epoch."""
    return [metric for metric in METRICS.values() if metric.every_epoch and metric.compute is not None]


def compute_metrics(
    examples: ScoredExamples, *, probabilistic: bool = True, metrics: Iterable[Metric] | None = None
) -> Figures:
    """Compute metrics of scored examples; a metric without a value in the data is left out.

    Args:
        examples: probabilities, labels and resamples.
        probabilistic: False for one-hot predictions, which have no metric that needs probabilities.
        metrics: which ones; None is all that are registered. A metric per class adds `<metric>_<class>`.
    """
    figures: Figures = {}
    for metric in METRICS.values() if metrics is None else metrics:
        values = None
        if metric.compute is not None and (probabilistic or not metric.needs_probabilities):
            values = metric.compute(examples)
        if values is not None and metric.per_class:
            figures |= {per_class_name(metric.name, name): values[:, k] for k, name in enumerate(examples.classes)}
            there = examples.confusion.sum(axis=-1) + examples.confusion.sum(axis=-2) > 0
            values = divide((values * there).sum(axis=-1), there.sum(axis=-1))
        if values is not None:
            figures[metric.name] = values
    return {name: values for name, values in figures.items() if np.isfinite(values[0])}


def metrics_by_name(classes: tuple[str, ...]) -> dict[str, Metric]:
    """The declaration behind each name that `compute_metrics` gives."""
    out = dict(METRICS.items())
    for name, metric in METRICS.items():
        if metric.per_class:
            out |= {per_class_name(name, of_class): metric for of_class in classes}
    return out


def per_class_name(name: str, of_class: str) -> str:
    """Name of a metric of one class, such as `precision_uptrend`."""
    return f"{name}_{of_class.lower().replace(' ', '_')}"


def reliability(probs: np.ndarray, labels: np.ndarray) -> list[Bin]:
    """Bins of equal width of the highest probability that hold examples; the last one includes 1.

    Args:
        probs: `[N, C]`.
        labels: int64 `[N]`.
    """
    top, cell = confidence_bins(probs)
    cell = np.minimum(cell, CALIBRATION_BINS - 1)
    sizes = np.bincount(cell, minlength=CALIBRATION_BINS)
    confidence = np.bincount(cell, weights=top, minlength=CALIBRATION_BINS)
    right = np.bincount(cell, weights=probs.argmax(axis=1) == labels, minlength=CALIBRATION_BINS)
    return [Bin(float(confidence[b] / n), float(right[b] / n), int(n)) for b, n in enumerate(sizes) if n]
