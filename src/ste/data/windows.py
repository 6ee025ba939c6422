"""Windows as index arithmetic over one shared store: nothing is copied until a batch is gathered.

Shapes: N rows of the table, B a batch, T periods in a window, F features.
"""

from copy import copy
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ste.data.row_columns import Columns, FrameColumns
from ste.market.calendar import periods
from ste.schema import CLASSES, FEATURE_SETS, Trend

CACHED_ROWS = 16_384
"""Rows of a table that a processor computes at once: what nets make of more leaves its caches (docs/decisions.md)."""

ACCELERATED_EXAMPLES = 8192
"""Examples that an accelerator does."""


class Batch(NamedTuple):
    """What a training step gets.

    Attributes:
        features: float32 `[B, T, F]` (sequence) or `[B, F]` (flat), raw values of the table.
        label: int64 `[B]`, the class of each window's last period.
    """

    features: torch.Tensor
    label: torch.Tensor


def computed_at_once(rows: int, device: torch.device) -> int:
    """Examples of so many rows that are gathered, or that nets see where nothing is learnt, at once."""
    return max(1, CACHED_ROWS // rows) if device.type == "cpu" else ACCELERATED_EXAMPLES


@dataclass(frozen=True)
class Store:
    """A table as tensors, sorted by ticker and date; in memory, or mapped from disk (`tensors.read_tensors`).

    Attributes:
        features: float32 `[N, F]`.
        label: integers `[N]`, index of the class; -1 where the row has none of the classes told apart.
        history: integers `[N]`, consecutive periods of the same ticker that end at the row, itself included.
        period: integers `[N]`, number of the row's week or session.
        columns: what is known of the rows besides.
    """

    features: torch.Tensor
    label: torch.Tensor
    history: torch.Tensor
    period: np.ndarray
    columns: Columns

    def __len__(self) -> int:
        return len(self.label)

    @property
    def frame(self) -> pd.DataFrame:
        """The table in the same order, where it is in memory.

        Raises:
            TypeError: it is mapped, and its rows stand in its files alone.
        """
        if not isinstance(self.columns, FrameColumns):
            raise TypeError("a mapped table has no frame: ask for columns of chosen rows")
        return self.columns.frame

    @classmethod
    def of(cls, frame: pd.DataFrame, frequency: str = "weekly", features: str = "full", classes: int = 3) -> "Store":
        """Store of a table in any row order."""
        codes, tickers = pd.factorize(frame["ticker"], sort=True)
        order = _order(codes, frame["date"].to_numpy())
        columns = FrameColumns(frame, codes, np.asarray(tickers, dtype=object), order)
        period = periods(columns.column("date"), frequency)
        names = FEATURE_SETS[features].names
        values = np.empty((len(frame), len(names)), dtype=np.float32)
        for place, name in enumerate(names):
            values[:, place] = columns.column(name)
        return cls(
            features=torch.from_numpy(values),
            label=class_indices(columns.directions, classes),
            history=torch.from_numpy(consecutive(columns.ticker, period)),
            period=period,
            columns=columns,
        )


def _order(codes: np.ndarray, date: np.ndarray) -> np.ndarray | None:
    """What sorts rows by ticker and date `[N]`; None where they are sorted."""
    rising = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (date[1:] >= date[:-1]))
    return None if rising.all() else np.lexsort((date, codes))


def consecutive(ticker: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Periods in a row of the same ticker that end at each row, itself included, int64 `[N]`.

    Args:
        ticker: codes `[N]`, sorted.
        period: numbers `[N]`, sorted within a ticker.
    """
    broken = np.append(True, (ticker[1:] != ticker[:-1]) | (np.diff(period) != 1))
    place = np.arange(len(period))
    return place - np.maximum.accumulate(np.where(broken, place, 0)) + 1


def class_indices(directions: np.ndarray, classes: int) -> torch.Tensor:
    """Index of each trend among the classes told apart, `[N]`; -1 for a trend that is none of them.

    Args:
        directions: integers `[N]`; the indices are of their type.
        classes: how many are told apart.
    """
    index = np.full(len(Trend), -1, dtype=directions.dtype)
    index[list(CLASSES[classes])] = np.arange(classes)
    return torch.from_numpy(index[directions])


class WindowDataset(Dataset[Batch]):
    """Examples that end at chosen rows of a store; `dataset[index_tensor]` gathers a whole batch.

    Args:
        store: the shared table.
        rows: bool `[N]`, rows that may end an example.
        history: consecutive periods that an example needs besides what it reads.
    """

    def __init__(self, store: Store, rows: np.ndarray, history: int = 1) -> None:
        self.store = store
        self.needed = max(history, self.length)
        usable = torch.from_numpy(rows) & (store.history >= self.needed) & (store.label >= 0)
        self.ends = usable.nonzero().squeeze(1)

    def at(self, ends: torch.Tensor) -> Self:
        """The same with the examples that end at these rows alone, int64 `[n]`."""
        other = copy(self)
        other.ends = ends
        return other

    @property
    def at_once(self) -> int:
        """Every batch by itself: to copy rows as they are takes no longer so, and touches no more of a mapped table."""
        return 1

    @property
    def length(self) -> int:
        """Periods that an example reads, T."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the examples are."""
        return self.ends.device

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: torch.Tensor | int) -> Batch:
        ends = self.ends[index]
        return Batch(self._gather(ends), self.store.label[ends].long())

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
        """int64 `[len(self)]`."""
        return self.store.label[self.ends].long()

    @property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[len(self)]`."""
        return self.store.columns.returns[self.ends.numpy()]

    def class_counts(self, classes: int) -> torch.Tensor:
        """Examples of each class, int64 `[C]`."""
        return torch.bincount(self.store.label[self.ends], minlength=classes)


class SequenceDataset(WindowDataset):
    """Windows of T consecutive periods of one ticker, oldest first; a window never bridges a missing one."""

    def __init__(self, store: Store, rows: np.ndarray, sequence_length: int, history: int = 1) -> None:
        self._length = sequence_length
        super().__init__(store, rows, history)

    @property
    def length(self) -> int:
        """Periods in a window, T."""
        return self._length

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        # A window's rows lie side by side: whole windows are copied, four times as fast as row by row.
        rows, size = self.store.features.shape
        windows = self.store.features.as_strided((max(0, rows - self._length + 1), self._length * size), (size, 1))
        return windows.index_select(0, ends.reshape(-1) - (self._length - 1)).view(*ends.shape, self._length, size)


class FlatDataset(WindowDataset):
    """Single rows."""

    @property
    def length(self) -> int:
        """One period."""
        return 1

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        # Whole rows are copied; an index in brackets goes number by number, six times as slow in a table of gigabytes.
        return self.store.features.index_select(0, ends.reshape(-1)).view(*ends.shape, self.store.features.shape[1])


class Examples(Protocol):
    """What batches are gathered from, as `WindowDataset` is one."""

    @property
    def device(self) -> torch.device:
        """Where the examples are."""

    @property
    def at_once(self) -> int:
        """Examples that are best gathered at once, where batches are smaller."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: torch.Tensor) -> Batch: ...


class Joined(Dataset[Batch]):
    """Examples of one dataset, then those of another; what is asked of both at once comes in the order asked."""

    def __init__(self, first: Examples, second: Examples) -> None:
        self.parts = (first, second)

    @property
    def device(self) -> torch.device:
        """Where the examples are."""
        return self.parts[0].device

    @property
    def at_once(self) -> int:
        """As the first are."""
        return self.parts[0].at_once

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: torch.Tensor) -> Batch:
        first, second = self.parts
        own = index < len(first)
        one, other = first[index[own]], second[index[~own] - len(first)]
        place = torch.cat([own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)]).argsort()
        return type(one)(*(torch.cat(pair)[place] for pair in zip(one, other, strict=True)))
