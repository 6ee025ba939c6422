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
        weight: of each example, float `[B]`, 0 or more; None weighs all alike.
        group: of each example, int64 `[B]`: examples of one date have the same number; None is unknown.
    """

    weight: torch.Tensor | None = None
    group: torch.Tensor | None = None


NO_INPUTS = LossInputs()


class Loss(nn.Module):
    """A loss of class logits, as a weighted mean over the examples of a batch.

    Attributes:
        per_example: an example's contribution depends on its own row alone.
        weight: of each class, float `[C]`, or None.
        label_smoothing: fraction of the target spread over all classes.
        num_classes: C.
    """

    per_example: ClassVar[bool] = True
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
        return weighted_mean(self.values(logits, target), self._weights(target, inputs))

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

    def _weights(self, target: torch.Tensor, inputs: LossInputs) -> torch.Tensor | None:
        """Weight of each example, `[..., B]`: its own times that of its class, of mixed classes the mean."""
        if self.weight is None:
            return inputs.weight
        own = target.to(self.weight.dtype) @ self.weight if target.is_floating_point() else self.weight[target]
        return own if inputs.weight is None else own * inputs.weight


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the mean over the last dimension; 0 where all weights are 0."""
    if weight is None:
        return values.mean(dim=-1)
    total = weight.sum(dim=-1)
    return (values * weight).sum(dim=-1) / torch.where(total > 0, total, torch.ones_like(total))
