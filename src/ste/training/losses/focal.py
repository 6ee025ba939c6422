"""Focal loss: examples that are predicted well count less."""

import torch

from ste.registry import LOSSES
from ste.training.losses.base import Loss


class Focal(Loss):
    """`(1 - p)^gamma * -log p` of the true class (Lin et al. 2017, ICCV, "Focal loss for dense object detection").

    With class fractions, from mixup or label smoothing, it is their mean over the classes, which equals the paper's
    where one fraction is 1. It is no proper score for gamma above 0: its probabilities are less sure than the
    frequencies (Charoenphakdee et al. 2021, CVPR).

    Args:
        gamma: 0 or more; 0 is cross-entropy.

    Raises:
        ValueError: gamma below 0.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        if gamma < 0:
            raise ValueError(f"gamma={gamma}: expected a number of 0 or more")
        super().__init__()
        self.gamma = float(gamma)

    def values(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each example, `[..., B]`."""
        logs = logits.log_softmax(dim=-1)
        # 1 - p as the sum of the other probabilities, so that its power has a finite gradient where p rounds to 1.
        others = (-logs.expm1()).clamp(min=torch.finfo(logs.dtype).tiny)
        return -(self.fractions(target, logs) * others.pow(self.gamma) * logs).sum(dim=-1)


LOSSES.add("focal", Focal)
