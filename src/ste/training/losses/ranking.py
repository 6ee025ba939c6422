"""A loss that orders the tickers of each date."""

import torch
from torch.nn import functional

from ste.registry import LOSSES
from ste.training.losses.base import NO_INPUTS, Loss, LossInputs
from ste.training.losses.cross_entropy import CrossEntropy


class RankingLoss(Loss):
    """Cross-entropy plus a pairwise loss of the order of the tickers at each date.

    RankNet's loss (Burges et al. 2005, ICML, "Learning to Rank using Gradient Descent"): of each pair of tickers of a
    date with different classes, `log(1 + exp(-sharpness * (s_i - s_j)))`, where i has the higher class. The score s is
    the expected class, `sum over c of c * p_c`, so that the probabilities themselves order the tickers, and the
    cross-entropy keeps them calibrated. The pairwise loss is a mean over the pairs of a date, then over the dates that
    have any; a batch without pairs has none. Class and example weights are those of the cross-entropy.

    Args:
        pairwise: weight of the pairwise loss next to the cross-entropy, whose weight is 1.
        sharpness: sigma of RankNet. Scores differ by less than C - 1: with a larger value, pairs that are in the right
            order by a small margin count less.

    Raises:
        ValueError: a weight or a sharpness of 0 or less.
    """

    per_example = False
    needs_groups = True

    def __init__(self, pairwise: float = 1.0, sharpness: float = 1.0) -> None:
        for name, value in (("pairwise", pairwise), ("sharpness", sharpness)):
            if not value > 0.0:
                raise ValueError(f"{name}={value}: expected a number above 0")
        super().__init__()
        self.pairwise, self.sharpness = float(pairwise), float(sharpness)
        self.cross_entropy = CrossEntropy()

    def set_up(self, num_classes: int, class_weights: list[float] | None = None, label_smoothing: float = 0.0) -> None:
        """Take what comes from the data and from the settings of every loss."""
        super().set_up(num_classes, class_weights, label_smoothing)
        self.cross_entropy.set_up(num_classes, class_weights, label_smoothing)

    def forward(self, logits: torch.Tensor, target: torch.Tensor, inputs: LossInputs = NO_INPUTS) -> torch.Tensor:
        """Compute the loss, a scalar.

        Args:
            logits: float `[B, C]`.
            target: int64 `[B]`, classes in their order.
            inputs: with the date of each example.
        """
        if inputs.group is None:
            raise TypeError("the ranking loss reads the date of each example")
        order = pairwise_loss(expected_class(logits), target, inputs.group, self.sharpness)
        return self.cross_entropy(logits, target, inputs) + self.pairwise * order


LOSSES.add("ranking", RankingLoss)


def expected_class(logits: torch.Tensor) -> torch.Tensor:
    """Compute the expected class index of logits `[B, C]`, between 0 and C - 1: `[B]`."""
    return logits.softmax(dim=-1) @ torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)


def pairwise_loss(
    score: torch.Tensor, target: torch.Tensor, group: torch.Tensor, sharpness: float = 1.0
) -> torch.Tensor:
    """Compute RankNet's loss over the pairs of each group, meaned over pairs, then over groups: a scalar.

    Args:
        score: float `[B]`.
        target: int64 `[B]`; of a pair, the example with the larger one should have the larger score.
        group: int64 `[B]`; pairs are within a group.
        sharpness: factor of the score differences.
    """
    same = group[:, None] == group
    ordered = same & (target[:, None] > target)
    own = ordered.sum(dim=1).to(score.dtype)
    pairs = same.to(score.dtype) @ own  # of each example's group
    groups = (own / pairs.clamp(min=1.0)).sum()  # with pairs: the fractions of a group sum to 1
    losses = functional.softplus(-sharpness * (score[:, None] - score))
    weight = ordered / (pairs * groups).clamp(min=1.0)[:, None]
    return (losses * weight).sum()
