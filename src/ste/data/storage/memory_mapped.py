"""A table larger than memory as arrays on disk: written block by block, memory-mapped for reading.

Shapes: N rows of all splits, sorted by ticker and date; F features; K volatilities. The folder holds raw
little-endian arrays (`ARRAYS`), `ranges.f8` (float64 `[D, 2]`: a day and the mean range of its rows) and
`tensors.json`, which is written last. It is made from the tables alone, and made again where it is missing.
"""

import json
import logging
import mmap
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import uuid4

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from ste.data.history_only import history_only_rows
from ste.data.row_columns import RowColumns
from ste.data.row_store import RowStore, class_indices
from ste.data.storage.parquet_shards import read_parts_blocks
from ste.data.windows import count_consecutive
from ste.errors import DataError
from ste.features.volatility import has_period_bar, ticker_volatility, with_market_range
from ste.market.calendar import Periods
from ste.schema import DIRECTION, RETURN, FeatureSet, Trend

log = logging.getLogger(__name__)

FORMAT = 3
"""Increase it when the same tables give other arrays: older folders are then rebuilt."""

INDEX = "tensors.json"

ARRAYS = {
    "features.f4": "<f4",  # [N, F]
    "label.i1": "<i1",  # [N], trend
    "split.i1": "<i1",  # [N], code in SPLITS
    "day.i4": "<i4",  # [N], days since 1970-01-01
    "ticker.i4": "<i4",  # [N], index into the tickers' names
    "period.i4": "<i4",  # [N], number of the week or session
    "history.i4": "<i4",  # [N], consecutive periods of the ticker that end at the row
    "history_only.i1": "<i1",  # [N], 1 in rows that are neither trained on nor scored
    "return.f8": "<f8",  # [N]
    "volatility.f4": "<f4",  # [N, K - 1], see `volatility.ticker_volatility`
}
"""File to type."""

RANGES = "ranges.f8"


class TensorWriter:
    """Writes the folder of arrays of one table atomically.

    Arrays go out by plain writes: pages of a mapping that is written to would count as memory.

    Args:
        folder: where it will be; an older one is replaced at the end.
        features: the table's feature set.
        periods: of the rows.
    """

    def __init__(self, folder: Path, features: FeatureSet, periods: Periods) -> None:
        self.folder, self.features, self.periods = folder, features, periods
        self._partial = folder.with_name(f".{folder.name}.{uuid4().hex}")
        self._files: dict[str, BinaryIO] = {}
        self._tickers: list[str] = []
        self._rows = 0
        self._ranges: dict[int, np.ndarray] = {}  # day to sum and number of its rows' ranges
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._partial.mkdir(parents=True)
        self._files = {name: self._stack.enter_context((self._partial / name).open("wb")) for name in ARRAYS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()
        shutil.rmtree(self._partial, ignore_errors=True)  # already moved after `finish`

    def append(self, rows: pd.DataFrame) -> None:
        """Write a block.

        Args:
            rows: the columns of `schema.table_columns` and `split`, int8 codes, sorted by ticker and date: all
                rows of some tickers, which come after those of the blocks before.

        Raises:
            DataError: rows out of order, or a ticker in two blocks.
        """
        if rows.empty:
            return
        codes, names = pd.factorize(rows["ticker"])
        day = rows["date"].to_numpy().astype("datetime64[D]")
        self._check_order(codes, [str(name) for name in names], day)
        period = self.periods.index(day)
        values: dict[str, Any] = {
            "features.f4": rows[list(self.features.names)].to_numpy(dtype=np.float32),
            "label.i1": rows[DIRECTION].to_numpy(),
            "split.i1": rows["split"].to_numpy(),
            "day.i4": day.astype(np.int64),
            "ticker.i4": codes + len(self._tickers) - len(names),
            "period.i4": period,
            "history.i4": count_consecutive(codes, period),
            "history_only.i1": history_only_rows(rows),
            "return.f8": rows[RETURN].to_numpy(dtype=np.float64),
        }
        if has_period_bar(rows, self.features):
            values["volatility.f4"], ranges = ticker_volatility(rows.assign(ticker=codes), self.features)
            self._add_ranges(day.astype(np.int64), ranges)
        for name, array in values.items():
            self._files[name].write(np.ascontiguousarray(array, dtype=ARRAYS[name]).data)
        self._rows += len(rows)

    def finish(self, digest: str) -> None:
        """Write the index and move the folder to its place.

        Args:
            digest: of the tables that the arrays were made from.
        """
        days = sorted(self._ranges)
        means = [total / count for total, count in (self._ranges[day] for day in days)]
        (self._partial / RANGES).write_bytes(np.column_stack([days, means]).reshape(-1, 2).astype("<f8").tobytes())
        self._stack.close()
        index = {
            "format": FORMAT,
            "rows": self._rows,
            "feature_set": self.features.name,
            "features": list(self.features.names),
            "frequency": self.periods.frequency,
            "calendar": self.periods.calendar.name,
            "tickers": self._tickers,
            "volatility": bool(days),
            "digest": digest,
        }
        (self._partial / INDEX).write_text(json.dumps(index) + "\n")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self._partial.rename(self.folder)

    def _check_order(self, codes: np.ndarray, names: list[str], day: np.ndarray) -> None:
        ordered = [*self._tickers[-1:], *names]
        same = codes[1:] == codes[:-1]
        rising = all(a < b for a, b in pairwise(ordered))
        if not rising or (np.diff(codes) < 0).any() or not (day[1:] > day[:-1])[same].all():
            raise DataError(
                f"{self.folder}: rows of {names[0]} to {names[-1]} are not in order. Expected whole tickers one after "
                "the other, each with one row per date, oldest first."
            )
        self._tickers += names

    def _add_ranges(self, day: np.ndarray, ranges: np.ndarray) -> None:
        known, at = np.unique(day, return_inverse=True)
        sums = np.column_stack([np.bincount(at, weights=ranges), np.bincount(at)])
        for one, own in zip(known.tolist(), sums, strict=True):
            self._ranges[one] = self._ranges[one] + own if one in self._ranges else own


def mapped(folder: Path, name: str) -> np.ndarray:
    """Map a flat array of a folder; writes stay in this process and are not saved to disk."""
    return np.frombuffer(_pages(folder, name), dtype=ARRAYS[name])


def _pages(folder: Path, name: str) -> mmap.mmap:
    with (folder / name).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def tensors_digest(folder: Path) -> str | None:
    """Return the digest of the tables that a folder was made from; None where it cannot be read."""
    try:
        index = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError):
        return None
    return str(index["digest"]) if index.get("format") == FORMAT else None


def read_tensors(folder: Path, classes: int = 3) -> RowStore:
    """Map the store of a folder that a `TensorWriter` finished; pages are read on access.

    Args:
        folder: of arrays.
        classes: 2 or 3, see `schema.CLASSES`.
    """
    index = json.loads((folder / INDEX).read_text())
    rows, day, trends = index["rows"], mapped(folder, "day.i4"), mapped(folder, "label.i1")
    pages = _pages(folder, "features.f4")
    columns = RowColumns(
        np.asarray(index["tickers"], dtype=object),
        mapped(folder, "ticker.i4"),
        day,
        mapped(folder, "split.i1"),
        mapped(folder, "return.f8"),
        trends,
        mapped(folder, "history_only.i1").view(bool),
        _mapped_volatility(folder, rows, day) if index["volatility"] else None,
        release=lambda: pages.madvise(mmap.MADV_DONTNEED),
    )
    return RowStore(
        features=torch.from_numpy(np.frombuffer(pages, dtype=ARRAYS["features.f4"]).reshape(rows, -1)),
        label=torch.from_numpy(trends) if classes == len(Trend) else class_indices(trends, classes),
        history=torch.from_numpy(mapped(folder, "history.i4")),
        period=mapped(folder, "period.i4"),
        columns=columns,
    )


def _mapped_volatility(folder: Path, rows: int, day: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from rows to volatilities, rounded to 32 bits but for the range of all tickers."""
    own = mapped(folder, "volatility.f4").reshape(rows, -1)
    range_day, market_range = np.fromfile(folder / RANGES, dtype="<f8").reshape(-1, 2).T
    return lambda at: with_market_range(own[at], market_range[np.searchsorted(range_day, day[at])])


def write_tensors(
    blocks: Iterable[pd.DataFrame], folder: Path, features: FeatureSet, periods: Periods, digest: str
) -> None:
    """Write the arrays of a table that is given in blocks, see `TensorWriter.append`."""
    with TensorWriter(folder, features, periods) as writer:
        for block in blocks:
            writer.append(block)
        writer.finish(digest)


def ensure_tensors(parts: dict[str, Path], folder: Path, features: FeatureSet, periods: Periods, digest: str) -> None:
    """Write the arrays of tables in parts in one pass, unless they exist.

    Args:
        parts: split to the folder of its parts.
        folder: of the arrays.
        features: their feature set.
        periods: of the rows.
        digest: of all the tables.
    """
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if tensors_digest(folder) != digest:
            log.info(f"making {folder} from the tables' parts")
            write_tensors(read_parts_blocks(parts), folder, features, periods, digest)
