"""A run's tables in memory: one store of rows, the role of each row, and what came after it.

A role says what a row may be used for: 0 learnt from, 1 validated on, 2 tested on, -1 history for later
windows and nothing else. A single split has one array of roles; a validation in folds has one per fold.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ste.config import DataSettings, TableSettings
from ste.data.build.prepare import PreparedData
from ste.data.row_columns import FrameColumns
from ste.data.splits import counted_periods
from ste.data.storage.files import read_frame, sha256
from ste.data.storage.memory_mapped import ensure_tensors, read_tensors
from ste.data.storage.parquet_shards import first_rows, read_parts_blocks
from ste.data.storage.tables import read_table
from ste.data.windows import Store, class_indices
from ste.errors import DataError
from ste.labels.targets import directions, terciles
from ste.schema import FEATURE_SETS, PROBABILITIES, SPLITS, Trend, class_names

HISTORY = -1
"""Role of a row that ends no example."""


@dataclass(frozen=True)
class Panel:
    """Tables of one source as one store.

    Attributes:
        prepared: the tables on disk.
        settings: how they are read.
        store: every row, sorted by ticker and date.
        roles: int8 `[N]`, of the tables' own split, purged.
        relabelled: whether the labels are not the tables' own, for which alone the truth is known.
    """

    prepared: PreparedData
    settings: DataSettings
    store: Store
    roles: np.ndarray
    relabelled: bool = False

    @classmethod
    def read(cls, prepared: PreparedData, settings: DataSettings) -> "Panel":
        """Read every split's table.

        Raises:
            DataError: a file that breaks the contract, or was changed meanwhile.
        """
        store = _read(_content(prepared, settings))
        split = store.columns.split
        keep = counted_periods(store.period, split, settings.split.gap(settings.labels.horizon))
        return cls(prepared, settings, store, np.where(keep, split, HISTORY).astype(np.int8))

    def with_roles(self, roles: np.ndarray) -> "Panel":
        """The same rows with other roles; thresholds that training rows decide are taken anew from theirs.

        Args:
            roles: int8 `[N]`, purged already.
        """
        store = self.store
        # A ready table's labels are its own.
        learnt = self.settings.labels.method == "balanced" and not isinstance(self.settings, TableSettings)
        if learnt:
            returns = store.columns.returns
            low, high = terciles(returns[roles == 0])
            n = len(returns)
            classes = directions(returns, np.full(n, low), np.full(n, high))
            store = replace(store, label=class_indices(classes, self.settings.labels.classes))
        return replace(self, store=store, roles=roles, relabelled=learnt)

    def first_rows(self, split: str, most: int = 100) -> pd.DataFrame:
        """Some rows of a split's table, with its columns as they are there."""
        columns = self.store.columns
        if isinstance(columns, FrameColumns):
            return columns.first_rows(SPLITS.index(split), most)
        return first_rows(self.prepared.files[split], most)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in label order."""
        return class_names(self.settings.labels.classes)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features in column order."""
        return FEATURE_SETS[self.settings.features].names

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of the features by kind of source."""
        return FEATURE_SETS[self.settings.features].groups

    @cached_property
    def truth(self) -> np.ndarray | None:
        """P(class | features) of every row in a synthetic world, float64 `[N, C]`, or None.

        With two classes, given that the row is one of them.
        """
        if self.prepared.truth is None or self.relabelled:
            return None
        return _truth(
            _content(self.prepared, self.settings), self.prepared.truth, self.prepared.card["truth"]["sha256"]
        )


class Content(NamedTuple):
    """What a store is made of: every table (split, path, digest), and how it is read.

    Attributes:
        files: see above.
        digest: of all of them.
        frequency: what a row covers.
        features: feature set.
        classes: how many are told apart.
        tensors: of tables in parts, where their arrays are or will be.
    """

    files: tuple[tuple[str, Path, str], ...]
    digest: str
    frequency: str
    features: str
    classes: int
    tensors: Path | None


def _content(prepared: PreparedData, settings: DataSettings) -> Content:
    files = tuple((name, path, prepared.card["files"][name]["sha256"]) for name, path in prepared.files.items())
    how = settings.frequency, settings.features, settings.labels.classes
    return Content(files, prepared.digest, *how, prepared.tensors)


@lru_cache(maxsize=1)  # the jobs of a sweep share their rows
def _read(content: Content) -> Store:
    """Every table as one store: in memory, or of parts mapped."""
    folders = {split: path for split, path, _ in content.files}
    if content.tensors is not None:
        ensure_tensors(folders, content.tensors, content.features, content.frequency, content.digest)
        return read_tensors(content.tensors, content.classes)
    frames = {split: read_table(path, content.frequency, content.features) for split, path in folders.items()}
    for _, path, digest in content.files:
        if sha256(path) != digest:
            raise DataError(f"{path}: was changed by another process while it was read. Run again.")
    frame = pd.concat(frames.values(), ignore_index=True)
    frame["split"] = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()])
    return Store.of(frame, content.frequency, content.features, content.classes)


@lru_cache(maxsize=1)
def _truth(content: Content, path: Path, digest: str) -> np.ndarray:
    """P(class | features) of every row of a store, from the file or the folder that holds them."""
    store = _read(content)
    values = _truth_in_parts(store, path) if path.is_dir() else _truth_of_frame(store, path)
    if content.classes == 2:
        values = values[:, [Trend.DOWNTREND, Trend.UPTREND]]
        values = values / values.sum(axis=1, keepdims=True)
    return values


def _truth_of_frame(store: Store, path: Path) -> np.ndarray:
    known = read_frame(path)
    known["date"] = pd.to_datetime(known["date"])
    keys = store.frame[["date", "ticker"]]
    chances = keys.merge(known, on=["date", "ticker"], how="left", validate="one_to_one")[list(PROBABILITIES)]
    return chances.to_numpy()


def _truth_in_parts(store: Store, path: Path) -> np.ndarray:
    """Row for row those of the tables, in the same order."""
    out, at = np.full((len(store), len(PROBABILITIES)), np.nan), 0
    for block in read_parts_blocks({SPLITS[0]: path}):
        rows = slice(at, at + len(block))
        days = block["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
        names = store.columns.tickers[store.columns.ticker[rows]]
        if not (np.array_equal(store.columns.day[rows], days) and (names == block["ticker"].to_numpy()).all()):
            raise DataError(f"{path}: holds other rows than the tables. Delete {path.parent} to have it built again.")
        out[rows] = block[list(PROBABILITIES)].to_numpy()
        at += len(block)
    return out
