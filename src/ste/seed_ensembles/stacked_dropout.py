"""Dropout of replicas, each with its own rate and random stream."""

from collections.abc import Sequence

import torch
from torch import nn


class RandomStreams:
    """One random stream per replica, so that each draws what it would draw in its own run.

    Attributes:
        sizes: examples of each replica's batch, where the rest of a common size is padding; None where they are alike.
    """

    def __init__(self, count: int) -> None:
        self.sizes: list[int] | None = None
        self.generators = [torch.Generator() for _ in range(count)]

    def seed(self, seeds: Sequence[int]) -> None:
        """Restart each replica's stream from its seed."""
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)


class StackedDropout(nn.Module):
    """Drop units of `[R, ...]` at a rate per replica.

    On a CPU every replica draws from its own stream as PyTorch does, so that the masks are those of its own run.
    Elsewhere one draw makes all masks: a draw per replica would cost a kernel each.

    Args:
        rates: dropout rate of each replica.
        streams: random streams of the replicas.
        channels: drop complete rows of the last dimension (`nn.Dropout1d`).
        batch: dimension of the examples in the tensor of one replica.
    """

    retained: torch.Tensor

    def __init__(
        self, rates: Sequence[float], streams: RandomStreams, *, channels: bool = False, batch: int = 0
    ) -> None:
        super().__init__()
        self.rates = list(rates)
        self.streams = streams
        self.channels = channels
        self.batch = batch
        self.register_buffer("retained", 1.0 - torch.tensor(self.rates), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop units of `[R, ...]` in training; return it unchanged in evaluation."""
        if not self.training or not any(self.rates):
            return x
        shape = (*x.shape[:-1], 1) if self.channels else x.shape
        if x.device.type == "cpu":
            return x * self._draw_separately(x.new_ones(shape))
        return x * self.draw_masks(x, shape)

    def draw_masks(self, x: torch.Tensor, shape: torch.Size | tuple[int, ...]) -> torch.Tensor:
        """Draw the scaled masks of all replicas together, without synchronizing with the device."""
        retained = self.retained.to(x.dtype).view(-1, *[1] * (len(shape) - 1))
        return torch.bernoulli(retained.expand(shape)) / retained

    def _draw_separately(self, mask: torch.Tensor) -> torch.Tensor:
        sizes = self.streams.sizes or [mask.shape[1 + self.batch]] * len(mask)
        for part, rate, generator, size in zip(mask, self.rates, self.streams.generators, sizes, strict=True):
            if not rate:
                continue
            own = part.narrow(self.batch, 0, size)
            drawn = own if own.is_contiguous() else torch.empty_like(own, memory_format=torch.contiguous_format)
            own.copy_(drawn.bernoulli_(1.0 - rate, generator=generator).div_(1.0 - rate))
        return mask
