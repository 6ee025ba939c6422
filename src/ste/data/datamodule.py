"""Weekly tables as batches for Lightning, in the view that a net reads."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
import torch.distributed as dist

from ste.data.files import read_frame, sha256
from ste.data.prepare import PreparedData
from ste.data.split import counted
from ste.data.table import read_table
from ste.data.windows import Batch, FlatDataset, SequenceDataset, Store, WindowDataset
from ste.errors import DataError
from ste.schema import CLASS_NAMES, FEATURES, GROUPS, PROBABILITIES, SPLITS
from ste.settings import DataSettings

EVALUATION_BATCH = 8192


@dataclass(frozen=True)
class DataDims:
    """Sizes that a net takes from the data."""

    input_size: int
    num_classes: int
    sequence_length: int
    stock_size: int


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

    def __init__(self, dataset: WindowDataset, batch_size: int, shuffle_seed: int | None = None) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        # Lightning announces each epoch to `loader.sampler.set_epoch`, and asks for both of these.
        self.sampler, self.batch_sampler = self, None
        self._epoch = 0

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
            generator = torch.Generator().manual_seed((self.shuffle_seed << 20) + self._epoch)
            order = torch.randperm(len(self.dataset), generator=generator)[rank::size][: self._share()]
        for indices in order.split(self.batch_size) if len(order) else ():  # nothing splits into one empty batch
            yield self.dataset[indices]

    def _share(self) -> int:
        rank, size = _process()
        if self.shuffle_seed is None:
            return len(range(rank, len(self.dataset), size))
        return len(self.dataset) // size


def _process() -> tuple[int, int]:
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


class TrendDataModule(pl.LightningDataModule):
    """Train, validation and test examples of prepared tables.

    A validation window may look back into training weeks for features; rows that the purge holds back
    are history too and end no example. What is fitted on data is fitted on `train` alone.

    Args:
        prepared: the tables.
        settings: window length, batch size, horizon and split.
        view: `sequence` or `flat`, as the net says.
        seed: of the batch order.

    Raises:
        DataError: a file that breaks the contract, or a split without examples.
    """

    def __init__(self, prepared: PreparedData, settings: DataSettings, view: str, seed: int = 0) -> None:
        super().__init__()
        self.prepared = prepared
        self.settings = settings
        self.view = view
        self.seed = seed
        frames = {split: read_table(path) for split, path in prepared.files.items()}
        for name, path in prepared.files.items():
            if sha256(path) != prepared.card["files"][name]["sha256"]:
                raise DataError(f"{path}: was changed by another process while it was read. Run again.")
        frame = pd.concat(frames.values(), ignore_index=True)
        frame["split"] = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()])
        self.store = Store.of(frame)
        split = self.store.frame["split"].to_numpy()
        keep = counted(self.store.frame["date"], split, settings.split.gap(settings.labels.horizon))
        self.datasets = {name: self._dataset((split == SPLITS.index(name)) & keep) for name in frames}
        for name, dataset in self.datasets.items():
            if not len(dataset):
                raise DataError(
                    f"{prepared.files[name]}: no {name} example is left: a window needs "
                    f"{self.dims.sequence_length} consecutive weeks of one ticker. Try a smaller "
                    "data.sequence_length or a longer table."
                )

    def _dataset(self, rows: np.ndarray) -> WindowDataset:
        if self.view == "sequence":
            return SequenceDataset(self.store, rows, self.settings.sequence_length)
        return FlatDataset(self.store, rows)

    @property
    def dims(self) -> DataDims:
        """Sizes for the net."""
        return DataDims(
            input_size=len(FEATURES),
            num_classes=len(CLASS_NAMES),
            sequence_length=self.settings.sequence_length if self.view == "sequence" else 1,
            stock_size=len(GROUPS["stock"]),
        )

    def training_chunks(self, size: int = 65536) -> Iterator[torch.Tensor]:
        """Raw features of the training examples, for fitting scalers; one chunk is in memory at a time."""
        train = self.datasets["train"]
        return (train[i].features for i in torch.arange(len(train)).split(size))

    def class_counts(self) -> torch.Tensor:
        """Training examples of each class, int64 `[C]`."""
        return torch.bincount(self.datasets["train"].labels, minlength=len(CLASS_NAMES))

    def truth(self, split: str) -> np.ndarray | None:
        """P(class | features) of a split's examples in a synthetic world, float64 `[len, C]`, or None."""
        if self.prepared.truth is None:
            return None
        known = read_frame(self.prepared.truth)
        known["date"] = pd.to_datetime(known["date"])
        rows = self.datasets[split].frame[["date", "ticker"]]
        joined = rows.merge(known, on=["date", "ticker"], how="left", validate="one_to_one")
        return joined[list(PROBABILITIES)].to_numpy()

    def train_dataloader(self) -> BatchLoader:
        """Shuffled training batches."""
        return BatchLoader(self.datasets["train"], self.settings.batch_size, shuffle_seed=self.seed)

    def val_dataloader(self) -> BatchLoader:
        """Validation batches in order."""
        return self.loader("validation")

    def loader(self, split: str) -> BatchLoader:
        """A split's examples in order, in large batches."""
        return BatchLoader(self.datasets[split], EVALUATION_BATCH)
