"""The two questions of three or five classes: whether the price moves at all, and in which direction.

Two and four classes have the second one only.
"""

import numpy as np

from ste.evaluation.metrics.base import ScoredExamples, matthews, metric, share_correct
from ste.evaluation.roc import area_under_roc


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
    return None if examples.neutral is None else examples.class_areas[examples.neutral]


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
    up, down = examples.rise[moved], examples.fall[moved]
    score = np.divide(up, up + down, out=np.full(len(up), 0.5), where=up + down > 0)
    return area_under_roc(score, examples.rose[moved], examples.unit[moved], examples.resampling)


def _move_confusion(examples: ScoredExamples) -> np.ndarray | None:
    """Neutral or a move, true by predicted, `[1 + R, 2, 2]`; None without a class Neutral."""
    if examples.neutral is None:
        return None
    moves = np.arange(len(examples.classes)) != examples.neutral
    to_move = np.stack([~moves, moves], axis=1).astype(np.int64)
    return to_move.T @ examples.confusion @ to_move
