"""Gaussian noise on the features."""

from dataclasses import replace

import numpy as np
import torch

from ste.registry import AUGMENTATIONS
from ste.training.augmentation.base import AugmentedBatch, normal


def jitter(features: torch.Tensor, sigma: float, varies: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Add Gaussian noise to every value (Um et al. 2017, ICMI, "Data augmentation of wearable sensor data").

    A column that is constant over the training rows carries nothing and gets no noise.

    Args:
        features: `[B, T, F]` or `[B, F]`.
        sigma: standard deviation of the noise.
        varies: bool `[F]`.
        rng: of the noise.
    """
    return features + sigma * varies.to(features) * normal(tuple(features.shape), features, rng)


def _jitter(batch: AugmentedBatch, rng: np.random.Generator, sigma: float) -> AugmentedBatch:
    return replace(batch, features=jitter(batch.features, sigma, batch.varies, rng))


AUGMENTATIONS.add("jitter", _jitter)
