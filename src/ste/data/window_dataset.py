"""Datasets of windows over one shared store of rows; rows are copied when a batch is gathered.

B examples in a batch, T periods in a window, F features.
"""

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ste.data.row_store import RowStore

CPU_ROWS = 16_384
"""Rows in one forward pass on a CPU: activations of more rows leave its caches (docs/decisions.md)."""

ACCELERATOR_EXAMPLES = 8192
"""Examples in one forward pass on an accelerator."""


class Batch(NamedTuple):
    """A batch of examples.

    Attributes:
        features: float32 `[B, T, F]` (sequence) or `[B, F]` (flat), raw values of the table.
        label: int64 `[B]`, the class of each window's last period; in a batch with groups -1 for an example that is
            read with the others of its date, but not trained on or scored.
        weight: float32 `[B]`, how much each example counts in training; None where all count alike.
        group: int64 `[B]`, equal for the examples of one date; None where no net or loss compares them.
    """

    features: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor | None = None
    group: torch.Tensor | None = None

    def on(self, device: torch.device) -> Self:
        """Return the batch on a device."""
        weight, group = (None if part is None else part.to(device) for part in (self.weight, self.group))
        return type(self)(self.features.to(device), self.label.to(device), weight, group)

    def split(self, sizes: int | list[int]) -> Iterator[Self]:
        """Yield consecutive parts of this size, or of these sizes."""
        features = self.features.split(sizes)
        others = ([None] * len(features) if part is None else part.split(sizes) for part in self[1:])
        for parts in zip(features, *others, strict=True):
            yield type(self)(*parts)

    @property
    def labelled(self) -> torch.Tensor:
        """Positions of the examples with a label, int64; of a batch with groups."""
        return (self.label >= 0).nonzero().squeeze(1)


def forward_batch_size(periods: int, device: torch.device) -> int:
    """Return the number of examples to gather, or to pass forward without gradients, at once.

    Args:
        periods: rows that an example reads, T.
        device: of the examples.
    """
    return max(1, CPU_ROWS // periods) if device.type == "cpu" else ACCELERATOR_EXAMPLES


class WindowDataset(Dataset[Batch]):
    """Examples that end at chosen rows of a store; `dataset[index_tensor]` gathers a batch.

    Args:
        store: the shared rows.
        rows: bool `[N]`, rows that may end an example.
        length: periods that an example reads, T.
        history: consecutive periods that an example needs, even where it reads fewer.

    Attributes:
        group: date of each example, int64 `[N]`, in a dataset of `market`; else None.
    """

    def __init__(self, store: RowStore, rows: np.ndarray, length: int, history: int = 1) -> None:
        self.store = store
        self.length = length
        self.needed = max(history, length)
        self.weight: torch.Tensor | None = None  # of each row, float32 `[N]`
        usable = torch.from_numpy(rows) & (store.history >= self.needed) & (store.label >= 0)
        self.ends = usable.nonzero().squeeze(1)
        self.group: torch.Tensor | None = None
        self._labelled = torch.empty(0, dtype=torch.bool)

    def with_ends(self, ends: torch.Tensor) -> Self:
        """Return the dataset restricted to the examples that end at these rows, int64 `[n]`."""
        other = copy(self)
        other.ends = ends
        return other

    def market(self) -> Self:
        """Return every example of the dates of these, whatever its label or split, with the dates as groups.

        Those that are not in this dataset have the label -1: a net that reads all tickers of a date reads them, as it
        does when it is served, and they are not trained on or scored. With two classes, for example, a ticker would
        otherwise be missing from a date because of the return that follows.
        """
        period = self.store.period
        rows = (self.store.history >= self.needed).numpy() & np.isin(period, np.unique(period[self.ends.numpy()]))
        other = self.with_ends(torch.from_numpy(np.flatnonzero(rows)))
        other.group = torch.from_numpy(period[rows].astype(np.int64))
        other._labelled = torch.isin(other.ends, self.ends)
        return other

    @property
    def gather_size(self) -> int:
        """Examples to gather at once where batches are smaller: one batch, since copying rows has no fixed cost."""
        return 1

    @property
    def device(self) -> torch.device:
        """Device of the examples."""
        return self.ends.device

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: torch.Tensor | int) -> Batch:
        ends = self.ends[index]
        label, weight = self.store.label[ends].long(), None if self.weight is None else self.weight[ends]
        if self.group is None:
            return Batch(self._gather(ends), label, weight)
        return Batch(self._gather(ends), label.where(self._labelled[index], -1), weight, self.group[index])

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    @property
    def frame(self) -> pd.DataFrame:
        """The table's rows at which the examples end, in example order; of a table in memory."""
        return self.store.frame.iloc[self.ends.numpy()]

    @property
    def dates(self) -> np.ndarray:
        """Date of each example's last period, datetime64 `[len(self)]`."""
        return self.store.columns.dates(self.ends.numpy())

    @property
    def tickers(self) -> np.ndarray:
        """Ticker of each example, text `[len(self)]`."""
        columns = self.store.columns
        return columns.tickers[columns.ticker[self.ends.numpy()]]

    @property
    def labels(self) -> torch.Tensor:
        """Class of each example, int64 `[len(self)]`; -1 of the others of a date, see `market`."""
        labels = self.store.label[self.ends].long()
        return labels if self.group is None else labels.where(self._labelled, -1)

    @property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[len(self)]`."""
        return self.store.columns.returns[self.ends.numpy()]

    @property
    def weights(self) -> torch.Tensor | None:
        """Weight of each example in training, float32 `[len(self)]`; None where all count alike."""
        return None if self.weight is None else self.weight[self.ends]

    def class_counts(self, classes: int) -> torch.Tensor:
        """Count the examples of each class, int64 `[C]`."""
        return torch.bincount(self.store.label[self.ends], minlength=classes)


class SequenceDataset(WindowDataset):
    """Windows of T consecutive periods of one ticker, oldest first (`windows.count_consecutive`)."""

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        # A window's rows are adjacent: copying complete windows is four times as fast as copying row by row.
        rows, size = self.store.features.shape
        windows = self.store.features.as_strided((max(0, rows - self.length + 1), self.length * size), (size, 1))
        return windows.index_select(0, ends.reshape(-1) - (self.length - 1)).view(*ends.shape, self.length, size)


class FlatDataset(WindowDataset):
    """Single rows."""

    def __init__(self, store: RowStore, rows: np.ndarray, history: int = 1) -> None:
        super().__init__(store, rows, 1, history)

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        # `index_select` copies complete rows; indexing in brackets is six times as slow in a table of gigabytes.
        return self.store.features.index_select(0, ends.reshape(-1)).view(*ends.shape, self.store.features.shape[1])


class ExampleSource(Protocol):
    """Source of batches: a `WindowDataset`, or one of its normalized copies on a device."""

    @property
    def device(self) -> torch.device:
        """Device of the examples."""

    @property
    def gather_size(self) -> int:
        """Examples to gather at once where batches are smaller."""

    @property
    def group(self) -> torch.Tensor | None:
        """Date of each example, int64 `[N]`, where batches have groups."""

    @property
    def labels(self) -> torch.Tensor:
        """Class of each example, int64 `[N]`; -1 of those that are only read with the others of their date."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: torch.Tensor) -> Batch: ...


class JoinedDataset(Dataset[Batch]):
    """Examples of one dataset followed by those of another; a batch keeps the order of its index."""

    def __init__(self, first: ExampleSource, second: ExampleSource) -> None:
        self.parts = (first, second)
        self._shift = 0
        if first.group is not None and second.group is not None:
            self._shift = int(first.group.max() - second.group.min()) + 1

    @property
    def device(self) -> torch.device:
        """Device of the examples."""
        return self.parts[0].device

    @property
    def gather_size(self) -> int:
        """Examples to gather at once, as in the first dataset."""
        return self.parts[0].gather_size

    @property
    def group(self) -> torch.Tensor | None:
        """Date of each example; no date of one dataset is a date of the other."""
        first, second = (part.group for part in self.parts)
        return None if first is None or second is None else torch.cat([first, second + self._shift])

    @property
    def labels(self) -> torch.Tensor:
        """Class of each example."""
        return torch.cat([part.labels for part in self.parts])

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: torch.Tensor) -> Batch:
        first, second = self.parts
        own = index < len(first)
        one, other = first[index[own]], second[index[~own] - len(first)]
        order = torch.cat([own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)]).argsort()
        features, label = torch.cat([one.features, other.features])[order], torch.cat([one.label, other.label])[order]
        weight, group = None, None
        if one.weight is not None:  # the examples of the other dataset count as the mean of these
            weight = torch.cat([one.weight, torch.ones_like(other.label, dtype=one.weight.dtype)])[order]
        if one.group is not None and other.group is not None:
            group = torch.cat([one.group, other.group + self._shift])[order]
        return type(one)(features, label, weight, group)
