"""Build a table in parts block by block: one block of tickers is computed while the block before it is written.

The start of the splits (with fractions), the terciles of the training rows and the returns of a date's tickers depend
on all rows; a pass of its own over the sources finds them first (`find_table_cuts`).
"""

import ctypes
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ste.config import DataSettings, MarketSettings, RealMarketSettings, SyntheticSettings
from ste.data.build.data_card import StagedTable, bars_entry
from ste.data.build.feature_checks import FeatureChecks
from ste.data.build.labelled_rows import RowBuilder
from ste.data.build.split_summary import SplitSummary, check_training
from ste.data.build.table_folder import TENSORS, TRADING, TRUTH, content_digest
from ste.data.history_only import history_only_rows
from ste.data.sources.daily_sources import source_blocks
from ste.data.splits import by_fraction, label_reach, split_codes, split_starts, usable_periods
from ste.data.storage.memory_mapped import TensorWriter
from ste.data.storage.parquet_shards import PartsWriter, digest
from ste.data.table_checks import check_built_table
from ste.labels.label_method import AllRows
from ste.market.read_summary import ReadSummary
from ste.market.sources import Market
from ste.schema import RETURN, ROW_PERIOD, SPLITS

_MIN_ROWS, _MAX_ROWS = 1 << 15, 1 << 19  # bars in a block
_MAX_VALUES = 1 << 24  # of features in a block: 128 MiB
_BLOCKS = 32


@dataclass(frozen=True)
class TableCuts:
    """Values that depend on all rows of a table.

    Attributes:
        split_starts: where validation and test start (`splits.split_starts`).
        fitted: of `LabelMethod.fit`, for labels that need all rows.
    """

    split_starts: np.ndarray
    fitted: object = None


def block_rows(settings: DataSettings) -> int:
    """Return the bars of a block: few enough for memory, and enough to avoid many small row groups in a part."""
    rows = _MIN_ROWS * _BLOCKS
    if isinstance(settings, SyntheticSettings):
        tickers = settings.tickers if isinstance(settings.tickers, int) else len(settings.tickers)
        span = pd.Timestamp(settings.start), pd.Timestamp(settings.end)
        rows = tickers * len(settings.periods.calendar.sessions(*span))
    elif isinstance(settings, MarketSettings) and Path(settings.bars).is_file() and settings.bars.endswith(".parquet"):
        rows = pq.read_metadata(settings.bars).num_rows
    most = min(_MAX_ROWS, _MAX_VALUES // len(settings.feature_set.names))
    return int(np.clip(rows // _BLOCKS, _MIN_ROWS, max(_MIN_ROWS, most)))


def find_last_bar(settings: DataSettings, max_rows: int) -> pd.Timestamp | None:
    """Return the date of the latest bar, where `data.delisting_return` needs it, in a pass of its own; else None."""
    if not isinstance(settings, RealMarketSettings) or settings.delisting_return is None:
        return None
    return max(market.bars["date"].max() for market in source_blocks(settings, max_rows))


def find_table_cuts(settings: DataSettings, max_rows: int, last_bar: pd.Timestamp | None = None) -> TableCuts:
    """Compute the values that depend on all rows, where labels or splits by fraction need them.

    The rows are computed as in the build itself; the date, period and return of each row are retained. The tickers
    of a synthetic market have rows in the same periods, so one block is enough for splits by fraction.

    Args:
        settings: of the table.
        max_rows: bars in a block.
        last_bar: of `find_last_bar`.
    """
    builder = RowBuilder(settings, last_bar)
    fits = builder.method.needs_all_rows
    if not fits and not by_fraction(settings.split):
        return TableCuts(split_starts(settings.split, np.empty(0, dtype=np.int64)))
    blocks: Iterable[Market] = source_blocks(settings, max_rows)
    if isinstance(settings, SyntheticSettings) and not fits:
        blocks = islice(blocks, 1)
    retained = []
    for block in map(builder.build, blocks):
        period = block[ROW_PERIOD].to_numpy(np.int32)
        reach = label_reach(block, period, settings.split, settings.periods)
        retained.append(
            (
                block["date"].to_numpy().astype("datetime64[D]"),
                period,
                block[RETURN].to_numpy() if fits else np.empty(0),
                block["ticker"].to_numpy(dtype=object) if fits else np.empty(0),
                history_only_rows(block),
                np.empty(0) if reach is None else reach,
            )
        )
    builder.check()
    days, period, returns, tickers, history_only, reach = (np.concatenate(each) for each in zip(*retained, strict=True))
    known = np.flatnonzero(np.bincount(period - period.min())) + period.min()
    starts = split_starts(settings.split, known)
    if not fits:
        return TableCuts(starts)
    split, purge = split_codes(days, period, starts), settings.split.purged_periods(settings.labels.horizon)
    training = (split == 0) & usable_periods(period, split, purge, reach if len(reach) else None)
    check_training(int((training & ~history_only).sum()), int((training & history_only).sum()))
    every = AllRows(tickers, period, returns, ~history_only, training & ~history_only)
    return TableCuts(starts, builder.method.fit(every))


def build_parts(settings: DataSettings, staging: Path) -> StagedTable:
    """Build the parts of every split, of the class probabilities where they are known, and the mapped arrays.

    Args:
        settings: of the table.
        staging: folder of the parts.

    Raises:
        DataError: of the sources, or a split without rows.
    """
    max_rows = block_rows(settings)  # no value of the table depends on it
    last_bar = find_last_bar(settings, max_rows)
    cuts = find_table_cuts(settings, max_rows, last_bar)
    checks = FeatureChecks(settings)
    builder, summary = RowBuilder(settings, last_bar, checks), SplitSummary(settings)
    sources = ReadSummary()
    with ExitStack() as stack:
        writers = {name: stack.enter_context(PartsWriter(staging / name)) for name in (*SPLITS, TRUTH, TRADING)}
        tensors = stack.enter_context(TensorWriter(staging / TENSORS, settings.feature_set, settings.periods))
        thread = stack.enter_context(ThreadPoolExecutor(1))

        def write(table: pd.DataFrame, split: np.ndarray, truth: pd.DataFrame | None, trading: pd.DataFrame) -> None:
            for code, name in enumerate(SPLITS):
                writers[name].append(table[split == code])
            if truth is not None:
                writers[TRUTH].append(truth)
            writers[TRADING].append(trading)
            tensors.append(table.assign(split=split))

        writing: Future[None] | None = None
        for market in source_blocks(settings, max_rows):
            sources = market.summary
            block = builder.build(market)
            if len(block):
                split = split_codes(block["date"].to_numpy(), block[ROW_PERIOD].to_numpy(), cuts.split_starts)
                table, truth, trading = builder.label(block, cuts.fitted)
                check_built_table(table, settings.feature_set)
                summary.add(table, split)
                if isinstance(settings, SyntheticSettings):  # every block has the same dates: fail early
                    summary.check()
                if writing is not None:
                    writing.result()
                writing = thread.submit(write, table, split, truth, trading)
        builder.check()
        summary.check()
        if writing is not None:
            writing.result()
        parts = {name: writer.close() for name, writer in writers.items()}
        entries: dict[str, dict[str, Any]] = {
            name: {"sha256": digest(own), "parts": own} for name, own in parts.items() if own
        }
        tensors.finish(content_digest([entries[name]["sha256"] for name in SPLITS if name in entries], settings))
    del market, block
    _free_memory()
    return StagedTable(entries, summary, [*sources.notes(), *builder.notes()], bars_entry(sources), checks.entry())


def _free_memory() -> None:
    """Return freed memory from the C library to the system before the table is mapped."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
