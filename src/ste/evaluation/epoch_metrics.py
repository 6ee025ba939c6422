"""Metrics of an epoch as torchmetrics, which gather their state over batches and processes."""

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
import torch
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.classification import compute_metrics, epoch_metrics
from ste.evaluation.metrics.base import MIN_PROBABILITY, ScoredExamples
from ste.schema import class_names

ONCE = Resampling(np.ones((1, 1), dtype=np.float32), 1)
"""No resamples: metrics of the data alone."""


class EpochMetrics(Metric):
    """Every metric of the validation rows, computed as at the end of a run.

    Args:
        num_classes: C.
    """

    full_state_update = False
    probs: list[torch.Tensor]
    labels: list[torch.Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.classes = class_names(num_classes)
        self.add_state("probs", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Add a batch: probabilities `[B, C]` and labels int64 `[B]`."""
        self.probs.append(preds)
        self.labels.append(target)

    def compute(self) -> dict[str, float]:
        """Metrics so far by name; NaN where one has no value, as after a fit that diverged."""
        probs = dim_zero_cat(self.probs).double().cpu().numpy()
        labels = dim_zero_cat(self.labels).cpu().numpy()
        metrics = epoch_metrics()
        examples = ScoredExamples(probs, labels, np.zeros(len(labels), dtype=np.int64), ONCE, self.classes)
        values = compute_metrics(examples, metrics=metrics)
        return {one.name: float(values[one.name][0]) if one.name in values else nan for one in metrics}


class Step(NamedTuple):
    """Result of a training step.

    Attributes:
        loss: mean over the batch, scalar, or of replicas `[R]`.
        logits: `[B, C]` or `[R, B, C]`.
        labels: int64 `[B]` or `[R, B]`.
    """

    loss: torch.Tensor
    logits: torch.Tensor
    labels: torch.Tensor


class TrainingMetrics(Metric):
    """Mean loss and accuracy over the steps of an epoch; of replicas, their mean."""

    full_state_update = False
    loss: torch.Tensor
    right: torch.Tensor
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("right", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, steps: Sequence[Step]) -> None:
        """Add the steps of some batches in their order."""
        counts = [step.labels.numel() for step in steps]
        losses = torch.stack([step.loss if step.loss.dim() == 0 else step.loss.double().mean() for step in steps])
        # One by one: the sum is the same however many steps an update has.
        for loss, count in zip(losses.double().unbind(), counts, strict=True):
            self.loss.add_(loss * count)
        logits = torch.cat([step.logits.reshape(-1, step.logits.shape[-1]) for step in steps])
        labels = torch.cat([step.labels.reshape(-1) for step in steps])
        self.right.add_((logits.argmax(dim=-1) == labels).sum())
        self.count.add_(sum(counts))

    def compute(self) -> dict[str, float]:
        """Mean loss, nats, and accuracy."""
        count = int(self.count)
        return {"loss": float(self.loss) / count, "accuracy": int(self.right) / count}


class LogLoss(Metric):
    """Mean negative log probability of the true class, nats (Good 1952), summed in float64."""

    full_state_update = False
    total: torch.Tensor
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Add a batch: probabilities `[B, C]` and labels int64 `[B]`."""
        of_truth = preds.double().gather(1, target[:, None]).squeeze(1)
        self.total.sub_(of_truth.clamp(min=MIN_PROBABILITY).log().sum())
        self.count.add_(len(target))

    def compute(self) -> torch.Tensor:
        """The mean so far."""
        return self.total / self.count
