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
from ste.data.bar_files.reader_registry import open_tables
from ste.data.bar_files.table_cells import read_cells
from ste.data.cells import LAST_DAY, cell_text
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
    options = replace(options, columns={}, query=None)  # those of the bars
    file = find_file(path, f"{options.prefix}{kind}")
    tables = list(open_tables(file, options))
    if len(tables) != 1:
        raise DataError(f"{path}: holds {len(tables)} tables. Expected one, with the columns {', '.join(expected)}.")
    table = tables[0]
    header = table.header[-1]
    places = {name: [at for at, one in enumerate(header) if plain_name(one) == plain_name(name)] for name in expected}
    others = [name for name in header if plain_name(name) not in map(plain_name, expected)]
    check_columns([*(name for name, at in places.items() if at), *others], expected, path)
    twice = [name for name, at in places.items() if len(at) > 1]
    if twice:
        raise DataError(f"{path}: several columns are called {twice[0]}. Expected one.")
    positions = {name: at[0] for name, at in places.items()}
    cells, mark = read_cells(table, positions, [column.name for column in columns.numbers], options)
    if table.skipped:
        line, text = table.skipped[0]
        raise DataError(f"{path}: line {line} has not one field for each of its {len(header)} columns: {text[:60]}")
    if not len(cells[expected[0]]):
        raise DataError(f"{path}: has a header and no rows. Expected at least one row.")
    typed, violations = _typed(cells, columns, mark, path, options)
    return pd.DataFrame({name: typed[name] for name in expected}), violations, _lines(len(typed[expected[0]]), table)


def _lines(rows: int, table: Any) -> pd.Index:
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
        out += violation(np.isnat(days), name, _Raw(cells[name]), DAY)
    for name in columns.names:
        names = names_of(cells[name], path)
        out += violation(names.is_null().to_numpy(zero_copy_only=False), name, _Raw(cells[name]), NAME)
        typed[name] = names.to_pandas()
    typed |= {column.name: to_floats(cells[column.name], mark) for column in columns.numbers}
    for found in find_violations(typed, columns.numbers):
        raw = _Raw(cells[found.column])
        out.append(Violation(found.column, found.rows, [raw[row] for row in found.rows.tolist()], found.expected))
    return typed, out


def _is_for_ever(cells: Any) -> np.ndarray:
    """Return which cells `[N]` hold the last day of databases, 9999-12-31, bool."""
    text = pc.cast(cells, pa.string())
    return np.asarray(pc.fill_null(pc.starts_with(text, "9999-12-31"), False).to_numpy(zero_copy_only=False))


class _Raw:
    """Cells as a message shows them."""

    def __init__(self, cells: Any) -> None:
        self._cells = cells

    def __getitem__(self, row: int) -> str:
        return cell_text(self._cells, row)
