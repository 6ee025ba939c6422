"""Split a table into shards by ticker: a window needs the past of its ticker and nothing of other tickers.

A Parquet table whose row groups hold few tickers each is split by ranges of names, and each shard reads its row groups
only. Any other table is split by a hash of the name: each shard reads the whole table and drops the other rows.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ste.inference.batch.parquet_reader import ParquetReader, TickerRange
from ste.inference.batch.table_chunk import TableChunk, TableReader

_MAX_OVERLAP = 1.5  # rows that all ranges together may read, per row of the table


@dataclass(frozen=True)
class Shard:
    """Some tickers of a table. Rows without a ticker, and lines that are not rows, belong to shard 0.

    Attributes:
        index: from 0.
        count: number of shards.
        low: smallest name; None for no bound.
        high: name above the largest; None for no bound. Without `low` and `high`, names are assigned by hash.
    """

    index: int
    count: int
    low: str | None = None
    high: str | None = None

    @property
    def by_range(self) -> bool:
        """Whether the shard is a range of names."""
        return self.low is not None or self.high is not None

    def overlaps(self, tickers: TickerRange) -> bool:
        """Whether a row group may contain rows of this range."""
        return (self.low is None or tickers.high >= self.low) and (self.high is None or tickers.low < self.high)

    def mask(self, cells: Any) -> np.ndarray:
        """Mark the rows of this shard, bool `[N]`.

        Args:
            cells: tickers as they were read, Arrow `[N]`.
        """
        if not _is_text(cells.type):  # reported by the check of the column
            return np.full(len(cells), self.index == 0)
        encoded = cells if pa.types.is_dictionary(cells.type) else pc.dictionary_encode(cells)
        names = encoded.dictionary.to_pylist()
        own = np.array([*map(self._contains, names), self.index == 0], dtype=bool)
        codes = pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False)
        return own[codes.astype(np.int64)]

    def _contains(self, name: str | None) -> bool:
        if name is None:
            return self.index == 0
        if self.by_range:
            return (self.low is None or name >= self.low) and (self.high is None or name < self.high)
        return zlib.crc32(name.encode(errors="surrogatepass")) % self.count == self.index


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plan_shards(table: TableReader, count: int) -> list[Shard]:
    """Split a table into `count` shards, or fewer if it has fewer row groups to split at."""
    ranges = table.ticker_ranges() if isinstance(table, ParquetReader) else None
    return _range_shards(ranges or [], count) or [Shard(index, count) for index in range(count)]


def _range_shards(groups: list[TickerRange], count: int) -> list[Shard]:
    """Split at the first ticker of row groups; empty if that gives one shard, or shards that overlap too much."""
    total, before = sum(group.rows for group in groups), 0
    bounds: list[str] = []
    for group in sorted(groups):
        if len(bounds) < count - 1 and before >= total * (len(bounds) + 1) / count and group.low not in bounds:
            bounds.append(group.low)
        before += group.rows
    ends = list(pairwise([None, *bounds, None]))
    shards = [Shard(index, len(ends), low, high) for index, (low, high) in enumerate(ends)]
    rows_read = sum(group.rows for shard in shards for group in groups if shard.overlaps(group))
    return shards if len(shards) > 1 and rows_read <= _MAX_OVERLAP * total else []


class ShardReader:
    """A shard of a table as a table of its own.

    Args:
        table: the whole table.
        shard: part of it.
    """

    def __init__(self, table: TableReader, shard: Shard) -> None:
        self.where, self.names, self.size = table.where, table.names, table.size
        self.multiple_files = table.multiple_files
        self._table, self._shard = table, shard

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[TableChunk, int]]:
        """Read the rows of the shard; see `TableReader.chunks`.

        Args:
            columns: to read, `ticker` among them.
            rows: per chunk of the whole table.
        """
        if self._shard.by_range and isinstance(self._table, ParquetReader):
            chunks = self._table.chunks(columns, rows, self._shard.overlaps)
        else:
            chunks = self._table.chunks(columns, rows)
        for chunk, done in chunks:
            own = chunk.filter(self._shard.mask(chunk.cells["ticker"]))
            yield (own if self._shard.index == 0 else replace(own, rejects=[])), done
