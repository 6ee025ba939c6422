"""The rows of a run's tables with their splits: training, validation, test, or history for later windows.

A single split has one array of row splits; cross-validation has one per fold.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ste.config import DataSettings, TableSettings
from ste.data.build.data_card import PreparedData
from ste.data.history_only import history_only_rows, with_history_only
from ste.data.row_store import RowStore, class_indices
from ste.data.splits import end_reach, usable_periods
from ste.data.storage.files import read_frame
from ste.data.storage.memory_mapped import ensure_tensors, read_tensors
from ste.data.storage.parquet_shards import first_rows, read_parts_blocks
from ste.data.storage.tables import read_table
from ste.data.table_labels import TableLabels
from ste.labels.label_method import AllRows, label_method
from ste.market.calendar import Periods
from ste.schema import (
    BARS,
    CLASSES,
    KEYS,
    SPLITS,
    TRADING_COLUMNS,
    FeatureSet,
    class_names,
    probability_names,
    trend_count,
    trend_names,
)

HISTORY = -1
"""Split of a row that ends no example and is read by later windows only."""


@dataclass(frozen=True)
class Panel:
    """Tables of one source as one store of rows.

    Attributes:
        prepared: the tables on disk.
        settings: how they are read.
        store: every row, sorted by ticker and date.
        row_split: split of each row, int8 `[N]`: 0 train, 1 validation, 2 test, or `HISTORY`: purged, or
            history only (`data.history_only`).
        relabelled: whether the labels differ from the tables' own; class probabilities are known for those only.
        reduced: features of the store, where they are some of the tables' (`without`).
    """

    prepared: PreparedData
    settings: DataSettings
    store: RowStore
    row_split: np.ndarray
    relabelled: bool = False
    reduced: FeatureSet | None = None

    @classmethod
    def read(cls, prepared: PreparedData, settings: DataSettings) -> "Panel":
        """Read every split's table.

        Args:
            prepared: the tables on disk.
            settings: how they are read.

        Raises:
            DataError: a file that breaks a rule of its columns.
        """
        if settings.calendar == BARS:  # the days are known since the tables were built
            settings = replace(settings, calendar=prepared.card["calendar"])
        how = settings.periods, settings.feature_set, TableLabels.of(settings.labels)
        store = _read_store(tuple(prepared.files.items()), prepared.tensors, prepared.digest, *how)
        split = store.columns.split
        ends, purge = store.label_end, settings.split.purged_periods(settings.labels.horizon)
        reach = None if ends is None else end_reach(ends, store.period, settings.split)
        usable = usable_periods(store.period, split, purge, reach)
        usable &= ~store.columns.history_only
        return cls(prepared, settings, store, np.where(usable, split, HISTORY).astype(np.int8))

    def with_row_split(self, row_split: np.ndarray) -> "Panel":
        """Return the same rows with other splits; labels that are fitted to training rows are fitted again.

        Args:
            row_split: int8 `[N]`, purged.
        """
        store = self.store
        method = label_method(self.settings.labels)
        # A ready table keeps its own labels.
        relabel = method.needs_training and not isinstance(self.settings, TableSettings)
        if relabel:
            returns, unread = store.columns.returns, np.empty(0)
            _, trends = method.trends(returns, store.period, unread, self.fit_labels(row_split))
            store = replace(store, label=class_indices(trends, self.settings.labels.classes))
        return replace(self, store=store, row_split=row_split, relabelled=relabel)

    def fit_labels(self, row_split: np.ndarray) -> object:
        """Fit the label method to the training rows of a split, int8 `[N]`."""
        columns, unread = self.store.columns, np.empty(0)
        rows = AllRows(unread, self.store.period, columns.returns, ~columns.history_only, row_split == 0)
        return label_method(self.settings.labels).fit(rows)

    def first_rows(self, split: str, count: int = 100) -> pd.DataFrame:
        """Return the first rows of a split's table with the table's own columns."""
        if self.prepared.tensors is not None:
            return first_rows(self.prepared.files[split], count)
        frame = self.store.frame
        own = frame[frame["split"] == SPLITS.index(split)]
        return with_history_only(own, history_only_rows(own)).head(count).drop(columns="split")

    def without(self, names: Collection[str]) -> "Panel":
        """Return the same rows without some features; the tables are in memory."""
        remaining = [column.name not in names for column in self.feature_set.columns]
        columns = tuple(compress(self.feature_set.columns, remaining))
        features = self.store.features[:, torch.tensor(remaining)].contiguous()
        store = replace(self.store, features=features)
        return replace(self, store=store, reduced=replace(self.feature_set, columns=columns))

    @property
    def feature_set(self) -> FeatureSet:
        """The definitions of the features."""
        return self.settings.feature_set if self.reduced is None else self.reduced

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in label order."""
        return class_names(self.settings.labels.classes)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features in column order."""
        return self.feature_set.names

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of the features by kind of source."""
        return self.feature_set.groups

    @cached_property
    def truth(self) -> np.ndarray | None:
        """P(class | features) of every row in a synthetic market, float64 `[N, C]`, or None.

        With two or four classes the probabilities are conditional on the row being one of them.
        """
        if self.prepared.truth is None or self.relabelled:
            return None
        return _read_truth(self.prepared.truth, len(self.classes))

    def trading(self, keys: pd.DataFrame) -> pd.DataFrame | None:
        """Return `schema.TRADING_COLUMNS` of rows, in their order; None where the table has none for all of them.

        Args:
            keys: `date` and `ticker` of the rows.
        """
        path = self.prepared.trading
        if path is None:
            return None
        if path.is_dir():
            first, tickers = keys["date"].min(), set(keys["ticker"])
            blocks = [
                block[(block["date"] >= first) & block["ticker"].isin(tickers)].astype({"ticker": object})
                for block in read_parts_blocks({SPLITS[0]: path})
            ]
            known = pd.concat(blocks, ignore_index=True)
        else:
            known = _read_trading(path, str(self.prepared.card.get("trading", {}).get("sha256", path)))
        columns = list(TRADING_COLUMNS)
        at = pd.MultiIndex.from_frame(known[list(KEYS)].astype({"date": "datetime64[s]"}))
        wanted = pd.MultiIndex.from_frame(keys[list(KEYS)].astype({"date": "datetime64[s]"}))
        found = at.get_indexer(wanted)
        if len(found) and found.min() < 0:
            return None
        return known[columns].iloc[found].reset_index(drop=True)


@lru_cache(maxsize=1)  # the jobs of a sweep share their rows
def _read_store(
    files: tuple[tuple[str, Path], ...],
    tensors: Path | None,
    digest: str,
    periods: Periods,
    features: FeatureSet,
    labels: TableLabels,
) -> RowStore:
    """Read every table as one store: in memory, or mapped from disk for tables in parts.

    Args:
        files: split and path of each table.
        tensors: folder of the memory-mapped arrays of tables in parts; None for single files.
        digest: of all tables.
        periods: of the rows.
        features: of the tables.
        labels: of the tables.
    """
    paths = dict(files)
    if tensors is not None:
        ensure_tensors(paths, tensors, features, periods, digest)
        return read_tensors(tensors, labels.classes)
    frames = {split: read_table(path, features, periods, labels) for split, path in paths.items()}
    frame = pd.concat(frames.values(), ignore_index=True)
    frame["split"] = np.repeat([SPLITS.index(s) for s in frames], [len(f) for f in frames.values()])
    return RowStore.from_frame(frame, features, periods, labels.classes)


@lru_cache(maxsize=1)
def _read_trading(path: Path, digest: str) -> pd.DataFrame:
    """Read `schema.TRADING_COLUMNS` by date and ticker from a file of this digest."""
    frame = read_frame(path)
    return frame.assign(date=pd.to_datetime(frame["date"]))


def _read_truth(path: Path, classes: int) -> np.ndarray:
    """Read P(class | features) of every row, sorted by ticker and date, from a file or a folder of parts."""
    names = list(probability_names(trend_names(classes)))
    if path.is_dir():
        values = np.concatenate([block[names] for block in read_parts_blocks({SPLITS[0]: path})])
    else:
        values = read_frame(path).sort_values(["ticker", "date"])[names].to_numpy()
    if classes < trend_count(classes):
        values = values[:, CLASSES[classes]]
        values = values / values.sum(axis=1, keepdims=True)
    return values
