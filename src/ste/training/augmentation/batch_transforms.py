"""Augment a training batch with the chosen transform."""

from inspect import signature
from typing import Any

import numpy as np
import torch

from ste.errors import ConfigError
from ste.registry import AUGMENTATIONS
from ste.training.augmentation.base import AugmentedBatch, per_example

_BEFORE_THE_FIT = ("none", "synthetic")


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
    if settings["name"] in _BEFORE_THE_FIT:
        return features, label
    transform, arguments = transform_of(settings)
    batch = AugmentedBatch(features, label, num_classes, varies)
    changed = transform(batch, rng, **arguments)
    if changed.target is not label:
        return changed.features, changed.target
    chosen = torch.from_numpy(rng.random(len(features)) < settings["fraction"]).to(features.device)
    return torch.where(per_example(chosen, features), changed.features, features), label


def transform_of(settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the transform of some settings and its arguments.

    Args:
        settings: `AugmentSettings` as a dict.

    Raises:
        ConfigError: an unknown transform, or arguments that it does not take.
    """
    transform = AUGMENTATIONS[settings["name"]]
    known = [name for name in signature(transform).parameters if name not in ("batch", "rng")]
    given = settings.get("arguments", {})
    unknown = sorted(given.keys() - set(known))
    if unknown:
        names = ", ".join(known) or "none"
        raise ConfigError(f"augment.arguments.{unknown[0]}: {settings['name']} has no such argument. It has {names}.")
    return transform, {name: settings[name] for name in known if name in settings} | given
