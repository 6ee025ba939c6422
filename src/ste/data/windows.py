"""Windows as index arithmetic over one shared store: nothing is copied until a batch is gathered.

Shapes: N rows of the table, B a batch, T weeks in a window, F features.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ste.data.calendar import week_numbers
from ste.schema import DIRECTION, FEATURES


class Batch(NamedTuple):
    """What a training step gets.

    Attributes:
        features: float32 `[B, T, F]` (sequence) or `[B, F]` (flat), raw values of the weekly table.
        label: int64 `[B]`, the trend class of each window's last week.
    """

    features: torch.Tensor
    label: torch.Tensor


@dataclass(frozen=True)
class Store:
    """A table as tensors, sorted by ticker and date.

    Attributes:
        features: float32 `[N, F]`.
        label: int64 `[N]`.
        history: int64 `[N]`, consecutive weeks of the same ticker that end at the row, itself included.
        frame: the table in the same order.
    """

    features: torch.Tensor
    label: torch.Tensor
    history: torch.Tensor
    frame: pd.DataFrame

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Store":
        """Store of a weekly table in any row order."""
        frame = frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
        ticker = frame["ticker"].to_numpy()
        week = week_numbers(frame["date"])
        broken = np.append(True, (ticker[1:] != ticker[:-1]) | (np.diff(week) != 1))
        run_start = np.maximum.accumulate(np.where(broken, np.arange(len(frame)), 0))
        return cls(
            features=torch.tensor(frame[list(FEATURES)].to_numpy(dtype=np.float32)),
            label=torch.tensor(frame[DIRECTION].to_numpy(dtype=np.int64)),
            history=torch.from_numpy(np.arange(len(frame)) - run_start + 1),
            frame=frame,
        )


class WindowDataset(Dataset[Batch]):
    """Examples that end at chosen rows of a store; `dataset[index_tensor]` gathers a whole batch.

    Args:
        store: the shared table.
        rows: bool `[N]`, rows that may end an example.
    """

    def __init__(self, store: Store, rows: np.ndarray) -> None:
        self.store = store
        usable = torch.from_numpy(rows) & (store.history >= self.length)
        self.ends = usable.nonzero().squeeze(1)

    @property
    def length(self) -> int:
        """Weeks that an example needs, T."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: torch.Tensor | int) -> Batch:
        ends = self.ends[index]
        return Batch(self._gather(ends), self.store.label[ends])

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    @property
    def frame(self) -> pd.DataFrame:
        """The table's rows at which the examples end, in example order."""
        return self.store.frame.iloc[self.ends.numpy()]

    @property
    def labels(self) -> torch.Tensor:
        """int64 `[len(self)]`."""
        return self.store.label[self.ends]


class SequenceDataset(WindowDataset):
    """Windows of T consecutive weeks of one ticker, oldest first; a window never bridges a missing week."""

    def __init__(self, store: Store, rows: np.ndarray, sequence_length: int) -> None:
        self._length = sequence_length
        self._offsets = torch.arange(1 - sequence_length, 1)
        super().__init__(store, rows)

    @property
    def length(self) -> int:
        """Weeks in a window, T."""
        return self._length

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        return self.store.features[ends.unsqueeze(-1) + self._offsets]


class FlatDataset(WindowDataset):
    """Single rows."""

    @property
    def length(self) -> int:
        """One week."""
        return 1

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        return self.store.features[ends]
