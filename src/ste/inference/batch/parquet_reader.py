"""Read Parquet files in batches; a row group need not fit in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from ste.data.storage.parquet_shards import part_files
from ste.errors import DataError
from ste.inference.batch.table_chunk import TableChunk, reading

_BUFFER = 1 << 20  # bytes


class TickerRange(NamedTuple):
    """Smallest and largest ticker of a row group, and its number of rows."""

    low: str
    high: str
    rows: int


GroupFilter = Callable[[TickerRange], bool]
"""Selects the row groups to read."""


class ParquetReader:
    """Reads a Parquet file, or those of a folder in the order of their names, such as a split of `data.format=parts`.

    The rows of a ticker may continue from file to file.

    Args:
        path: the file or folder.

    Raises:
        DataError: a file cannot be read, or a folder has none.
    """

    def __init__(self, path: Path) -> None:
        self.where, self.multiple_files = str(path), path.is_dir()
        self._paths = part_files(path) if self.multiple_files else [path]
        if not self._paths:
            raise DataError(f"{path}: is a folder without Parquet files. Expected the parts of one table.")
        self._files = [_open(file) for file in self._paths]
        self.names = list(self._files[0].schema_arrow.names)
        self.size = sum(file.metadata.num_rows for file in self._files)

    def chunks(
        self, columns: Sequence[str], rows: int, select: GroupFilter | None = None
    ) -> Iterator[tuple[TableChunk, int]]:
        """Read batches of at most `rows` rows, each with the number of rows read so far.

        Args:
            columns: to read.
            rows: per batch.
            select: selects row groups by their tickers; needs `ticker_ranges`. Default: all.

        Raises:
            DataError: a file has no such column.
        """
        for path, file in zip(self._paths, self._files, strict=True):
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise DataError(f"{path}: misses column {', '.join(missing)}, which {self._paths[0]} has.")
        before = 0
        for path, file in zip(self._paths, self._files, strict=True):
            for chunk, done in _file_chunks(path, file, columns, rows, select):
                yield replace(chunk, file=path.name if self.multiple_files else ""), before + done
            before += file.metadata.num_rows

    def ticker_ranges(self) -> list[TickerRange] | None:
        """The tickers of each row group; None if one has no such statistics, or rows without a ticker."""
        ranges = [_ticker_range(file, group) for file in self._files for group in range(file.num_row_groups)]
        return None if None in ranges else [one for one in ranges if one is not None]


def _open(path: Path) -> pq.ParquetFile:
    with reading(path, "Parquet"):
        # Without buffered streams the column chunks of a whole row group are in memory at once.
        return pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)


def _file_chunks(
    path: Path, file: pq.ParquetFile, columns: Sequence[str], rows: int, select: GroupFilter | None
) -> Iterator[tuple[TableChunk, int]]:
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    starts = np.cumsum([0, *sizes]).tolist()
    groups = [
        group
        for group in range(len(sizes))
        if select is None or (tickers := _ticker_range(file, group)) is None or select(tickers)
    ]
    with reading(path, "Parquet"):
        for _, run in groupby(enumerate(groups), key=lambda item: item[1] - item[0]):  # adjacent row groups
            adjacent = [group for _, group in run]
            done = starts[adjacent[0]]
            for batch in file.iter_batches(
                batch_size=rows, row_groups=adjacent, columns=list(columns), use_threads=False
            ):
                line = np.arange(done + 1, done + 1 + batch.num_rows)
                done += batch.num_rows
                yield TableChunk(line, {name: batch.column(name) for name in columns}), done


def _ticker_range(file: pq.ParquetFile, number: int) -> TickerRange | None:
    group = file.metadata.row_group(number)
    columns = (group.column(at) for at in range(group.num_columns))
    statistics = next((column.statistics for column in columns if column.path_in_schema == "ticker"), None)
    if statistics is None or not statistics.has_min_max or statistics.null_count != 0:
        return None
    if not (isinstance(statistics.min, str) and isinstance(statistics.max, str)):
        return None
    return TickerRange(statistics.min, statistics.max, group.num_rows)
