"""Windows as index arithmetic over one shared store: nothing is copied until a batch is gathered.

Shapes: N rows of the table, B a batch, T periods in a window, F features.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ste.data.calendar import periods
from ste.data.volatility import trailing_volatility
from ste.schema import CLASSES, DIRECTION, FEATURE_SETS, RETURN, Trend


class Batch(NamedTuple):
    """What a training step gets.

    Attributes:
        features: float32 `[B, T, F]` (sequence) or `[B, F]` (flat), raw values of the table.
        label: int64 `[B]`, the class of each window's last period.
    """

    features: torch.Tensor
    label: torch.Tensor


@dataclass(frozen=True)
class Store:
    """A table as tensors, sorted by ticker and date.

    Attributes:
        features: float32 `[N, F]`.
        label: int64 `[N]`, index of the class; -1 where the row has none of the classes told apart.
        history: int64 `[N]`, consecutive periods of the same ticker that end at the row, itself included.
        period: int64 `[N]`, number of the row's week or session.
        frame: the table in the same order.
    """

    features: torch.Tensor
    label: torch.Tensor
    history: torch.Tensor
    period: np.ndarray
    frame: pd.DataFrame

    @cached_property
    def volatility(self) -> np.ndarray:
        """Trailing volatilities of each row, float64 `[N, K]` (`volatility.trailing_volatility`)."""
        return trailing_volatility(self.frame)

    @classmethod
    def of(cls, frame: pd.DataFrame, frequency: str = "weekly", features: str = "full", classes: int = 3) -> "Store":
        """Store of a table in any row order."""
        frame = frame.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)
        ticker = frame["ticker"].to_numpy()
        period = periods(frame["date"], frequency)
        broken = np.append(True, (ticker[1:] != ticker[:-1]) | (np.diff(period) != 1))
        run_start = np.maximum.accumulate(np.where(broken, np.arange(len(frame)), 0))
        return cls(
            features=torch.tensor(frame[list(FEATURE_SETS[features].names)].to_numpy(dtype=np.float32)),
            label=class_indices(frame[DIRECTION].to_numpy(dtype=np.int64), classes),
            history=torch.from_numpy(np.arange(len(frame)) - run_start + 1),
            period=period,
            frame=frame,
        )


def class_indices(directions: np.ndarray, classes: int) -> torch.Tensor:
    """Index of each trend among the classes told apart, int64 `[N]`; -1 for a trend that is none of them."""
    index = np.full(len(Trend), -1, dtype=np.int64)
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

    @property
    def returns(self) -> np.ndarray:
        """Simple return over the label's horizon, float64 `[len(self)]`."""
        return self.frame[RETURN].to_numpy(dtype=np.float64)


class SequenceDataset(WindowDataset):
    """Windows of T consecutive periods of one ticker, oldest first; a window never bridges a missing one."""

    def __init__(self, store: Store, rows: np.ndarray, sequence_length: int, history: int = 1) -> None:
        self._length = sequence_length
        self._offsets = torch.arange(1 - sequence_length, 1)
        super().__init__(store, rows, history)

    @property
    def length(self) -> int:
        """Periods in a window, T."""
        return self._length

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        return self.store.features[ends.unsqueeze(-1) + self._offsets]


class FlatDataset(WindowDataset):
    """Single rows."""

    @property
    def length(self) -> int:
        """One period."""
        return 1

    def _gather(self, ends: torch.Tensor) -> torch.Tensor:
        return self.store.features[ends]


class Examples(Protocol):
    """What batches are gathered from, as `WindowDataset` is one."""

    @property
    def device(self) -> torch.device:
        """Where the examples are."""

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

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: torch.Tensor) -> Batch:
        first, second = self.parts
        own = index < len(first)
        one, other = first[index[own]], second[index[~own] - len(first)]
        place = torch.cat([own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)]).argsort()
        return type(one)(*(torch.cat(pair)[place] for pair in zip(one, other, strict=True)))
