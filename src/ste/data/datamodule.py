"""Lightning data module: train, validation and test batches of a panel."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lightning.pytorch as pl
import numpy as np
import torch

from ste.data.batch_loader import BatchLoader
from ste.data.date_loader import DateLoader
from ste.data.panel import Panel
from ste.data.row_store import RowStore
from ste.data.sampling import sample_tickers
from ste.data.window_dataset import (
    ExampleSource,
    FlatDataset,
    JoinedDataset,
    SequenceDataset,
    WindowDataset,
    forward_batch_size,
)
from ste.data.windows import MAX_EXAMPLES
from ste.errors import DataError
from ste.labels.weights import example_weights
from ste.schema import PERIOD, SPLITS

FITTED_PERIODS = 1_000_000
"""Maximum number of periods that the scalers are fitted on; a longer training split is sampled evenly."""
FITTED_CHUNK = 16_384
"""Periods in memory at once while the scalers of a long training split are fitted."""


@dataclass(frozen=True)
class DataDims:
    """Sizes that a net takes from the data.

    Attributes:
        input_size: features of a row, F.
        num_classes: classes, C.
        sequence_length: periods in a window, T; 1 for a flat net.
        stock_size: features of the first group.
    """

    input_size: int
    num_classes: int
    sequence_length: int
    stock_size: int


DatasetView = Callable[[WindowDataset], ExampleSource]
"""Returns what batches are gathered from: the dataset itself, or a normalized copy of it on a device."""


def _unchanged(dataset: WindowDataset) -> ExampleSource:
    return dataset


def evenly_spaced(count: int, max_indices: int) -> torch.Tensor:
    """Return at most `max_indices` evenly spaced indices below `count`, from 0 on, int64."""
    return torch.arange(0, count, max(1, -(-count // max(1, max_indices))))


class TrendDataModule(pl.LightningDataModule):
    """Train, validation and test examples of a panel.

    A validation window may read training periods as features; history rows end no example. Scalers and class
    weights are fitted on `train` alone.

    Args:
        panel: rows and their splits.
        view: `sequence` or `flat`: what the net reads.
        seed: of the batch order.
        max_examples: maximum number of examples of a split that are validated on and scored; None is all.

    Attributes:
        datasets: every example, by split.
        scored: the validated and scored examples: the same, or a sample (`sampling.sample_tickers`).
        samples: size of the sample, by split that is sampled.

    Raises:
        DataError: a split without examples.
    """

    def __init__(self, panel: Panel, view: str, seed: int = 0, max_examples: int | None = None) -> None:
        super().__init__()
        self.panel = panel
        self.settings = panel.settings
        self.view = view
        self.seed = seed
        present = [code for code in range(len(SPLITS)) if (panel.row_split == code).any() or code < 2]
        self.datasets = {SPLITS[code]: self._dataset(panel.store, panel.row_split == code) for code in present}
        self.extra_training: WindowDataset | None = None
        self.datasets["train"].weight = self._training_weights()
        for name, dataset in self.datasets.items():
            if not len(dataset):
                where = panel.prepared.files.get(name, "data")
                read = self.settings.sequence_length if view == "sequence" else 1
                longer = "data.history" if self.settings.history and self._history > read else "data.sequence_length"
                raise DataError(
                    f"{where}: no {name} example is left: an example needs {max(read, self._history)} consecutive "
                    f"{PERIOD[self.settings.frequency]}s of one ticker. Try a smaller {longer} or a longer table."
                )
        sampled = {name: sample_tickers(dataset, max_examples) for name, dataset in self.datasets.items()}
        self.scored = {name: dataset for name, (dataset, _) in sampled.items()}
        self.samples = {name: sample for name, (_, sample) in sampled.items() if sample is not None}

    @property
    def _history(self) -> int:
        settings = self.settings
        return settings.sequence_length if settings.history is None else settings.history

    def _dataset(self, store: RowStore, rows: np.ndarray) -> WindowDataset:
        if self.view == "sequence":
            return SequenceDataset(store, rows, self.settings.sequence_length, self._history)
        return FlatDataset(store, rows, self._history)

    def _training_weights(self) -> torch.Tensor | None:
        """Return the weight of each row that ends a training example, float32 `[N]`; None where all count alike."""
        settings, store, train = self.settings.labels, self.panel.store, self.datasets["train"]
        ends = train.ends.numpy()
        period = store.period[ends]
        label_end = period + settings.horizon if store.label_end is None else store.label_end[ends]
        weights = example_weights(settings.weights, settings.half_life, store.columns.ticker[ends], period, label_end)
        if weights is None:
            return None
        out = torch.zeros(len(store))
        out[train.ends] = torch.from_numpy(weights).float()
        return out

    def add_training_examples(self, store: RowStore, rows: np.ndarray) -> None:
        """Add the examples that end at these rows of another store to the training batches.

        Scalers, class weights, baselines and scores use `datasets["train"]` alone.

        Args:
            store: rows of a synthetic market.
            rows: bool `[N]`, rows that may end an example.
        """
        self.extra_training = self._dataset(store, rows)

    @property
    def dims(self) -> DataDims:
        """Sizes for the net."""
        return DataDims(
            input_size=len(self.panel.features),
            num_classes=len(self.panel.classes),
            sequence_length=self.settings.sequence_length if self.view == "sequence" else 1,
            stock_size=len(next(iter(self.panel.groups.values()))),
        )

    def training_chunks(self, size: int = 65536) -> Iterator[torch.Tensor]:
        """Yield raw features of the training examples in chunks, for fitting scalers.

        Where the examples read more than `FITTED_PERIODS` periods, evenly spaced examples are used.

        Args:
            size: examples in a chunk of a shorter split.
        """
        train = self.datasets["train"]
        index = evenly_spaced(len(train), FITTED_PERIODS // train.length)
        if len(train) * train.length > FITTED_PERIODS:
            size = max(1, FITTED_CHUNK // train.length)
        for part in index.split(size):
            yield train[part].features
            self.panel.store.columns.release()  # the examples of a long split touch every page of a mapped table

    def class_counts(self) -> torch.Tensor:
        """Count the training examples of each class, int64 `[C]`."""
        return self.datasets["train"].class_counts(len(self.panel.classes))

    def truth(self, split: str) -> np.ndarray | None:
        """Return P(class | features) of a split's scored examples in a synthetic market, float64 `[n, C]`, or None."""
        truth = self.panel.truth
        return None if truth is None else truth[self.scored[split].ends.numpy()]

    def train_dataloader(self, view: DatasetView = _unchanged, *, whole_dates: bool = False) -> BatchLoader:
        """Return shuffled training batches.

        Args:
            view: what the batches are gathered from; default: the dataset itself.
            whole_dates: whether batches consist of complete dates, see `DateLoader`.
        """
        parts = [self.datasets["train"]] + ([] if self.extra_training is None else [self.extra_training])
        first, *further = [view(part.market() if whole_dates else part) for part in parts]
        examples = JoinedDataset(first, *further) if further else first
        loader = DateLoader if whole_dates else BatchLoader
        return loader(examples, self.settings.batch_size, shuffle_seed=self.seed)

    def val_dataloader(self, view: DatasetView = _unchanged, *, whole_dates: bool = False) -> BatchLoader:
        """Return validation batches in order; arguments as of `train_dataloader`."""
        return self._in_order(self.scored["validation"], view, whole_dates)

    def loader(self, split: str, *, whole_dates: bool = False) -> BatchLoader:
        """Return batches of a split's scored examples in order; with `whole_dates` in the order of their dates."""
        return self._in_order(self.scored[split], _unchanged, whole_dates)

    def _in_order(self, dataset: WindowDataset, view: DatasetView, whole_dates: bool) -> BatchLoader:
        examples = view(dataset.market() if whole_dates else dataset)
        size = forward_batch_size(self.datasets["train"].length, examples.device)
        return DateLoader(examples, min(size, MAX_EXAMPLES)) if whole_dates else BatchLoader(examples, size)
