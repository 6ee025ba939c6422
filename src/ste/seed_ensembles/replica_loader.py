"""Training batches of replicas, each in its own order."""

from collections.abc import Iterator

import torch

from ste.data.datamodule import BatchLoader
from ste.data.window_dataset import Batch, ExampleSource


class ReplicaLoader(BatchLoader):
    """Iterate over batches `[R, B, ...]` in which replica i sees the examples in the order of the run of `seed + i`.

    Args:
        dataset: examples.
        batch_size: of each replica.
        seed: of the first replica.
        count: replicas, R.
    """

    def __init__(self, dataset: ExampleSource, batch_size: int, seed: int, count: int) -> None:
        super().__init__(dataset, batch_size, seed)
        self.seeds = range(seed, seed + count)

    @property
    def examples(self) -> int:
        """Examples in a batch, those of all replicas."""
        return self.batch_size * len(self.seeds)

    def __iter__(self) -> Iterator[Batch]:
        orders = torch.stack([self.shuffled(seed) for seed in self.seeds])
        for indices in self.on_device(orders).split(self.batch_size, dim=1):
            yield self.dataset[indices]
