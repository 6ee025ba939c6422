"""Batches of complete dates, for nets that read all tickers of a date and for losses that compare them.

N examples, D dates.
"""

import math
from collections.abc import Iterator

import torch

from ste.data.batch_loader import BatchLoader, process
from ste.data.window_dataset import Batch, ExampleSource


class DateLoader(BatchLoader):
    """Iterate over the dates of a dataset in batches of complete dates.

    A batch has as many dates as fit in `batch_size` examples at the size of the largest date, and at least one: every
    order of the dates gives the same number of batches. In a distributed run each process takes every world-size-th
    date; when shuffling, the remainder that does not divide evenly is dropped.

    Args:
        dataset: examples with groups (`WindowDataset.market`, or a cached copy of one).
        batch_size: largest number of examples where several dates fit.
        shuffle_seed: seed of the order of the dates; None iterates from the first date to the last.
    """

    def __init__(self, dataset: ExampleSource, batch_size: int, shuffle_seed: int | None = None) -> None:
        super().__init__(dataset, batch_size, shuffle_seed)
        assert dataset.group is not None, "a dataset without groups"
        group = dataset.group.cpu()
        self._order = group.argsort(stable=True)  # of one date in the order of the dataset: by ticker
        _, self._sizes = group[self._order].unique_consecutive(return_counts=True)
        self._starts = self._sizes.cumsum(0) - self._sizes
        self.dates = max(1, batch_size // max(1, int(self._sizes.max())))

    @property
    def examples(self) -> int:
        """Largest number of examples in a batch."""
        return self.dates * int(self._sizes.max())

    def __len__(self) -> int:
        return math.ceil(len(self._process_dates()) / self.dates)

    def __iter__(self) -> Iterator[Batch]:
        chosen = self._process_dates()
        if not len(chosen):  # `split` would give one empty batch
            return
        together = self.dates * max(1, self.dataset.gather_size // self.examples)
        for dates in chosen.split(together):
            gathered = self.dataset[self.on_device(self._positions(dates))]
            sizes = [int(part.sum()) for part in self._sizes[dates].split(self.dates)]
            yield from gathered.split(sizes)

    def batches(self, seed: int) -> list[torch.Tensor]:
        """Return the positions of each batch's examples in this epoch for a seed, as a list of int64 `[B]`."""
        return [self._positions(dates) for dates in self.shuffled(seed).split(self.dates)]

    def restore(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values of the labelled examples in the order of the dataset; see `BatchLoader.restore`."""
        out = torch.empty_like(values)
        out[self._order] = values
        return out[self.dataset.labels.cpu() >= 0]

    def shuffled(self, seed: int) -> torch.Tensor:
        """Return the order of the dates in this epoch for a seed, int64 `[D]`."""
        generator = torch.Generator().manual_seed((seed << 20) + self._epoch)
        return torch.randperm(len(self._sizes), generator=generator)

    def _process_dates(self) -> torch.Tensor:
        """Return the dates of this process in the order of the epoch."""
        rank, size = process()
        if self.shuffle_seed is None:
            return torch.arange(len(self._sizes))[rank::size]
        return self.shuffled(self.shuffle_seed)[rank::size][: len(self._sizes) // size]

    def _positions(self, dates: torch.Tensor) -> torch.Tensor:
        """Return the positions of the examples of some dates, date after date."""
        sizes = self._sizes[dates]
        within = torch.arange(int(sizes.sum())) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        return self._order[self._starts[dates].repeat_interleave(sizes) + within]
