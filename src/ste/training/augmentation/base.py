"""What a transform of training batches receives and returns, and how it draws numbers.

All random numbers come from a CPU generator that depends on the seed, the epoch, the batch and the rank alone: a run
repeats exactly, a resumed one ends where it would have ended, and a GPU draws what a CPU draws.

Noise is drawn for each window separately. A macro figure, which all tickers of a week share, then differs between
tickers; a net can identify the date less well, and learns nothing else from it.
"""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class AugmentedBatch:
    """A training batch of B examples; `dataclasses.replace` changes a part of it.

    Attributes:
        features: normalized, float `[B, T, F]` or `[B, F]`.
        target: labels int64 `[B]`, or class fractions float `[B, C]`.
        num_classes: C.
        varies: bool `[F]`, columns that are not constant over the training rows.
    """

    features: torch.Tensor
    target: torch.Tensor
    num_classes: int
    varies: torch.Tensor


def normal(shape: tuple[int, ...], like: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Draw standard normal numbers of a shape, on the device and in the type of a tensor."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(like)


def per_example(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Reshape `[B]` so that it broadcasts over examples."""
    return values.view(-1, *[1] * (like.dim() - 1))
