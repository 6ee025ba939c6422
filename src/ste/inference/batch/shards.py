"""A table in shares by ticker: a window needs its ticker's past, and nothing of any other ticker.

A Parquet file that is sorted by ticker is cut where its row groups begin, and each share reads its own alone. Any other
table is read whole by each, which keeps the rows of its tickers.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ste.inference.batch.table_reader import Chunk, FolderTable, ParquetTable, Table

_MOST = 1.5  # times the table's rows that all ranges together may read: beyond, nothing is won


@dataclass(frozen=True)
class Share:
    """Some tickers of a table.

    Attributes:
        number: of this one, from 0; `count`: of all.
        count: see above.
        low, high: names from `low` on and before `high`; None has no bound. Without `groups` names are drawn by hash.
        groups: of Parquet, the row groups that hold these names: number of the file, and in it.
    """

    number: int
    count: int
    low: str | None = None
    high: str | None = None
    groups: tuple[tuple[int, int], ...] | None = None

    def holds(self, ticker: Any) -> np.ndarray:
        """Which rows are of this share, bool `[N]`; a row without a ticker is of the first.

        Args:
            ticker: raw cells, Arrow `[N]`.
        """
        if not _is_text(ticker.type):  # not a table that can be used, which is told where its rows are checked
            return np.full(len(ticker), self.number == 0)
        encoded = ticker if pa.types.is_dictionary(ticker.type) else pc.dictionary_encode(ticker)
        names = encoded.dictionary.to_pylist()
        own = np.array([self._holds(name) for name in names] + [self.number == 0], dtype=bool)
        codes = pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False)
        return own[codes.astype(np.int64)]

    def _holds(self, name: str | None) -> bool:
        if name is None:
            return self.number == 0
        if self.groups is None:
            return zlib.crc32(name.encode(errors="surrogatepass")) % self.count == self.number
        return (self.low is None or name >= self.low) and (self.high is None or name < self.high)


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def shares_of(table: Table, count: int) -> list[Share]:
    """A table in `count` shares, or fewer where it has fewer row groups."""
    ranges = _ranges(table, count) if isinstance(table, ParquetTable | FolderTable) else None
    return ranges or [Share(number, count) for number in range(count)]


def _ranges(table: ParquetTable | FolderTable, count: int) -> list[Share] | None:
    """Shares by ranges of names, where the row groups say that each is in few of them; else None."""
    found: list[tuple[str, str, int, tuple[int, int]]] = []  # least and greatest name, rows, file and number
    for file, part in enumerate(table.parts_with([])):
        ranges = part.ticker_ranges()
        if ranges is None:
            return None
        found += [(least, most, rows, (file, number)) for number, (rows, least, most) in enumerate(ranges)]
    total, before = sum(rows for *_, rows, _ in found), 0
    bounds: list[str] = []
    for least, _, rows, _ in sorted(found):
        if len(bounds) < count - 1 and before >= total * (len(bounds) + 1) / count and least not in bounds:
            bounds.append(least)
        before += rows
    edges = [None, *bounds, None]
    shares = [
        Share(
            number,
            len(edges) - 1,
            low,
            high,
            tuple(
                at for least, most, _, at in found if (low is None or most >= low) and (high is None or least < high)
            ),
        )
        for number, (low, high) in enumerate(pairwise(edges))
    ]
    size = {at: rows for *_, rows, at in found}
    read = sum(size[at] for share in shares for at in share.groups or ())
    return shares if len(shares) > 1 and read <= _MOST * total else None


@dataclass(frozen=True)
class Turn:
    """A chunk of a whole table, as far as it is of a share.

    Attributes:
        number: of the chunk, the same for every share.
        chunk: rows of the share.
        done: as `Table.chunks` reports it.
    """

    number: int
    chunk: Chunk
    done: int


def turns(table: Table, share: Share, columns: Sequence[str], rows: int) -> Iterator[Turn]:
    """A share of a table in the chunks of the whole.

    Args:
        table: the whole.
        share: of it.
        columns: to read; `ticker` is among them.
        rows: of a chunk at most.
    """
    if share.groups is not None:
        assert isinstance(table, ParquetTable | FolderTable)
        yield from _turns_of_groups(table, share, columns, rows)
        return
    for number, (chunk, done) in enumerate(table.chunks(columns, rows)):
        keep = share.holds(chunk.cells["ticker"])
        rejects = chunk.rejects if share.number == 0 else []
        yield Turn(number, _where(replace(chunk, rejects=rejects), keep), done)


def _turns_of_groups(
    table: ParquetTable | FolderTable, share: Share, columns: Sequence[str], rows: int
) -> Iterator[Turn]:
    """Batches of a whole file hold `rows` rows each: a row's line says which it would be in."""
    batches, before = 0, 0
    for file, part in enumerate(table.parts_with(columns)):
        groups = [number for of, number in share.groups or () if of == file]
        for chunk, done in part.chunks_of(groups, columns, rows):
            keep = share.holds(chunk.cells["ticker"])
            at = chunk.line - 1
            for number in np.unique(at // rows):
                own = keep & (at // rows == number)
                mine = replace(_where(chunk, own), file=part.path.name if table.several else "")
                yield Turn(batches + int(number), mine, before + done)
        batches += -(-part.size // rows)
        before += part.size


def _where(chunk: Chunk, keep: np.ndarray) -> Chunk:
    if keep.all():
        return chunk
    cells = {name: cells.filter(pa.array(keep)) for name, cells in chunk.cells.items()}
    return replace(chunk, line=chunk.line[keep], cells=cells)
