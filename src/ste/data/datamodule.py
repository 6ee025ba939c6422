"""Tables as batches for Lightning, in the view that a net reads."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist

from ste.data.panel import Panel
from ste.data.sampling import sampled
from ste.data.windows import (
    Batch,
    Examples,
    FlatDataset,
    Joined,
    SequenceDataset,
    Store,
    WindowDataset,
    computed_at_once,
)
from ste.errors import DataError
from ste.schema import PERIOD, SPLITS

FITTED_PERIODS = 1_000_000
"""Read by training examples; of more, scalers look at some: a mean over a million periods is known well enough."""

FITTED_CHUNK = 16_384  # periods in memory at once


@dataclass(frozen=True)
class DataDims:
    """Sizes that a net takes from the data."""

    input_size: int
    num_classes: int
    sequence_length: int
    stock_size: int


Held = Callable[[WindowDataset], Examples]


def _as_it_is(dataset: WindowDataset) -> Examples:
    return dataset


class BatchLoader:
    """Whole batches of a dataset, gathered by index.

    The order of epoch e depends on the seed and e alone, so that a resumed run goes on as it would
    have. In a distributed run each process takes every world-size-th index; when shuffling, the tail
    that would not go round evenly is left out, so that all processes make the same number of steps.

    Args:
        dataset: examples.
        batch_size: examples in a batch (per process).
        shuffle_seed: None keeps the dataset's order and its last, smaller batch.
    """

    def __init__(self, dataset: Examples, batch_size: int, shuffle_seed: int | None = None) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        # Lightning announces each epoch to `loader.sampler.set_epoch`, and asks for both of these.
        self.sampler, self.batch_sampler = self, None
        self._epoch = 0

    @property
    def examples(self) -> int:
        """Examples that a whole batch gathers."""
        return self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self._share() / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rank, size = _process()
        if self.shuffle_seed is None:
            order = torch.arange(len(self.dataset))[rank::size]
        else:
            order = self.shuffled(self.shuffle_seed)[rank::size][: self._share()]
        if not len(order):  # would be split into one empty batch
            return
        size = self.batch_size
        for indices in self.placed(order).split(size * max(1, self.dataset.at_once // size)):
            gathered = self.dataset[indices]
            for features, label in zip(gathered.features.split(size), gathered.label.split(size), strict=True):
                yield type(gathered)(features, label)

    def placed(self, order: torch.Tensor) -> torch.Tensor:
        """An order where the examples are: moved once for an epoch, for which an accelerator need not wait again."""
        return order.to(self.dataset.device)

    def shuffled(self, seed: int) -> torch.Tensor:
        """A seed's order of the examples in this epoch, int64 `[N]`."""
        generator = torch.Generator().manual_seed((seed << 20) + self._epoch)
        return torch.randperm(len(self.dataset), generator=generator)

    def _share(self) -> int:
        rank, size = _process()
        if self.shuffle_seed is None:
            return len(range(rank, len(self.dataset), size))
        return len(self.dataset) // size


def evenly(count: int, some: int) -> torch.Tensor:
    """At most `some` of the numbers below `count`, evenly spaced from 0 on, int64."""
    return torch.arange(0, count, max(1, -(-count // max(1, some))))


def _process() -> tuple[int, int]:
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


class TrendDataModule(pl.LightningDataModule):
    """Train, validation and test examples of a panel.

    A validation window may look back into training periods for features; rows whose role is history end no
    example. What is fitted on data is fitted on `train` alone.

    Args:
        panel: rows and their roles.
        view: `sequence` or `flat`, as the net says.
        seed: of the batch order.
        most_rows: examples of a split that are validated on and scored; None is all of them.

    Attributes:
        datasets: every example, by split.
        scored: those that are validated on and scored: the same, or a sample (`sampling.sampled`).
        samples: how much of a split that is, of each that is not scored whole.

    Raises:
        DataError: a split without examples.
    """

    def __init__(self, panel: Panel, view: str, seed: int = 0, most_rows: int | None = None) -> None:
        super().__init__()
        self.panel = panel
        self.settings = panel.settings
        self.view = view
        self.seed = seed
        present = [code for code in range(len(SPLITS)) if (panel.roles == code).any() or code < 2]
        self.datasets = {SPLITS[code]: self._dataset(panel.store, panel.roles == code) for code in present}
        self.further: WindowDataset | None = None
        for name, dataset in self.datasets.items():
            if not len(dataset):
                where = panel.prepared.files.get(name, "data")
                read = self.settings.sequence_length if view == "sequence" else 1
                longer = "data.history" if self.settings.history and self._history > read else "data.sequence_length"
                raise DataError(
                    f"{where}: no {name} example is left: an example needs {max(read, self._history)} consecutive "
                    f"{PERIOD[self.settings.frequency]}s of one ticker. Try a smaller {longer} or a longer table."
                )
        some = {name: sampled(dataset, most_rows) for name, dataset in self.datasets.items()}
        self.scored = {name: dataset for name, (dataset, _) in some.items()}
        self.samples = {name: sample for name, (_, sample) in some.items() if sample is not None}

    @property
    def _history(self) -> int:
        settings = self.settings
        return settings.sequence_length if settings.history is None else settings.history

    def _dataset(self, store: Store, rows: np.ndarray) -> WindowDataset:
        if self.view == "sequence":
            return SequenceDataset(store, rows, self.settings.sequence_length, self._history)
        return FlatDataset(store, rows, self._history)

    def add_training(self, store: Store, rows: np.ndarray) -> None:
        """Let these rows of another store end further training examples, in training batches and nowhere else.

        Scalers, class weights, baselines and scores know `datasets["train"]` alone.
        """
        self.further = self._dataset(store, rows)

    @property
    def dims(self) -> DataDims:
        """Sizes for the net."""
        return DataDims(
            input_size=len(self.panel.features),
            num_classes=len(self.panel.classes),
            sequence_length=self.settings.sequence_length if self.view == "sequence" else 1,
            stock_size=len(self.panel.groups["stock"]),
        )

    def training_chunks(self, size: int = 65536) -> Iterator[torch.Tensor]:
        """Raw features of the training examples, for fitting scalers; one chunk is in memory at a time.

        Of examples that read more than `FITTED_PERIODS` periods, evenly spaced ones that read as many.
        """
        train = self.datasets["train"]
        if len(train) * train.length <= FITTED_PERIODS:
            return (train[i].features for i in torch.arange(len(train)).split(size))
        return self._some_chunks(train)

    def _some_chunks(self, train: WindowDataset) -> Iterator[torch.Tensor]:
        some = evenly(len(train), FITTED_PERIODS // train.length)
        for index in some.split(max(1, FITTED_CHUNK // train.length)):
            yield train[index].features
            self.panel.store.columns.release()  # they lie all over a mapped table

    def class_counts(self) -> torch.Tensor:
        """Training examples of each class, int64 `[C]`."""
        return self.datasets["train"].class_counts(len(self.panel.classes))

    def truth(self, split: str) -> np.ndarray | None:
        """P(class | features) of a split's scored examples in a synthetic world, float64 `[len, C]`, or None."""
        truth = self.panel.truth
        return None if truth is None else truth[self.scored[split].ends.numpy()]

    def train_dataloader(self, held: Held = _as_it_is) -> BatchLoader:
        """Shuffled training batches, of the examples that `held` makes of a dataset."""
        train = held(self.datasets["train"])
        examples = train if self.further is None else Joined(train, held(self.further))
        return BatchLoader(examples, self.settings.batch_size, shuffle_seed=self.seed)

    def val_dataloader(self, held: Held = _as_it_is) -> BatchLoader:
        """Validation batches in order, likewise."""
        return self._in_order(held(self.scored["validation"]))

    def loader(self, split: str) -> BatchLoader:
        """A split's scored examples in order."""
        return self._in_order(self.scored[split])

    def _in_order(self, examples: Examples) -> BatchLoader:
        return BatchLoader(examples, computed_at_once(self.datasets["train"].length, examples.device))
