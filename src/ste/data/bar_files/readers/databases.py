"""SQLite and DuckDB: a table, or a SELECT statement of the user."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from ste.config.file_locations import stem_of
from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import ArrowTable, RawTable
from ste.errors import DataError
from ste.registry import READERS

_DUCKDB_TABLES = "SELECT table_name FROM information_schema.tables ORDER BY 1"
_SQLITE_TABLES = (
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
)


@READERS.register
class SQLite:
    """An SQLite file, opened for reading only."""

    last = False
    has_queries = True

    def accepts(self, path: Path, head: bytes) -> bool:
        """Accept by the first bytes."""
        return head.startswith(b"SQLite format 3\0")

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Run the query."""
        try:
            with closing(sqlite3.connect(f"file:{path.absolute().as_uri()[7:]}?mode=ro", uri=True)) as store:
                names = [name for (name,) in store.execute(_SQLITE_TABLES)]
                cursor = store.execute(_statement(options, names, path))
                header = [column[0] for column in cursor.description or ()]
                rows = cursor.fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _refused(path, error) from None
        cells = [_array([row[at] for row in rows]) for at in range(len(header))]
        yield ArrowTable(str(path), stem_of(path), [header], cells, first_line=1)


@READERS.register
class DuckDB:
    """A DuckDB file, opened for reading only; it needs the package duckdb."""

    last = False
    has_queries = True

    def accepts(self, path: Path, head: bytes) -> bool:
        """Accept by the bytes after the checksum."""
        return head[8:12] == b"DUCK"

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Run the query."""
        try:
            import duckdb
        except ImportError:
            raise DataError(f"{path}: is a DuckDB file, which needs a package. Try pip install duckdb.") from None
        try:
            # A query reads this file and no other.
            with duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"}) as store:
                names = [name for (name,) in store.execute(_DUCKDB_TABLES).fetchall()]
                table: pa.Table = store.sql(_statement(options, names, path)).to_arrow_table()
        except duckdb.Error as error:
            raise _refused(path, error) from None
        cells = [column.combine_chunks() for column in table.columns]
        yield ArrowTable(str(path), stem_of(path), [list(table.column_names)], cells, first_line=1)


def _statement(options: ReadOptions, names: list[str], path: Path) -> str:
    """Return the statement for a table's name, a SELECT statement, or the only table."""
    shown, query, key = ", ".join(names[:12]) or "none", options.query, f"{options.prefix}query"
    if query is None and len(names) != 1:
        example = names[0] if names else "TABLE"
        raise DataError(f"{path}: has the tables {shown}. Say which one holds the bars: {key}={example}.")
    name = names[0] if query is None else query.strip()
    if name in names:
        return 'SELECT * FROM "' + name.replace('"', '""') + '"'
    if not re.match(r"(select|with)\b", name, re.IGNORECASE):
        raise DataError(f"{key}={name}: {path} has no such table. It has {shown}. Or give a SELECT statement.")
    return name


def _refused(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as a database ({str(error).splitlines()[0]}).")


def _array(values: list[Any]) -> pa.Array:
    """Return a column of SQLite, whose values may differ in type."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
