"""Metrics of the predicted class, as scikit-learn defines them: 0 where nothing can be divided."""

import numpy as np

from ste.evaluation.metrics.base import ScoredExamples, divide, matthews, metric, share_correct


@metric(0.0, 1.0)
def accuracy(examples: ScoredExamples) -> np.ndarray:
    """Fraction of the examples whose most probable class is the true one."""
    return share_correct(examples.confusion)


@metric(0.0, 1.0)
def balanced_accuracy(examples: ScoredExamples) -> np.ndarray:
    """Mean recall over the classes that have examples."""
    there = examples.confusion.sum(axis=-1) > 0
    return divide((recall(examples) * there).sum(axis=-1), there.sum(axis=-1))


@metric(0.0, 1.0, per_class=True, compared=False)
def precision(examples: ScoredExamples) -> np.ndarray:
    """Fraction of the predictions of each class that are right."""
    table = examples.confusion
    return divide(np.diagonal(table, axis1=-2, axis2=-1), table.sum(axis=-2))


@metric(0.0, 1.0, per_class=True, compared=False)
def recall(examples: ScoredExamples) -> np.ndarray:
    """Fraction of the examples of each class that are predicted as it."""
    table = examples.confusion
    return divide(np.diagonal(table, axis1=-2, axis2=-1), table.sum(axis=-1))


@metric(0.0, 1.0, per_class=True)
def f1(examples: ScoredExamples) -> np.ndarray:
    """Harmonic mean of precision and recall of each class."""
    table = examples.confusion
    return divide(2 * np.diagonal(table, axis1=-2, axis2=-1), table.sum(axis=-1) + table.sum(axis=-2))


@metric(-1.0, 1.0)
def mcc(examples: ScoredExamples) -> np.ndarray:
    """Matthews correlation coefficient."""
    return matthews(examples.confusion)
