"""The base of the losses: what they receive, and the mean over a batch.

Shapes: R replicas, B examples of a batch, C classes; the leading R is there for replicas alone.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import nn
from torch.nn import functional


class LossInputs(NamedTuple):
    """What a loss may read of a batch in addition to logits and target.

    Attributes:
        weight: of each example, float `[B]`, 0 or more, with a mean of 1 over all examples; None weighs all alike.
        group: of each example, int64 `[B]`: examples of one date have the same number; None is unknown.
    """

    weight: torch.Tensor | None = None
    group: torch.Tensor | None = None

    def at(self, rows: torch.Tensor) -> "LossInputs":
        """Return those of some examples, int64 or bool."""
        return LossInputs(*(None if part is None else part[rows] for part in self))


NO_INPUTS = LossInputs()


class Loss(nn.Module):
    """A loss of class logits, as a weighted mean over the examples of a batch.

    Attributes:
        per_example: an example's contribution depends on its own row alone.
        needs_groups: batches must be whole dates, `LossInputs.group` the date of each example.
        weight: of each class, float `[C]`, or None.
        label_smoothing: fraction of the target spread over all classes.
        num_classes: C.
    """

    per_example: ClassVar[bool] = True
    needs_groups: ClassVar[bool] = False
    weight: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", None)
        self.label_smoothing = 0.0
        self.num_classes = 0

    def set_up(self, num_classes: int, class_weights: list[float] | None = None, label_smoothing: float = 0.0) -> None:
        """Take what comes from the data and from the settings of every loss.

        Args:
            num_classes: C.
            class_weights: weight of each class; None weighs all alike.
            label_smoothing: in [0, 1).

        Raises:
            ValueError: the loss is not defined with them.
        """
        self.num_classes, self.label_smoothing = num_classes, label_smoothing
        self.weight = None if class_weights is None else torch.tensor(class_weights)

    def values(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each example, `[..., B]`.

        Args:
            logits: `[..., B, C]`.
            target: labels int64 `[..., B]`, or class fractions `[..., B, C]`.
        """
        raise NotImplementedError

    def forward(self, logits: torch.Tensor, target: torch.Tensor, inputs: LossInputs = NO_INPUTS) -> torch.Tensor:
        """Compute the mean loss of a batch: scalar, or `[R]` for replicas.

        Args:
            logits: `[B, C]`, or `[R, B, C]`.
            target: labels int64 `[B]` or `[R, B]`, or class fractions `[B, C]`.
            inputs: weights and groups of the examples, of the labels' shape.
        """
        return weighted_mean(self.values(logits, target), self._class_weights(target), inputs.weight)

    def fractions(self, target: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return the target as class fractions `[..., B, C]`, smoothed by `label_smoothing`.

        Args:
            target: labels or fractions.
            like: of the type of the result.
        """
        hot = target if target.is_floating_point() else functional.one_hot(target, self.num_classes)
        hot = hot.to(like.dtype)
        return (
            hot * (1.0 - self.label_smoothing) + self.label_smoothing / self.num_classes
            if self.label_smoothing
            else hot
        )

    def _class_weights(self, target: torch.Tensor) -> torch.Tensor | None:
        """Weight of each example's class, `[..., B]`, of mixed classes the mean; None weighs all alike."""
        if self.weight is None:
            return None
        return target.to(self.weight.dtype) @ self.weight if target.is_floating_point() else self.weight[target]


def weighted_mean(values: torch.Tensor, class_weight: torch.Tensor | None, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the mean over the examples of a batch, the last dimension.

    Class weights are normalized by their sum in the batch, as PyTorch does. The examples' own have a mean of 1 over all
    examples, not over each batch: the expected gradient is then that of the weighted loss over all of them.

    Args:
        values: of each example, `[..., B]`.
        class_weight: of each example's class, `[..., B]`, or None.
        weight: of each example, `[..., B]`, or None.
    """
    if weight is not None:
        values = values * weight
    if class_weight is None:
        return values.mean(dim=-1)
    return (values * class_weight).sum(dim=-1) / class_weight.sum(dim=-1)
