"""A random factor for each feature of a window."""

from dataclasses import replace

import numpy as np
import torch

from ste.registry import AUGMENTATIONS
from ste.training.augmentation.base import AugmentedBatch, normal


def scaling(features: torch.Tensor, sigma: float, rng: np.random.Generator) -> torch.Tensor:
    """Multiply each feature of a window by one factor from N(1, sigma^2) (Um et al. 2017).

    Args:
        features: `[B, T, F]` or `[B, F]`.
        sigma: standard deviation of the factors.
        rng: of the factors.
    """
    factor = 1.0 + sigma * normal((len(features), features.shape[-1]), features, rng)
    return features * (factor.unsqueeze(1) if features.dim() == 3 else factor)


def _scaling(batch: AugmentedBatch, rng: np.random.Generator, sigma: float) -> AugmentedBatch:
    return replace(batch, features=scaling(batch.features, sigma, rng))


AUGMENTATIONS.add("scaling", _scaling)
