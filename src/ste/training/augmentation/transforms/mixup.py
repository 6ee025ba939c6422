"""Averages of pairs of examples and of their labels."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import one_hot

from ste.registry import AUGMENTATIONS
from ste.training.augmentation.base import AugmentedBatch, per_example


def mixup(
    features: torch.Tensor, label: torch.Tensor, num_classes: int, alpha: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average each example with another one of the batch, and their one-hot labels with the same weight.

    Zhang, Cisse, Dauphin and Lopez-Paz (2018), ICLR, "mixup: beyond empirical risk minimization". Each pair has its own
    weight. The example itself gets the larger part: pairs are drawn uniformly and Beta(alpha, alpha) is symmetric, so
    that the expected loss is the paper's, and the example's own label stays the most probable.

    Args:
        features: `[B, T, F]` or `[B, F]`.
        label: int64 `[B]`.
        num_classes: C.
        alpha: of the beta distribution.
        rng: of pairs and weights.

    Returns:
        Mixed features, and class fractions `[B, C]` that sum to 1.
    """
    drawn = rng.beta(alpha, alpha, len(features))
    weight = torch.from_numpy(np.maximum(drawn, 1.0 - drawn)).to(features)
    other = torch.from_numpy(rng.permutation(len(features))).to(features.device)
    hot = one_hot(label, num_classes).to(features)
    mixed = torch.lerp(features[other], features, per_example(weight, features))
    return mixed, torch.lerp(hot[other], hot, weight.unsqueeze(1))


def _mixup(batch: AugmentedBatch, rng: np.random.Generator, alpha: float) -> AugmentedBatch:
    features, target = mixup(batch.features, batch.target, batch.num_classes, alpha, rng)
    return replace(batch, features=features, target=target)


AUGMENTATIONS.add("mixup", _mixup)
