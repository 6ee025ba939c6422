"""Read a file of one small table with known columns, in any format that bars are read from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ste.config.file_locations import find_file
from ste.config.header_check import check_columns
from ste.config.read_options import ReadOptions
from ste.data.bar_files.bar_part import names_of
from ste.data.bar_files.column_names import plain_name
from ste.data.bar_files.date_cells import DAY, to_times
from ste.data.bar_files.number_cells import Mark, is_missing, to_floats
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.reader_registry import open_tables
from ste.data.bar_files.table_cells import read_cells
from ste.data.cells import LAST_DAY, CellTexts
from ste.data.columns import NAME, Violation, find_violations, violation
from ste.errors import DataError
from ste.schema import Column


@dataclass(frozen=True)
class TableColumns:
    """Columns of a file.

    Attributes:
        days, names: columns of days and of names.
        numbers: columns of numbers.
        open_days: of `days`, those whose empty cells mean to this day.
    """

    days: tuple[str, ...]
    names: tuple[str, ...]
    numbers: Sequence[Column] = ()
    open_days: tuple[str, ...] = ()


def read_side_table(
    path: str, kind: str, expected: tuple[str, ...], columns: TableColumns, options: ReadOptions
) -> tuple[pd.DataFrame, list[Violation], pd.Index]:
    """Read a file.

    Args:
        path: of one table; a database is read by its only table.
        kind: setting that names the file, for messages.
        expected: columns of the result, in order; they are found in any spelling.
        columns: what they hold.
        options: how to read.

    Returns:
        The typed columns in the file's row order, days as datetime64[ns]; the violations of days, names and numbers;
        and the index for `columns.check_lines`.

    Raises:
        DataError: the file is missing, cannot be read, or lacks a column or rows.
    """
    options = side_options(options)
    table = open_side_table(path, kind, f"the columns {', '.join(expected)}", options)
    header = table.header[-1]
    places = {name: [at for at, one in enumerate(header) if plain_name(one) == plain_name(name)] for name in expected}
    others = [name for name in header if plain_name(name) not in map(plain_name, expected)]
    check_columns([*(name for name, at in places.items() if at), *others], expected, path)
    twice = [name for name, at in places.items() if len(at) > 1]
    if twice:
        raise DataError(f"{path}: several columns are called {twice[0]}. Expected one.")
    positions = {name: at[0] for name, at in places.items()}
    cells, mark = read_cells(table, positions, [column.name for column in columns.numbers], options)
    check_complete(table, len(cells[expected[0]]), path)
    typed, violations = _typed(cells, columns, mark, path, options)
    return (
        pd.DataFrame({name: typed[name] for name in expected}),
        violations,
        line_index(len(typed[expected[0]]), table),
    )


def side_options(options: ReadOptions) -> ReadOptions:
    """Return the options of the bars without what is of the bars alone."""
    return replace(options, columns={}, query=None)


def open_side_table(path: str, kind: str, content: str, options: ReadOptions) -> RawTable:
    """Open the only table of a file.

    Args:
        path: as typed.
        kind: setting that names the file, for messages.
        content: what the table should have, for messages.
        options: of `side_options`.

    Raises:
        DataError: the file is missing, cannot be read, or has several tables.
    """
    tables = list(open_tables(find_file(path, f"{options.prefix}{kind}"), options))
    if len(tables) != 1:
        raise DataError(f"{path}: holds {len(tables)} tables. Expected one, with {content}.")
    return tables[0]


def check_complete(table: RawTable, rows: int, path: str) -> None:
    """Raise `DataError` where a table that was read has no rows, or a line that is none."""
    if table.skipped:
        line, text = table.skipped[0]
        columns = len(table.header[-1])
        raise DataError(f"{path}: line {line} has not one field for each of its {columns} columns: {text[:60]}")
    if not rows:
        raise DataError(f"{path}: has a header and no rows. Expected at least one row.")


def line_index(rows: int, table: RawTable) -> pd.Index:
    """Return the index for `columns.check_lines`."""
    return pd.Index(np.arange(rows) + table.first_line - 2)


def _typed(
    cells: dict[str, Any], columns: TableColumns, mark: Mark, path: str, options: ReadOptions
) -> tuple[dict[str, Any], list[Violation]]:
    """Return the typed columns, and the violations with the cells as the file has them."""
    typed: dict[str, Any] = {}
    out: list[Violation] = []
    for name in columns.days:
        days = to_times(cells[name], f"{path}: column {name}", options).day
        if name in columns.open_days:
            days = np.where(is_missing(cells[name]) | _is_for_ever(cells[name]), LAST_DAY, days)
        typed[name] = days.astype("datetime64[ns]")
        out += violation(np.isnat(days), name, CellTexts(cells[name]), DAY)
    for name in columns.names:
        names = names_of(cells[name], path)
        out += violation(names.is_null().to_numpy(zero_copy_only=False), name, CellTexts(cells[name]), NAME)
        typed[name] = names.to_pandas()
    typed |= {column.name: to_floats(cells[column.name], mark) for column in columns.numbers}
    for found in find_violations(typed, columns.numbers):
        raw = CellTexts(cells[found.column])
        out.append(Violation(found.column, found.rows, [raw[row] for row in found.rows.tolist()], found.expected))
    return typed, out


def _is_for_ever(cells: Any) -> np.ndarray:
    """Return which cells `[N]` hold the last day of databases, 9999-12-31, bool."""
    text = pc.cast(cells, pa.string())
    return np.asarray(pc.fill_null(pc.starts_with(text, "9999-12-31"), False).to_numpy(zero_copy_only=False))
