"""Stretching of a part of a window in time."""

from dataclasses import replace

import numpy as np
import torch

from ste.registry import AUGMENTATIONS
from ste.training.augmentation.base import AugmentedBatch

MIN_WINDOW = 3
"""Minimum periods of a window that can be warped: the first and the last one stay in place."""


def window_warping(features: torch.Tensor, part: float, factor: float, rng: np.random.Generator) -> torch.Tensor:
    """Stretch or compress a part of each window in time, then resample the window to its length.

    Le Guennec, Malinowski and Tavenard (2016), AALTD workshop, "Data augmentation for time series classification
    using convolutional neural networks": the part starts anywhere; stretching and compressing are equally likely.
    Values between two periods are interpolated. The first and the last period stay, so that the label still follows
    the last one.

    Args:
        features: `[B, T, F]`, T at least `MIN_WINDOW`.
        part: fraction of the window's T - 1 steps.
        factor: the part becomes this many times as long, or as many times shorter.
        rng: of the part's position and direction.
    """
    size, periods, _ = features.shape
    length = periods - 1.0
    first = rng.uniform(0.0, length * (1.0 - part), (size, 1))
    times = np.where(rng.random((size, 1)) < 0.5, factor, 1.0 / factor)
    span = length * part
    warped = length + span * (times - 1.0)
    point = np.linspace(0.0, 1.0, periods) * warped  # [B, T], in warped time
    inside = first + (point - first) / times
    after = point - span * (times - 1.0)
    source = np.where(point < first, point, np.where(point < first + span * times, inside, after)).clip(0.0, length)
    left = np.minimum(source.astype(np.int64), periods - 2)
    weight = torch.from_numpy(source - left).to(features).unsqueeze(2)
    at = torch.from_numpy(left).to(features.device).unsqueeze(2).expand(-1, -1, features.shape[2])
    before, behind = features.gather(1, at), features.gather(1, at + 1)
    return torch.lerp(before, behind, weight)


def _window_warping(batch: AugmentedBatch, rng: np.random.Generator, part: float, factor: float) -> AugmentedBatch:
    return replace(batch, features=window_warping(batch.features, part, factor, rng))


AUGMENTATIONS.add("window_warping", _window_warping)
