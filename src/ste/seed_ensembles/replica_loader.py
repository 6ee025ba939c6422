"""Training batches of replicas, each in its own order."""

from collections.abc import Iterator

import torch
from torch.nn.utils.rnn import pad_sequence

from ste.data.batch_loader import BatchLoader
from ste.data.date_loader import DateLoader
from ste.data.window_dataset import Batch, ExampleSource

PADDING = torch.iinfo(torch.int64).min
"""Group of the rows that fill up the batch of a replica."""


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


class ReplicaDateLoader(DateLoader):
    """Iterate over batches `[R, B, ...]` of whole dates, those of the run of `seed + i` for replica i.

    The batches of the replicas have different sizes: after a shorter one come rows of the group `PADDING` and the
    label -1.

    Args:
        dataset: examples with groups.
        batch_size: of each replica.
        seed: of the first replica.
        count: replicas, R.
    """

    def __init__(self, dataset: ExampleSource, batch_size: int, seed: int, count: int) -> None:
        super().__init__(dataset, batch_size, seed)
        self.seeds = range(seed, seed + count)

    @property
    def examples(self) -> int:
        """Largest number of examples in a batch, those of all replicas."""
        return super().examples * len(self.seeds)

    def __iter__(self) -> Iterator[Batch]:
        for each in zip(*(self.batches(seed) for seed in self.seeds), strict=True):
            sizes = torch.tensor([len(positions) for positions in each])
            index = self.on_device(pad_sequence(list(each), batch_first=True))
            real = self.on_device(torch.arange(index.shape[1]) < sizes[:, None])
            batch = self.dataset[index]
            assert batch.group is not None
            yield batch._replace(label=batch.label.where(real, -1), group=batch.group.where(real, PADDING))
