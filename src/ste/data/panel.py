"""The rows of a run's tables with their splits: training, validation, test, or history for later windows.

A single split has one array of row splits; cross-validation has one per fold.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ste.config import DataSettings, TableSettings
from ste.data.build.data_card import PreparedData
from ste.data.row_columns import FrameColumns
from ste.data.row_store import RowStore, class_indices
from ste.data.splits import usable_periods
from ste.data.storage.files import read_frame, sha256
from ste.data.storage.memory_mapped import ensure_tensors, read_tensors
from ste.data.storage.parquet_shards import first_rows, read_parts_blocks
from ste.data.storage.tables import read_table
from ste.errors import DataError
from ste.labels.targets import directions, return_terciles
from ste.schema import FEATURE_SETS, PROBABILITIES, SPLITS, Trend, class_names

HISTORY = -1
"""Split of a row that ends no example and is read by later windows only."""


@dataclass(frozen=True)
class Panel:
    """Tables of one source as one store of rows.

    Attributes:
        prepared: the tables on disk.
        settings: how they are read.
        store: every row, sorted by ticker and date.
        row_split: split of each row, int8 `[N]`: 0 train, 1 validation, 2 test, or `HISTORY`; purged.
        relabelled: whether the labels differ from the tables' own; class probabilities are known for those only.
    """

    prepared: PreparedData
    settings: DataSettings
    store: RowStore
    row_split: np.ndarray
    relabelled: bool = False

    @classmethod
    def read(cls, prepared: PreparedData, settings: DataSettings) -> "Panel":
        """Read every split's table.

        Args:
            prepared: the tables on disk.
            settings: how they are read.

        Raises:
            DataError: a file that breaks a rule of its columns, or was changed in the meantime.
        """
        store = _read_store(_source(prepared, settings))
        split = store.columns.split
        usable = usable_periods(store.period, split, settings.split.purged_periods(settings.labels.horizon))
        return cls(prepared, settings, store, np.where(usable, split, HISTORY).astype(np.int8))

    def with_row_split(self, row_split: np.ndarray) -> "Panel":
        """Return the same rows with other splits; tercile labels are computed again from the new training rows.

        Args:
            row_split: int8 `[N]`, purged.
        """
        store = self.store
        # A ready table keeps its own labels.
        relabel = self.settings.labels.method == "balanced" and not isinstance(self.settings, TableSettings)
        if relabel:
            returns = store.columns.returns
            low, high = return_terciles(returns[row_split == 0])
            n = len(returns)
            classes = directions(returns, np.full(n, low), np.full(n, high))
            store = replace(store, label=class_indices(classes, self.settings.labels.classes))
        return replace(self, store=store, row_split=row_split, relabelled=relabel)

    def first_rows(self, split: str, count: int = 100) -> pd.DataFrame:
        """Return the first rows of a split's table with the table's own columns."""
        columns = self.store.columns
        if isinstance(columns, FrameColumns):
            return columns.first_rows(SPLITS.index(split), count)
        return first_rows(self.prepared.files[split], count)

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
        """P(class | features) of every row in a synthetic market, float64 `[N, C]`, or None.

        With two classes the probabilities are conditional on the row being one of them.
        """
        if self.prepared.truth is None or self.relabelled:
            return None
        return _truth(_source(self.prepared, self.settings), self.prepared.truth, self.prepared.card["truth"]["sha256"])


class StoreSource(NamedTuple):
    """The tables of a store and how they are read; the key of the cache of stores.

    Attributes:
        files: split, path and digest of each table.
        digest: of all tables.
        frequency: `weekly` or `daily`.
        features: name of the feature set.
        classes: 2 or 3.
        tensors: folder of the memory-mapped arrays of tables in parts; None for single files.
    """

    files: tuple[tuple[str, Path, str], ...]
    digest: str
    frequency: str
    features: str
    classes: int
    tensors: Path | None


def _source(prepared: PreparedData, settings: DataSettings) -> StoreSource:
    files = tuple((name, path, prepared.card["files"][name]["sha256"]) for name, path in prepared.files.items())
    how = settings.frequency, settings.features, settings.labels.classes
    return StoreSource(files, prepared.digest, *how, prepared.tensors)


@lru_cache(maxsize=1)  # the jobs of a sweep share their rows
def _read_store(source: StoreSource) -> RowStore:
    """Read every table as one store: in memory, or mapped from disk for tables in parts."""
    folders = {split: path for split, path, _ in source.files}
    if source.tensors is not None:
        ensure_tensors(folders, source.tensors, source.features, source.frequency, source.digest)
        return read_tensors(source.tensors, source.classes)
    frames = {split: read_table(path, source.frequency, source.features) for split, path in folders.items()}
    for _, path, digest in source.files:
        if sha256(path) != digest:
            raise DataError(f"{path}: was changed by another process while it was read. Run again.")
    frame = pd.concat(frames.values(), ignore_index=True)
    frame["split"] = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()])
    return RowStore.from_frame(frame, source.frequency, source.features, source.classes)


@lru_cache(maxsize=1)
def _truth(source: StoreSource, path: Path, digest: str) -> np.ndarray:
    """Read P(class | features) of every row of a store from a file or a folder of parts."""
    store = _read_store(source)
    values = _truth_in_parts(store, path) if path.is_dir() else _truth_of_frame(store, path)
    if source.classes == 2:
        values = values[:, [Trend.DOWNTREND, Trend.UPTREND]]
        values = values / values.sum(axis=1, keepdims=True)
    return values


def _truth_of_frame(store: RowStore, path: Path) -> np.ndarray:
    known = read_frame(path)
    known["date"] = pd.to_datetime(known["date"])
    keys = store.frame[["date", "ticker"]]
    probabilities = keys.merge(known, on=["date", "ticker"], how="left", validate="one_to_one")[list(PROBABILITIES)]
    return probabilities.to_numpy()


def _truth_in_parts(store: RowStore, path: Path) -> np.ndarray:
    """Read the probabilities block by block; their rows have the order of the tables."""
    out, first = np.full((len(store), len(PROBABILITIES)), np.nan), 0
    for block in read_parts_blocks({SPLITS[0]: path}):
        rows = slice(first, first + len(block))
        days = block["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
        names = store.columns.tickers[store.columns.ticker[rows]]
        if not (np.array_equal(store.columns.day[rows], days) and (names == block["ticker"].to_numpy()).all()):
            raise DataError(f"{path}: holds other rows than the tables. Delete {path.parent} to have it built again.")
        out[rows] = block[list(PROBABILITIES)].to_numpy()
        first += len(block)
    return out
