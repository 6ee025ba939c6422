"""A table in parts, built block by block: in memory are a block of tickers, and the one that is being written.

What all rows decide together, where shares of the periods cut and where the training rows' terciles lie, takes a
pass of its own before. Two threads work: one computes a block while the other writes the one before.
"""

import ctypes
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ste.config import DataSettings, MarketSettings, WorldSettings
from ste.data.build.labelled_rows import Candidates, labelled
from ste.data.build.split_summary import Tally
from ste.data.build.table_folder import STAGING, TENSORS, TRUTH
from ste.data.sources.daily_sources import source_blocks
from ste.data.splits import by_shares, codes, counted_periods, starts
from ste.data.storage.memory_mapped import TensorWriter
from ste.data.storage.parquet_shards import THREADS, PartsWriter
from ste.data.table_checks import check_built_table
from ste.features.feature_rows import NUMBER
from ste.labels.targets import terciles
from ste.market.calendar import sessions
from ste.market.daily import Market
from ste.schema import RETURN, SPLITS

_FEWEST, _MOST = 1 << 15, 1 << 19
_BLOCKS = 32


@dataclass(frozen=True)
class Decided:
    """What all rows decide together.

    Attributes:
        begins: of the splits, `split.starts`.
        thirds: of the training rows' returns, with balanced labels.
    """

    begins: np.ndarray
    thirds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Built:
    """Folders that wait in the staging folder.

    Attributes:
        parts: name and digest of each part, by split and for the truth.
        tally: of the splits.
        notes: of the sources.
        tensors: still open: `finish(digest)` makes them whole.
    """

    parts: dict[str, dict[str, str]]
    tally: Tally
    notes: list[str]
    tensors: TensorWriter


def block_rows(settings: DataSettings) -> int:
    """Bars in a block: few enough for memory, and enough that a year's part has no crowd of small row groups."""
    rows = _FEWEST * _BLOCKS
    if isinstance(settings, WorldSettings):
        tickers = settings.tickers if isinstance(settings.tickers, int) else len(settings.tickers)
        rows = tickers * len(sessions(pd.Timestamp(settings.start), pd.Timestamp(settings.end)))
    elif isinstance(settings, MarketSettings) and settings.bars.endswith(".parquet"):
        rows = pq.read_metadata(settings.bars).num_rows
    return int(np.clip(rows // _BLOCKS, _FEWEST, _MOST))


def decide(settings: DataSettings, rows: int) -> Decided:
    """A pass over the sources for what all rows decide, where anything is: balanced labels, or splits by shares.

    It makes the rows as the build itself does, and keeps a day, a period and a return of each. A world's tickers
    have rows in the same periods, so that for shares alone one block is enough.

    Args:
        settings: of the table.
        rows: bars in a block.
    """
    balanced = settings.labels.method == "balanced"
    if not balanced and not by_shares(settings.split):
        return Decided(starts(settings.split, np.empty(0, dtype=np.int64)))
    blocks: Iterable[Market] = source_blocks(settings, rows)
    if isinstance(settings, WorldSettings) and not balanced:
        blocks = islice(blocks, 1)
    candidates = Candidates(settings)
    found = []
    for block in map(candidates.of, blocks):
        returns = block[RETURN].to_numpy() if balanced else np.empty(0)
        found.append((block["date"].to_numpy().astype("datetime64[D]"), block[NUMBER].to_numpy(np.int32), returns))
    candidates.check()
    days, number, returns = (np.concatenate(each) for each in zip(*found, strict=True))
    known = np.flatnonzero(np.bincount(number - number.min())) + number.min()
    begins = starts(settings.split, known)
    if not balanced:
        return Decided(begins)
    split = codes(days, number, begins)
    training = (split == 0) & counted_periods(number, split, settings.split.gap(settings.labels.horizon))
    return Decided(begins, terciles(returns[training]))


@contextmanager
def build_parts(settings: DataSettings, folder: Path, rows: int | None = None) -> Iterator[Built]:
    """Build the parts of every split, of the truth where it is known, and the tensors.

    Args:
        settings: of the table.
        folder: of the table; the parts lie in `STAGING` in there, which is gone when the context ends.
        rows: bars in a block; None is `block_rows`. No value depends on it.

    Raises:
        DataError: of the sources, or a split without rows.
    """
    rows = block_rows(settings) if rows is None else rows
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)  # of an attempt that was killed
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, staging, ignore_errors=True)
        decided = decide(settings, rows)
        writing = stack.enter_context(_Writing(staging, settings))
        candidates = Candidates(settings)
        tally = Tally(settings.split.gap(settings.labels.horizon), settings.frequency)
        notes: list[str] = []
        for market in source_blocks(settings, rows):
            notes = market.notes
            block = candidates.of(market)
            if len(block):
                split = codes(block["date"].to_numpy(), block[NUMBER].to_numpy(), decided.begins)
                table, truth = labelled(block, decided.thirds, settings)
                check_built_table(table, settings.features)
                tally.add(table, split)
                if isinstance(settings, WorldSettings):  # whose blocks all have the same dates
                    tally.check(settings.split)
                writing.put(table, split, truth)
        candidates.check()
        tally.check(settings.split)
        parts = writing.close()
        del market, block
        _give_back()
        yield Built(parts, tally, notes, writing.tensors)


def _give_back() -> None:
    """Return freed memory to the system, where the C library keeps it: what comes next maps the table."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Writing:
    """Every folder of a table being written, by a thread of its own."""

    def __init__(self, staging: Path, settings: DataSettings) -> None:
        self._names = (*SPLITS, TRUTH)
        self._staging = staging
        self.tensors = TensorWriter(staging / TENSORS, settings.features, settings.frequency)
        self._stack = ExitStack()
        self._pending: Future[None] | None = None

    def __enter__(self) -> "_Writing":
        pool = self._stack.enter_context(ThreadPoolExecutor(THREADS))
        self._writers = {
            name: self._stack.enter_context(PartsWriter(self._staging / name, pool)) for name in self._names
        }
        self._stack.enter_context(self.tensors)
        self._thread = self._stack.enter_context(ThreadPoolExecutor(1))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def put(self, table: pd.DataFrame, split: np.ndarray, truth: pd.DataFrame | None) -> None:
        """Hand a block over; returns when the one before is written."""
        self._wait()
        self._pending = self._thread.submit(self._write, table, split, truth)

    def close(self) -> dict[str, dict[str, str]]:
        """Digests of the parts of every folder that has any."""
        self._wait()
        parts = {name: writer.close() for name, writer in self._writers.items()}
        return {name: own for name, own in parts.items() if own}

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def _write(self, table: pd.DataFrame, split: np.ndarray, truth: pd.DataFrame | None) -> None:
        for code, name in enumerate(SPLITS):
            self._writers[name].append(table[split == code])
        if truth is not None:
            self._writers[TRUTH].append(truth)
        self.tensors.append(table.assign(split=split))
