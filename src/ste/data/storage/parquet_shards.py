"""Write and read tables larger than memory: each split is a folder of one Parquet file per year, the parts.

A block holds all rows of some tickers. Blocks are written in ticker order; each becomes one row group in every
year of its rows. A part is therefore sorted by ticker and date.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256 as sha256_of
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ste.data.history_only import history_only_rows
from ste.data.storage.files import sha256
from ste.errors import DataError
from ste.schema import HISTORY_ONLY, SPLITS

THREADS = 2
"""Parts that are written at once."""


def part_files(folder: Path) -> list[Path]:
    """Return the parts of a table in the order of their years."""
    return sorted(folder.glob("*.parquet"))


def digest(parts: dict[str, str]) -> str:
    """Combine the names and digests of a table's parts into one digest."""
    lines = "".join(f"{name} {parts[name]}\n" for name in sorted(parts))
    return sha256_of(lines.encode()).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Compute the digest of each part, by name."""
    files = part_files(folder)
    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip((file.name for file in files), pool.map(sha256, files), strict=True))


class PartsWriter:
    """Writes a folder of parts.

    Args:
        folder: of the parts; it does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._years: dict[int, pq.ParquetWriter] = {}
        self._marked: set[int] = set()  # years whose part has the column `HISTORY_ONLY`
        self._pool = ThreadPoolExecutor(THREADS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._finish_files()

    def append(self, rows: pd.DataFrame) -> None:
        """Write a block.

        Args:
            rows: `date`, `ticker` and numbers, sorted by ticker and date; the tickers follow those of earlier
                blocks. A year's part has the column `schema.HISTORY_ONLY` where any row of it is history only.
        """
        if rows.empty:
            return
        history_only = history_only_rows(rows)
        table = pa.table({str(name): _array(rows[name]) for name in rows if name != HISTORY_ONLY})
        marked = table.append_column(HISTORY_ONLY, pa.array(history_only.astype(np.int8)))
        years = rows["date"].to_numpy().astype("datetime64[Y]").astype(np.int64) + 1970
        found = np.flatnonzero(np.bincount(years)).tolist()
        for year in set(years[history_only].tolist()) - self._marked:
            self._mark(year, marked.schema)
        tables = [marked if year in self._marked else table for year in found]
        writers = [self._writer(year, each.schema) for year, each in zip(found, tables, strict=True)]
        rows_of = [pa.array(np.flatnonzero(years == year)) for year in found]
        list(self._pool.map(_write, tables, writers, rows_of))

    def close(self) -> dict[str, str]:
        """Finish the files and return the digest of each part, by name."""
        self._finish_files()
        return digests(self.folder)

    def _writer(self, year: int, schema: pa.Schema) -> pq.ParquetWriter:
        if year not in self._years:
            floats = [field.name for field in schema if pa.types.is_floating(field.type)]
            self._years[year] = pq.ParquetWriter(
                self.folder / f"{year}.parquet",
                schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[field.name for field in schema if field.name not in floats],
                use_byte_stream_split=floats,
                write_statistics=["ticker"],  # read by `_groups`
                store_schema=False,
            )
        return self._years[year]

    def _mark(self, year: int, schema: pa.Schema) -> None:
        """Give a year's part the column `HISTORY_ONLY`; it is 0 in the blocks before."""
        self._marked.add(year)
        if year not in self._years:
            return
        self._years.pop(year).close()
        path = self.folder / f"{year}.parquet"
        before = path.rename(path.with_suffix(".before"))
        with pq.ParquetFile(before) as part:
            for number in range(part.num_row_groups):
                block = part.read_row_group(number)
                block = block.append_column(HISTORY_ONLY, pa.array(np.zeros(len(block), dtype=np.int8)))
                self._writer(year, schema).write_table(block.cast(schema), row_group_size=len(block))
        before.unlink()

    def _finish_files(self) -> None:
        self._pool.shutdown()
        for writer in self._years.values():
            writer.close()
        self._years = {}


def _array(column: pd.Series) -> Any:
    if column.name == "ticker":
        return pa.array(column, pa.string())
    values = column.to_numpy()
    return pa.array(values.astype("datetime64[ms]") if values.dtype.kind == "M" else values)


def _write(table: pa.Table, writer: pq.ParquetWriter, rows: Any) -> None:
    writer.write_table(table.take(rows), row_group_size=len(rows))


def read_parts_blocks(folders: dict[str, Path]) -> Iterator[pd.DataFrame]:
    """Yield a table's rows block by block; a block has the rows of some tickers of all splits and years.

    Args:
        folders: split to the folder of its parts.

    Yields:
        The table's columns with `ticker` as a category, and `split`, int8; sorted by ticker and date.

    Raises:
        DataError: a part cannot be read, or has no statistics of its tickers.
    """
    groups = sorted(
        group for split, folder in folders.items() for file in part_files(folder) for group in _groups(file, split)
    )
    block: list[_Group] = []
    with ExitStack() as opened:
        files = {
            file: opened.enter_context(pq.ParquetFile(file, read_dictionary=["ticker"]))
            for file in {group.file for group in groups}
        }
        for group in groups:
            if block and group.first > max(before.last for before in block):
                yield _block(block, files)
                block = []
            block.append(group)
        if block:
            yield _block(block, files)


class _Group(NamedTuple):
    """A row group: first and last ticker, code of the split, file and number within it."""

    first: str
    last: str
    split: int
    file: Path
    number: int


def _groups(file: Path, split: str) -> Iterator[_Group]:
    try:
        with pq.ParquetFile(file) as part:
            column = part.schema_arrow.get_field_index("ticker")
            for number in range(part.num_row_groups):
                statistics = part.metadata.row_group(number).column(column).statistics
                yield _Group(statistics.min, statistics.max, SPLITS.index(split), file, number)
    except (pa.ArrowException, OSError, AttributeError, IndexError) as error:
        raise DataError(
            f"{file}: cannot be read as a part of a table ({str(error).splitlines()[0]}). Delete {file.parent.parent} "
            "to have it built again."
        ) from None


def _block(groups: list[_Group], files: dict[Path, pq.ParquetFile]) -> pd.DataFrame:
    tables = [files[group.file].read_row_group(group.number, use_threads=False) for group in groups]
    codes = [np.full(len(table), group.split, dtype=np.int8) for group, table in zip(groups, tables, strict=True)]
    table = pa.concat_tables(tables, promote_options="default")
    if HISTORY_ONLY in table.column_names:  # not all parts have it; it stays the last column
        marks = pc.fill_null(table[HISTORY_ONLY], 0)
        table = table.drop_columns(HISTORY_ONLY).append_column(HISTORY_ONLY, marks)
    table = table.unify_dictionaries().combine_chunks()
    table = table.append_column("split", pa.array(np.concatenate(codes)))
    known = table["ticker"].chunk(0)
    ranks = np.argsort(np.argsort(np.asarray(known.dictionary, dtype=object)))
    order = np.lexsort((table["date"].to_numpy(), ranks[known.indices.to_numpy()]))
    return table.take(pa.array(order)).to_pandas(self_destruct=True)


def first_rows(folder: Path, count: int) -> pd.DataFrame:
    """Read the first rows of a split's first part."""
    with pq.ParquetFile(part_files(folder)[0]) as part:
        return next(part.iter_batches(batch_size=count, use_threads=False)).to_pandas()
