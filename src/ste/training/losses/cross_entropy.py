"""Cross-entropy, the default loss."""

import torch
from torch.nn import functional

from ste.registry import LOSSES
from ste.training.losses.base import NO_INPUTS, Loss, LossInputs


class CrossEntropy(Loss):
    """Negative log probability of the true class (Good 1952), as `torch.nn.CrossEntropyLoss` computes it, nats.

    With class fractions it is their mean of the classes' negative log probabilities. Label smoothing (Szegedy et al.
    2016, CVPR) and class weights are PyTorch's: smoothing weighs each class's part by that class's weight, and the mean
    over fractions divides by the number of examples.
    """

    def values(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each example, class weight included, `[..., B]`."""
        flat = target.flatten(0, -2) if target.is_floating_point() else target.flatten()
        losses = functional.cross_entropy(
            logits.flatten(0, -2), flat, self.weight, reduction="none", label_smoothing=self.label_smoothing
        )
        return losses.view(logits.shape[:-1])

    def forward(self, logits: torch.Tensor, target: torch.Tensor, inputs: LossInputs = NO_INPUTS) -> torch.Tensor:
        """Compute the mean loss of a batch: scalar, or `[R]` for replicas."""
        if inputs.weight is None and logits.dim() == 2:
            return functional.cross_entropy(logits, target, self.weight, label_smoothing=self.label_smoothing)
        losses, hard = self.values(logits, target), not target.is_floating_point()
        if inputs.weight is None:
            if self.weight is None or not hard:
                return losses.mean(dim=-1)
            return losses.sum(dim=-1) / self.weight[target].sum(dim=-1)
        weights = inputs.weight * self.weight[target] if hard and self.weight is not None else inputs.weight
        total = weights.sum(dim=-1)
        return (losses * inputs.weight).sum(dim=-1) / torch.where(total > 0, total, torch.ones_like(total))


LOSSES.add("cross_entropy", CrossEntropy)
