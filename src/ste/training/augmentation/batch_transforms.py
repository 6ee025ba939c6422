"""Transforms of a batch of training examples, applied to normalized features.

All random numbers come from a CPU generator that depends on the seed, the epoch, the batch and the rank alone: a run
repeats exactly, a resumed one ends where it would have ended, and a GPU draws what a CPU draws.

Noise is drawn for each window separately. A macro figure, which all tickers of a week share, then differs between
tickers; a net can identify the date less well, and learns nothing else from it.
"""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import one_hot

MIN_WINDOW = 3
"""Minimum periods of a window that can be warped: the first and the last one stay in place."""


def generator(seed: int, epoch: int, batch: int, rank: int = 0) -> np.random.Generator:
    """Return the random number generator of one training batch."""
    return np.random.default_rng([seed, epoch, batch, rank])


def augment_batch(
    settings: dict[str, Any],
    features: torch.Tensor,
    label: torch.Tensor,
    num_classes: int,
    varies: torch.Tensor,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Augment a batch.

    Args:
        settings: `AugmentSettings` as a dict.
        features: normalized, float `[B, T, F]` or `[B, F]`.
        label: int64 `[B]`.
        num_classes: C.
        varies: bool `[F]`, columns that are not constant over the training rows.
        rng: from `generator`.

    Returns:
        Features of the same shape, and the target of a cross-entropy: labels `[B]`, or class fractions float
        `[B, C]`.
    """
    match settings["name"]:
        case "none" | "synthetic":
            return features, label
        case "mixup":
            return mixup(features, label, num_classes, settings["alpha"], rng)
        case "jitter":
            changed = jitter(features, settings["sigma"], varies, rng)
        case "scaling":
            changed = scaling(features, settings["sigma"], rng)
        case _:
            changed = window_warping(features, settings["part"], settings["factor"], rng)
    chosen = torch.from_numpy(rng.random(len(features)) < settings["fraction"]).to(features.device)
    return torch.where(_per_example(chosen, features), changed, features), label


def jitter(features: torch.Tensor, sigma: float, varies: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Add Gaussian noise to every value (Um et al. 2017, ICMI, "Data augmentation of wearable sensor data").

    A column that is constant over the training rows carries nothing and gets no noise.

    Args:
        features: `[B, T, F]` or `[B, F]`.
        sigma: standard deviation of the noise.
        varies: bool `[F]`.
        rng: of the noise.
    """
    return features + sigma * varies.to(features) * _normal(tuple(features.shape), features, rng)


def scaling(features: torch.Tensor, sigma: float, rng: np.random.Generator) -> torch.Tensor:
    """Multiply each feature of a window by one factor from N(1, sigma^2) (Um et al. 2017).

    Args:
        features: `[B, T, F]` or `[B, F]`.
        sigma: standard deviation of the factors.
        rng: of the factors.
    """
    factor = 1.0 + sigma * _normal((len(features), features.shape[-1]), features, rng)
    return features * (factor.unsqueeze(1) if features.dim() == 3 else factor)


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
    mixed = torch.lerp(features[other], features, _per_example(weight, features))
    return mixed, torch.lerp(hot[other], hot, weight.unsqueeze(1))


def _normal(shape: tuple[int, ...], like: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(like)


def _per_example(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Reshape `[B]` so that it broadcasts over examples."""
    return values.view(-1, *[1] * (like.dim() - 1))
