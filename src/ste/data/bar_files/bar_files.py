"""Read the bars of files in any shape, complete or in blocks of tickers."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ste.config.file_locations import find_files, unread_files
from ste.config.progress import step
from ste.config.read_options import ReadOptions
from ste.data.bar_files.bar_frame import FaultyRow, OnFaults, checked_frame
from ste.data.bar_files.bar_part import BarPart, read_part
from ste.data.bar_files.column_names import ColumnMap, shown_names
from ste.data.bar_files.field_tables import field_part
from ste.data.bar_files.file_ticker import check_no_year, ticker_of
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.reader_registry import open_tables
from ste.data.bar_files.sorted_parquet import sorted_parts
from ste.data.bar_files.table_shapes import Shape, field_files, shape_of
from ste.errors import DataError
from ste.market.read_summary import ReadSummary
from ste.market.ticker_groups import ticker_ranges, ticker_starts

_SHOWN = 60  # characters of a line in the summary
_AT_ONCE = 1 << 18  # rows that are checked together
_AHEAD = 4  # tables that each thread may read before they are needed

Piece = tuple[str, Callable[[], BarPart]]
"""Ticker and what reads its bars."""


def open_bar_files(
    what: str, options: ReadOptions, summary: ReadSummary, tickers: list[str] | None = None
) -> "BarFiles":
    """Find the tables of a file, folder, pattern, archive or database.

    Args:
        what: as the user typed it.
        options: how to read.
        summary: of what is understood and left out.
        tickers: names to read; None reads all.

    Raises:
        DataError: nothing is there, or a file cannot be read.
    """
    files = find_files(what, f"{options.prefix}bars")
    tables = list(chain.from_iterable(open_tables(path, options) for path in files))
    summary.files = len(files)
    if unread := unread_files(what):
        noun = "file" if len(unread) == 1 else "files"
        summary.state(f"bars: {len(unread):,} {noun} not read, by the name (first: {unread[0].name})")
    return BarFiles(tables, what, options, summary, tickers)


class BarFiles:
    """The bars of one or more tables, which are read by `blocks`.

    Args:
        tables: at least one.
        where: file or source of them, for messages.
        options: how to read.
        summary: of what is understood and left out.
        tickers: names to read; None reads all.
    """

    def __init__(
        self,
        tables: list[RawTable],
        where: str,
        options: ReadOptions,
        summary: ReadSummary,
        tickers: list[str] | None = None,
    ) -> None:
        self.where, self.options, self.summary = where, options, summary
        self._tables = tables
        self._wanted = None if tickers is None else set(tickers)
        self._requested = tickers or []
        self._on_faults: OnFaults | None = None

    def blocks(self, max_rows: int, on_faults: OnFaults | None = None) -> Iterator[pd.DataFrame]:
        """Yield the bars in blocks of complete tickers, in ticker order (see `bar_frame.checked_frame`).

        Args:
            max_rows: bars in a block; a ticker with more has a block of its own.
            on_faults: gets the rows with a fault; None raises an error for them.

        Raises:
            DataError: of a row, or a ticker that was asked for has no bars.
        """
        self._on_faults = on_faults
        for parts in self._parts(max_rows):
            frame = checked_frame(parts, self.summary, self.options, on_faults)
            bounds = np.append(ticker_starts(frame), len(frame))
            for first, last in ticker_ranges(bounds, max_rows):
                block = frame.iloc[first:last].reset_index(drop=True)
                yield block.assign(ticker=block["ticker"].cat.remove_unused_categories())

    def _parts(self, max_rows: int) -> Iterator[list[BarPart]]:
        """Yield the tables of complete tickers; few at once where each table is of one ticker."""
        fields = field_files(self._tables)
        if fields is not None:
            self.summary.shape = "a file for each of open, high, low, close and volume"
            yield self._chosen([field_part(fields, self.where, self.options)])
            return
        shapes = self._shapes()
        stems = Counter(table.stem for table in self._tables)
        pieces = [
            piece
            for table, shape in zip(self._tables, shapes, strict=True)
            for piece in _pieces(table, shape, self.options, shared=stems[table.stem] > 1)
        ]
        if not any(shape.has_ticker_column for shape in shapes):
            self._check_tickers({ticker for ticker, _ in pieces})
            self._state_joined(pieces)
            wanted = [piece for piece in pieces if self._wanted is None or piece[0] in self._wanted]
            yield from self._grouped(sorted(wanted, key=lambda piece: piece[0]), max_rows)
            return
        streamed = None
        if len(self._tables) == 1:
            streamed = sorted_parts(Path(self._tables[0].where), shapes[0], self.options, max_rows)
        if streamed is None:
            yield self._chosen([part for _, part in self._read(pieces)])
            return
        self._check_tickers(streamed.tickers)
        for part in streamed.parts():
            yield [self._selected(part)]

    def _chosen(self, parts: list[BarPart]) -> list[BarPart]:
        """Return the rows of the tickers that were asked for, of all tables."""
        self._check_tickers({name for part in parts for name in _tickers(part)})
        return [self._selected(part) for part in parts]

    def _grouped(self, pieces: list[Piece], max_rows: int) -> Iterator[list[BarPart]]:
        """Yield the tables of complete tickers; two files of one ticker stay together."""
        group: list[BarPart] = []
        last = None
        for ticker, part in self._read(pieces):
            if group and ticker != last and sum(map(len, group)) >= min(max_rows, _AT_ONCE):
                yield group
                group = []
            group.append(part)
            last = ticker
        if group:
            yield group

    def _state_joined(self, pieces: list[Piece]) -> None:
        """State which tickers come from several files, which may have been meant as several tickers."""
        count = Counter(ticker for ticker, _ in pieces)
        joined = [ticker for ticker, tables in count.items() if tables > 1]
        if joined:
            noun = "ticker is" if len(joined) == 1 else "tickers are"
            first = f"{joined[0]} from {count[joined[0]]} files"
            self.summary.state(f"bars: {len(joined):,} {noun} joined from several files (first: {first})")

    def _shapes(self) -> list[Shape]:
        """Return the shape of each table; tables with the same header have the same."""
        known: dict[Any, Shape] = {}
        shapes = []
        for table in self._tables:
            header = tuple(map(tuple, table.header))
            if header not in known:
                known[header] = shape_of(table, self.options)
            shapes.append(known[header])
        self.summary.shape = "; ".join(dict.fromkeys(shape.name for shape in shapes))
        self.summary.ignored = list(dict.fromkeys(name for shape in shapes for name in shape.ignored))
        return shapes

    def _read(self, pieces: list[Piece]) -> Iterator[tuple[str, BarPart]]:
        """Read tables side by side and yield them in order."""
        threads = os.cpu_count() or 1
        waiting: list[tuple[str, Future[BarPart]]] = []
        left = iter(pieces)
        with step("reading bars", len(pieces), quiet=True) as shown, ThreadPoolExecutor(threads) as pool:
            try:
                for done in range(1, len(pieces) + 1):
                    for ticker, read in islice(left, threads * _AHEAD - len(waiting)):
                        waiting.append((ticker, pool.submit(read)))
                    ticker, future = waiting.pop(0)
                    part = future.result()
                    if not len(part):
                        self.summary.empty.add(1, f"{ticker} in {part.where}" if ticker else part.where)
                    yield ticker, part
                    shown.update(done)
            finally:
                for _, future in waiting:
                    future.cancel()
        for table in self._tables:
            self._count_skipped(table)

    def _count_skipped(self, table: RawTable) -> None:
        """Count the lines of a table that were no rows."""
        if not table.skipped:
            return
        self.summary.found += len(table.skipped)
        if self._on_faults is None:
            line, text = table.skipped[0]
            first = f"{table.where}, line {line}: {text[:_SHOWN]}"
            self.summary.add(self.summary.set_aside, "that hold no bar", len(table.skipped), first)
        else:
            rule = "as many fields as the header has"
            self._on_faults([FaultyRow(table.where, line, "", "", "", text, rule) for line, text in table.skipped])

    def _selected(self, part: BarPart) -> BarPart:
        """Return the rows of the tickers that were asked for."""
        if self._wanted is None or isinstance(part.ticker, str):
            return part
        wanted = pa.array(sorted(self._wanted), pa.string())
        return part.take(np.asarray(pa.compute.is_in(part.ticker, wanted).to_numpy(zero_copy_only=False)))

    def _check_tickers(self, known: set[str | None]) -> None:
        """Raise `DataError` where a requested ticker has no bars."""
        names = {name for name in known if name}
        unknown = [name for name in self._requested if name not in names]
        if unknown:
            raise DataError(
                f"{self.where}: no bars of {', '.join(unknown)}. It has {len(names)} tickers: "
                f"{shown_names(sorted(names))}. Try data.tickers=[{sorted(names)[0] if names else 'NAME'}]."
            )


def _tickers(part: BarPart) -> list[str | None]:
    return [part.ticker] if isinstance(part.ticker, str) else part.ticker.unique().to_pylist()


def _pieces(table: RawTable, shape: Shape, options: ReadOptions, *, shared: bool) -> Iterator[Piece]:
    """Yield what reads each ticker of a table; one that reads all where a column holds the ticker."""
    padded = len(shape.by_ticker) > 1
    for name, columns in shape.by_ticker.items():
        if shape.has_ticker_column:
            yield "", partial(read_part, table, columns, None, options)
        else:
            ticker = name or ticker_of(table.where, table.stem, shared=shared)
            yield ticker, partial(_of_ticker, table, columns, ticker, options, padded)


def _of_ticker(table: RawTable, columns: ColumnMap, ticker: str, options: ReadOptions, padded: bool) -> BarPart:
    """Read one ticker; of tickers side by side, a day without any value is another ticker's."""
    part = read_part(table, columns, ticker, options)
    if ticker == table.stem:
        check_no_year(ticker, part.day, table.where)
    if padded:
        empty = part.without_values & part.missing
        part = part.take(~empty) if empty.any() else part
    return part
