"""Parquet and Feather files, as pandas, Polars and Spark write them."""

import ast
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import feather
from pyarrow import parquet as pq

from ste.config.file_locations import stem_of
from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import RawTable
from ste.errors import DataError
from ste.registry import READERS


class ColumnFile:
    """A Parquet or Feather file (see `RawTable`); a row has no line, its number counts from 1.

    Args:
        path: of the file.
        schema: of its columns.
    """

    first_line = 1

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.where, self.stem = str(path), stem_of(path)
        self.skipped: list[tuple[int, str]] = []
        self.path, self.names = path, list(schema.names)
        self.header = _levels([_plain(field) for field in schema])

    def read(self, columns: Sequence[int], text: Collection[int]) -> list[Any]:
        """Return columns as Arrow arrays."""
        names = [self.names[at] for at in columns]
        repeated = next((name for name in names if self.names.count(name) > 1), None)
        if repeated is not None:
            raise DataError(f"{self.path}: has two columns {repeated}. Expected one of each name.")
        try:
            read = pq.read_table if _is_parquet(self.path) else feather.read_table
            table = read(str(self.path), columns=names)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path}: cannot be read ({str(error).splitlines()[0]}).") from None
        return [table.column(name).combine_chunks() for name in names]


@READERS.register
class ArrowFiles:
    """Parquet and Feather (Arrow IPC) files."""

    last = False
    has_queries = False

    def accepts(self, path: Path, head: bytes) -> bool:
        """Accept by the first bytes, or by the ending, so that a broken file is named as what it should be."""
        return head.startswith((b"PAR1", b"ARROW1", b"FEA1")) or path.suffix.lower() in (
            ".parquet",
            ".feather",
            ".arrow",
        )

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Open the one table."""
        try:
            if _is_parquet(path):
                schema = pq.read_schema(path)
            else:
                with pa.memory_map(str(path)) as file:
                    schema = pa.ipc.open_file(file).schema
        except (pa.ArrowException, OSError) as error:
            kind = "Parquet" if _is_parquet(path) else "Feather"
            raise DataError(
                f"{path}: cannot be read as {kind} ({str(error).splitlines()[0]}). Expected a {kind} table."
            ) from None
        yield ColumnFile(path, schema)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4)
    return head == b"PAR1" or path.suffix.lower() == ".parquet"


def _plain(field: pa.Field) -> str:
    """Return a column's name; pandas calls an index without one `__index_level_0__`, which may hold the dates."""
    unnamed = field.name.startswith("__index_level_") and not pa.types.is_integer(field.type)
    return "" if unnamed else str(field.name)


def _levels(names: Sequence[str]) -> list[list[str]]:
    """Split the names of pandas columns with levels, such as `('Close', 'AAPL')`."""
    levels = []
    for name in names:
        try:
            value = ast.literal_eval(name) if name.startswith("(") else (name,)
        except (ValueError, SyntaxError):
            value = (name,)
        levels.append([str(one) for one in value] if isinstance(value, tuple) else [name])
    depth = max(map(len, levels), default=1)
    return [[one[at] if at < len(one) else "" for one in levels] for at in range(depth)]
