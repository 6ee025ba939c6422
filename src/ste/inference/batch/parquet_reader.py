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
    """Reads one Parquet file.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read.
    """

    multiple_files = False

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        with reading(path, "Parquet"):
            # Without buffered streams the column chunks of a whole row group are in memory at once.
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        self.names = list(self._file.schema_arrow.names)
        self.size = self._file.metadata.num_rows

    def chunks(
        self, columns: Sequence[str], rows: int, select: GroupFilter | None = None
    ) -> Iterator[tuple[TableChunk, int]]:
        """Read batches of at most `rows` rows, each with the number of rows read so far.

        Args:
            columns: to read.
            rows: per batch.
            select: selects row groups by their tickers; needs `ticker_ranges`. Default: all.
        """
        metadata = self._file.metadata
        groups = list(range(metadata.num_row_groups))
        starts = np.cumsum([0, *(metadata.row_group(group).num_rows for group in groups)]).tolist()
        ranges = self.ticker_ranges() if select else None
        if select and ranges:
            groups = [group for group in groups if select(ranges[group])]
        with reading(self.path, "Parquet"):
            for _, run in groupby(enumerate(groups), key=lambda item: item[1] - item[0]):  # adjacent row groups
                adjacent = [group for _, group in run]
                done = starts[adjacent[0]]
                for batch in self._file.iter_batches(
                    batch_size=rows, row_groups=adjacent, columns=list(columns), use_threads=False
                ):
                    line = np.arange(done + 1, done + 1 + batch.num_rows)
                    done += batch.num_rows
                    yield TableChunk(line, {name: batch.column(name) for name in columns}), done

    def ticker_ranges(self) -> list[TickerRange] | None:
        """The tickers of each row group; None if the file has no such statistics, or rows without a ticker."""
        out = []
        metadata = self._file.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
            statistics = columns["ticker"].statistics if "ticker" in columns else None
            if statistics is None or not statistics.has_min_max or statistics.null_count != 0:
                return None
            if not (isinstance(statistics.min, str) and isinstance(statistics.max, str)):
                return None
            out.append(TickerRange(statistics.min, statistics.max, group.num_rows))
        return out


class ParquetFolderReader:
    """Reads the Parquet files of a folder in the order of their names, such as a split of `data.format=parts`.

    The rows of a ticker may continue from file to file.

    Args:
        path: the folder.

    Raises:
        DataError: it has no Parquet files, or one cannot be read.
    """

    multiple_files = True

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        files = part_files(path)
        if not files:
            raise DataError(f"{path}: is a folder without Parquet files. Expected the parts of one table.")
        self._parts = [ParquetReader(file) for file in files]
        self.names = self._parts[0].names
        self.size = sum(part.size for part in self._parts)

    def chunks(
        self, columns: Sequence[str], rows: int, select: GroupFilter | None = None
    ) -> Iterator[tuple[TableChunk, int]]:
        """Read batches of each file; see `ParquetReader.chunks`.

        Raises:
            DataError: a file has no such column.
        """
        for part in self._parts:
            missing = [name for name in columns if name not in part.names]
            if missing:
                raise DataError(f"{part.where}: misses column {', '.join(missing)}, which {self._parts[0].where} has.")
        before = 0
        for part in self._parts:
            for chunk, done in part.chunks(columns, rows, select):
                yield replace(chunk, file=part.path.name), before + done
            before += part.size

    def ticker_ranges(self) -> list[TickerRange] | None:
        """The tickers of each row group of all files; None if one does not provide them."""
        out: list[TickerRange] = []
        for part in self._parts:
            ranges = part.ticker_ranges()
            if ranges is None:
                return None
            out += ranges
        return out
