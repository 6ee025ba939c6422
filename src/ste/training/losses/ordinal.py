"""A loss of ordered classes: a mistake by two classes costs more than by one."""

import torch

from ste.registry import LOSSES
from ste.training.losses.base import Loss


class Ordinal(Loss):
    """Squared distance of the cumulative probabilities from the true class's, summed over the C - 1 thresholds.

    This is the ranked probability score (Epstein 1969, Journal of Applied Meteorology 8), a strictly proper score
    (Murphy 1969), known for nets as the squared earth mover's distance (Hou, Yu and Samaras 2016, arXiv:1611.05916).
    The classes are ordered from Downtrend to Uptrend. With two classes it is half the Brier score.
    """

    def values(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute the loss of each example, 0 to C - 1, `[..., B]`."""
        probs = logits.softmax(dim=-1)
        distance = (probs - self.fractions(target, probs)).cumsum(dim=-1)[..., :-1]
        return distance.square().sum(dim=-1)


LOSSES.add("ordinal", Ordinal)
