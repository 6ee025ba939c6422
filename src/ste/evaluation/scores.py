"""A split's scores with their company: examples, intervals, baselines and, in a known world, the limit."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from ste.evaluation.intervals import Interval, mean_interval
from ste.evaluation.metrics import SMALLEST, classification_metrics


@dataclass(frozen=True)
class Row:
    """One line of the score table: a model's, a baseline's or the limit's figures on the same examples.

    `log_loss` and its interval are None where no probabilities are claimed (persistence).
    """

    accuracy: float
    interval: Interval
    log_loss: float | None
    log_loss_interval: Interval | None


@dataclass(frozen=True)
class SplitScores:
    """What a split says of a model.

    Attributes:
        examples, weeks: how many.
        metrics: every figure of `classification_metrics`; in a known world also `expected_accuracy`
            (the mean true probability of the predicted class) and `gap_closed`, the share of the way
            from the majority's to the Bayes expected accuracy (absent where there is no way to go).
        confusion: int `[C][C]`, true class by predicted class.
        model: the model's own row.
        company: rows by name: majority, persistence, linear, bayes.
    """

    examples: int
    weeks: int
    metrics: dict[str, float]
    confusion: list[list[int]]
    model: Row
    company: dict[str, Row] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As nested dicts of plain numbers."""
        return asdict(self)


def score_split(
    chances: torch.Tensor,
    labels: torch.Tensor,
    weeks: np.ndarray,
    baselines: dict[str, np.ndarray],
    truth: np.ndarray | None,
    horizon: int = 1,
) -> SplitScores:
    """Score a split's predictions.

    Args:
        chances: probabilities float32 `[N, C]`.
        labels: int64 `[N]`.
        weeks: `[N]`, the week of each example.
        baselines: probabilities `[N, C]` by name; `persistence` is scored by accuracy alone.
        truth: P(class | features) `[N, C]` of a synthetic world, or None.
        horizon: weeks that the labels look ahead, for the intervals.
    """
    num_classes = chances.shape[1]
    collection = classification_metrics(num_classes)
    collection.update(chances, labels)
    metrics = {name: float(value) for name, value in collection.compute().items()}
    confusion = multiclass_confusion_matrix(chances, labels, num_classes, validate_args=False)
    y, predicted = labels.numpy(), chances.argmax(1).numpy()
    company = {name: _row(p, y, weeks, horizon, probabilistic=name != "persistence") for name, p in baselines.items()}
    if truth is not None and np.isfinite(truth).all():
        company["bayes"] = _row(truth, y, weeks, horizon, probabilistic=True)
        metrics |= _against_limit(predicted, baselines["majority"].argmax(1), truth)
    return SplitScores(
        examples=len(y),
        weeks=len(np.unique(weeks)),
        metrics=metrics,
        confusion=confusion.tolist(),
        model=_row(chances.numpy(), y, weeks, horizon, probabilistic=True),
        company=company,
    )


def _row(chances: np.ndarray, y: np.ndarray, weeks: np.ndarray, horizon: int, *, probabilistic: bool) -> Row:
    right = (chances.argmax(1) == y).astype(float)
    accuracy, interval = float(right.mean()), mean_interval(right, weeks, horizon)
    if not probabilistic:
        return Row(accuracy, interval, None, None)
    losses = -np.log(np.clip(chances[np.arange(len(y)), y].astype(np.float64), SMALLEST, None))
    return Row(accuracy, interval, float(losses.mean()), mean_interval(losses, weeks, horizon))


def _against_limit(predicted: np.ndarray, majority: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    rows = np.arange(len(truth))
    expected = truth[rows, predicted].mean()
    floor, limit = truth[rows, majority].mean(), truth.max(axis=1).mean()
    out = {"expected_accuracy": float(expected), "bayes_expected_accuracy": float(limit)}
    if limit - floor > 0.002:  # in a null world there is no way to go
        out["gap_closed"] = float((expected - floor) / (limit - floor))
    return out
