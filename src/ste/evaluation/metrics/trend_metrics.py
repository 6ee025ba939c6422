"""The two questions of three classes: whether the price moves at all, and in which direction."""

import numpy as np

from ste.evaluation.metrics.base import ScoredExamples, matthews, metric, share_correct
from ste.evaluation.roc import area_under_roc

_TO_MOVE = np.array([[0, 1], [1, 0], [0, 1]])
"""Adds three classes up to Neutral or a move."""


@metric(0.0, 1.0, every_epoch=False)
def move_accuracy(examples: ScoredExamples) -> np.ndarray | None:
    """Accuracy of Neutral against a move."""
    table = _move_confusion(examples)
    return None if table is None else share_correct(table)


@metric(-1.0, 1.0, every_epoch=False)
def move_mcc(examples: ScoredExamples) -> np.ndarray | None:
    """Matthews correlation of Neutral against a move."""
    table = _move_confusion(examples)
    return None if table is None else matthews(table)


@metric(0.0, 1.0, every_epoch=False)
def move_auroc(examples: ScoredExamples) -> np.ndarray | None:
    """Area under the ROC curve of 1 - P(Neutral) for a move, which equals that of P(Neutral) for Neutral."""
    return examples.class_areas[1] if len(examples.classes) == 3 else None


@metric(0.0, 1.0, every_epoch=False)
def direction_accuracy(examples: ScoredExamples) -> np.ndarray:
    """Accuracy of Up against Down among the examples that moved."""
    return share_correct(examples.direction_confusion)


@metric(-1.0, 1.0, every_epoch=False)
def direction_mcc(examples: ScoredExamples) -> np.ndarray:
    """Matthews correlation of Up against Down among the examples that moved."""
    return matthews(examples.direction_confusion)


@metric(0.0, 1.0, every_epoch=False)
def direction_auroc(examples: ScoredExamples) -> np.ndarray:
    """Area under the ROC curve of P(Up) / (P(Up) + P(Down)) among the examples that moved."""
    moved = examples.moved
    up, down = examples.probs[moved, -1], examples.probs[moved, 0]
    score = np.divide(up, up + down, out=np.full(len(up), 0.5), where=up + down > 0)
    return area_under_roc(score, examples.labels[moved] > 0, examples.unit[moved], examples.resampling)


def _move_confusion(examples: ScoredExamples) -> np.ndarray | None:
    """Neutral or a move, true by predicted, `[1 + R, 2, 2]`; None with two classes."""
    return _TO_MOVE.T @ examples.confusion @ _TO_MOVE if len(examples.classes) == 3 else None
