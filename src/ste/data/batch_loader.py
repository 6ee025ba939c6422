"""Batches of examples, each gathered by one index operation."""

import math
from collections.abc import Iterator

import torch
import torch.distributed as dist

from ste.data.window_dataset import Batch, ExampleSource


class BatchLoader:
    """Iterate over a dataset in batches, each gathered by one index operation.

    The order of an epoch depends on the seed and the epoch alone, so that a resumed run has the order of an
    uninterrupted one. In a distributed run each process takes every world-size-th index; when shuffling, the
    remainder that does not divide evenly is dropped, so that all processes make the same number of steps.

    Args:
        dataset: examples.
        batch_size: examples in a batch of this process.
        shuffle_seed: seed of the shuffling; None iterates in the dataset's order and includes the last, smaller
            batch.
    """

    def __init__(self, dataset: ExampleSource, batch_size: int, shuffle_seed: int | None = None) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        # Lightning calls `loader.sampler.set_epoch` before each epoch and reads both attributes.
        self.sampler, self.batch_sampler = self, None
        self._epoch = 0

    @property
    def examples(self) -> int:
        """Number of examples in a whole batch."""
        return self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order the next iteration has."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self._process_examples() / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rank, size = process()
        if self.shuffle_seed is None:
            order = torch.arange(len(self.dataset))[rank::size]
        else:
            order = self.shuffled(self.shuffle_seed)[rank::size][: self._process_examples()]
        if not len(order):  # `split` would give one empty batch
            return
        size = self.batch_size
        for indices in self.on_device(order).split(size * max(1, self.dataset.gather_size // size)):
            yield from self.dataset[indices].split(size)

    def on_device(self, order: torch.Tensor) -> torch.Tensor:
        """Move the epoch's index order to the dataset's device, once, so that no step waits for a copy."""
        return order.to(self.dataset.device)

    def shuffled(self, seed: int) -> torch.Tensor:
        """Return the order of the examples in this epoch for a seed, int64 `[N]`."""
        generator = torch.Generator().manual_seed((seed << 20) + self._epoch)
        return torch.randperm(len(self.dataset), generator=generator)

    def restore(self, values: torch.Tensor) -> torch.Tensor:
        """Return what was computed of the batches, joined, `[N, ...]`, in the order of the dataset."""
        return values

    def _process_examples(self) -> int:
        rank, size = process()
        if self.shuffle_seed is None:
            return len(range(rank, len(self.dataset), size))
        return len(self.dataset) // size


def process() -> tuple[int, int]:
    """Return rank and number of the processes of a distributed run, `(0, 1)` in any other."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)
