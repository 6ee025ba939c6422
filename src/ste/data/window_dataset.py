"""Datasets of windows over one shared store of rows; rows are copied when a batch is gathered.

B examples in a batch, T periods in a window, F features.
"""

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
        label: int64 `[B]`, the class of each window's last period.
        weight: float32 `[B]`, how much each example counts in training; None where all count alike.
    """

    features: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor | None = None


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
    """

    def __init__(self, store: RowStore, rows: np.ndarray, length: int, history: int = 1) -> None:
        self.store = store
        self.length = length
        self.needed = max(history, length)
        self.weight: torch.Tensor | None = None  # of each row, float32 `[N]`
        usable = torch.from_numpy(rows) & (store.history >= self.needed) & (store.label >= 0)
        self.ends = usable.nonzero().squeeze(1)

    def with_ends(self, ends: torch.Tensor) -> Self:
        """Return the dataset restricted to the examples that end at these rows, int64 `[n]`."""
        other = copy(self)
        other.ends = ends
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
        weight = None if self.weight is None else self.weight[ends]
        return Batch(self._gather(ends), self.store.label[ends].long(), weight)

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
        """Class of each example, int64 `[len(self)]`."""
        return self.store.label[self.ends].long()

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

    def __len__(self) -> int: ...
    def __getitem__(self, index: torch.Tensor) -> Batch: ...


class JoinedDataset(Dataset[Batch]):
    """Examples of one dataset followed by those of another; a batch keeps the order of its index."""

    def __init__(self, first: ExampleSource, second: ExampleSource) -> None:
        self.parts = (first, second)

    @property
    def device(self) -> torch.device:
        """Device of the examples."""
        return self.parts[0].device

    @property
    def gather_size(self) -> int:
        """Examples to gather at once, as in the first dataset."""
        return self.parts[0].gather_size

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: torch.Tensor) -> Batch:
        first, second = self.parts
        own = index < len(first)
        one, other = first[index[own]], second[index[~own] - len(first)]
        order = torch.cat([own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)]).argsort()
        weight = None
        if one.weight is not None:  # the examples of the other dataset count as the mean of these
            weight = torch.cat([one.weight, torch.ones_like(other.label, dtype=one.weight.dtype)])[order]
        features, label = (torch.cat([one[i], other[i]])[order] for i in (0, 1))  # type: ignore[list-item]
        return type(one)(features, label, weight)
