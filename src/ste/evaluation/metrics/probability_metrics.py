"""Metrics of the probabilities: ranking, losses and calibration."""

import numpy as np

from ste.evaluation.metrics.base import Metric, ScoredExamples, divide, log_losses, metric
from ste.registry import METRICS

CALIBRATION_BINS = 15

METRICS.add("loss", Metric("loss", low=0.0, higher_is_better=False, compared=False))
"""The training loss on the validation rows, which the LightningModule computes."""


@metric(0.0, 1.0)
def auroc(examples: ScoredExamples) -> np.ndarray:
    """Mean area under the ROC curve of each class against the others; 0.5 where only one class has examples."""
    there = np.isfinite(examples.class_areas)
    return divide(np.where(there, examples.class_areas, 0.0).sum(axis=0), there.sum(axis=0), empty=0.5)


@metric(0.0, higher_is_better=False, needs_probabilities=True)
def log_loss(examples: ScoredExamples) -> np.ndarray:
    """Mean negative log probability of the true class, nats."""
    return examples.mean(log_losses(examples.probs, examples.labels))


@metric(0.0, 2.0, higher_is_better=False, needs_probabilities=True)
def brier(examples: ScoredExamples) -> np.ndarray:
    """Mean squared distance of the probabilities from the true class, 0 to 2 (Brier 1950)."""
    of_truth = examples.probs[np.arange(len(examples.labels)), examples.labels]
    return examples.mean(np.einsum("nc,nc->n", examples.probs, examples.probs) - 2.0 * of_truth + 1.0)


@metric(0.0, 1.0, higher_is_better=False, needs_probabilities=True, compared=False, reflected=True)
def calibration_error(examples: ScoredExamples) -> np.ndarray:
    """Mean distance of confidence and accuracy over bins of confidence (l1; Guo et al. 2017), as in torchmetrics."""
    top, cell = confidence_bins(examples.probs)
    off = top - (examples.probs.argmax(axis=1) == examples.labels)
    cells, units = CALIBRATION_BINS + 1, examples.resampling.units
    bins = np.bincount(examples.unit * cells + cell, weights=off, minlength=units * cells).reshape(units, cells)
    return np.abs(examples.resampling.sums(bins)).sum(axis=1) / examples.sizes


def confidence_bins(probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highest probability of each example and its bin; exactly 1 has a bin of its own, as in torchmetrics."""
    top = probs.max(axis=1)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return top, np.clip(np.searchsorted(edges, top, side="right") - 1, 0, CALIBRATION_BINS)
