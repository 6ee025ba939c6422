"""Metrics of class probabilities, computed over whole epochs.

Inputs are probabilities `[B, C]` and labels int64 `[B]`. Averages over classes are macro averages.
"""

from typing import Any

import torch
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassMatthewsCorrCoef,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.utilities import dim_zero_cat

SMALLEST = 1e-7  # probabilities are cut here, so that one certain mistake is not infinite


class PresentAUROC(MulticlassAUROC):
    """One-vs-rest area under the ROC curve, averaged over the classes that have both sides among the labels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="none", validate_args=False)

    def compute(self) -> torch.Tensor:  # type: ignore[override]  # its grandparent types another metric's
        """Mean area; 0.5 where only one class is present."""
        areas = super().compute()
        labels = dim_zero_cat(self.target)
        counts = torch.bincount(labels, minlength=len(areas))
        present = (counts > 0) & (counts < len(labels))
        return areas[present].mean() if present.any() else areas.new_tensor(0.5)


class BalancedAccuracy(MulticlassConfusionMatrix):
    """Mean recall of the classes that are present among the labels (Brodersen et al. 2010)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, validate_args=False)

    def compute(self) -> torch.Tensor:
        """The mean so far."""
        table = super().compute().double()
        present = table.sum(1) > 0
        return (table.diag()[present] / table.sum(1)[present]).mean()


class _ExampleMean(Metric):
    """Mean of a per-example figure, summed in float64."""

    full_state_update = False
    higher_is_better = False
    total: torch.Tensor
    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def figure(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The figure of each example, `[B]`."""
        raise NotImplementedError

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Add a batch."""
        self.total += self.figure(preds.double(), target).sum()
        self.count += len(target)

    def compute(self) -> torch.Tensor:
        """The mean so far."""
        return self.total / self.count


class LogLoss(_ExampleMean):
    """Mean negative log probability of the true class, nats (Good 1952)."""

    def figure(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of each example."""
        return -preds.gather(1, target[:, None]).squeeze(1).clamp(min=SMALLEST).log()


class Brier(_ExampleMean):
    """Mean squared distance of the probabilities from the one-hot truth, 0 to 2 (Brier 1950)."""

    def figure(self, preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Squared distance of each example."""
        return preds.square().sum(1) - 2.0 * preds.gather(1, target[:, None]).squeeze(1) + 1.0


def classification_metrics(num_classes: int) -> MetricCollection:
    """Every figure that a split is scored by."""
    macro: Any = {"num_classes": num_classes, "average": "macro", "validate_args": False}
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro", validate_args=False),
            "balanced_accuracy": BalancedAccuracy(num_classes),
            "precision": MulticlassPrecision(**macro),
            "recall": MulticlassRecall(**macro),
            "f1": MulticlassF1Score(**macro),
            "mcc": MulticlassMatthewsCorrCoef(num_classes, validate_args=False),
            "auroc": PresentAUROC(num_classes),
            "log_loss": LogLoss(),
            "brier": Brier(),
            "calibration_error": MulticlassCalibrationError(num_classes, n_bins=15, norm="l1", validate_args=False),
        },
    )
