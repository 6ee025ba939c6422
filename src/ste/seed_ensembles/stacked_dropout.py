"""Dropout of many replicas, each with a share and a random stream of its own."""

from collections.abc import Sequence

import torch
from torch import nn


class RandomStreams:
    """One random stream per replica; a replica draws what it would draw alone."""

    def __init__(self, count: int) -> None:
        self.generators = [torch.Generator() for _ in range(count)]

    def seed(self, seeds: Sequence[int]) -> None:
        """Begin each replica's stream anew."""
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)


class StackedDropout(nn.Module):
    """Dropout of `[R, ...]` with a share per replica.

    On a CPU every replica draws from its own stream, in PyTorch's own way, and so the masks are those of the
    replica trained alone. Elsewhere one draw makes the masks of all: a draw per replica would cost a kernel each.

    Args:
        shares: dropped, one per replica.
        streams: the replicas' own.
        channels: drop whole rows of the last dimension (`nn.Dropout1d`).
    """

    kept: torch.Tensor

    def __init__(self, shares: Sequence[float], streams: RandomStreams, *, channels: bool = False) -> None:
        super().__init__()
        self.shares = list(shares)
        self.streams = streams
        self.channels = channels
        self.register_buffer("kept", 1.0 - torch.tensor(self.shares), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[R, ...]` of the same shape; the same in evaluation."""
        if not self.training or not any(self.shares):
            return x
        shape = (*x.shape[:-1], 1) if self.channels else x.shape
        if x.device.type == "cpu":
            return x * self._own(x.new_ones(shape))
        return x * self.at_once(x, shape)

    def at_once(self, x: torch.Tensor, shape: torch.Size | tuple[int, ...]) -> torch.Tensor:
        """Scaled masks of all replicas from one draw, without a wait for the device."""
        kept = self.kept.to(x.dtype).view(-1, *[1] * (len(shape) - 1))
        return torch.bernoulli(kept.expand(shape)) / kept

    def _own(self, mask: torch.Tensor) -> torch.Tensor:
        for part, share, generator in zip(mask, self.shares, self.streams.generators, strict=True):
            if share:
                part.bernoulli_(1.0 - share, generator=generator).div_(1.0 - share)
        return mask
