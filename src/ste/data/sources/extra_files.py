"""Read files with columns of the user's own: `data.extra.NAME=FILE`. R rows."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ste.config.extra_settings import EXTRA
from ste.config.read_options import ReadOptions
from ste.data.bar_files.column_names import INDEX_NAMES, plain_name, usual_positions
from ste.data.bar_files.number_cells import Mark, is_missing, is_text, to_floats
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.table_cells import read_cells
from ste.data.cells import CellTexts
from ste.data.columns import Violation, check_lines, violation
from ste.data.sources.extra_rows import DATED, ExtraCells, dated_rows
from ste.data.sources.extra_summary import ExtraReading
from ste.data.sources.side_tables import check_complete, line_index, open_side_table, side_options
from ste.errors import DataError
from ste.market.extra_table import ExtraTable, extra_table

_NUMBER = "a number, or an empty cell for no new value"


@dataclass(frozen=True)
class _Columns:
    """Columns of a table by their places.

    Attributes:
        keys: place of each of `DATED` that there is.
        values: place of each value column, by its name in expressions.
        ignored: names of text columns and unnamed ones, with the reason.
    """

    keys: dict[str, int]
    values: dict[str, int]
    ignored: list[str]


def read_extra_file(name: str, path: str, lag: int | None, options: ReadOptions) -> tuple[ExtraTable, ExtraReading]:
    """Read a file of own columns: `ticker` and/or `date`, optionally `known_at`, and columns of numbers.

    Args:
        name: of the file in expressions.
        path: of one table, in any format that bars are read from.
        lag: days from `date` on after which a row without `known_at` is known; None where it is not stated.
        options: how to read.

    Raises:
        DataError: with the file, the column and the first lines at fault.
    """
    kind, options = f"{EXTRA}.{name}", side_options(options)
    table = open_side_table(path, kind, "date or known_at and columns of numbers", options)
    keys = _key_places(table, path)
    lag_key = f"{options.prefix}{EXTRA}_lag.{name}"
    _check_datable(keys, lag, path, lag_key)
    columns = _columns(table, keys, path)
    cells, mark = read_cells(table, {**keys, **columns.values}, list(columns.values), options)
    rows = len(next(iter(cells.values())))
    check_complete(table, rows, path)
    lines = line_index(rows, table)
    values, violations = _numbers({column: cells[column] for column in columns.values}, mark)
    check_lines(violations, path, lines)
    own = ExtraCells(path, {key: cells[key] for key in keys}, values, lag, lag_key)
    dated, violations = dated_rows(own, options)
    check_lines(violations, path, lines)
    read, outdated = extra_table(dated.rows)
    header = table.header[-1]
    spelled = {key: header[at] for key, at in keys.items() if plain_name(header[at]) != plain_name(key)}
    return read, ExtraReading(kind, dated, outdated, lag, spelled, columns.ignored)


def _key_places(table: RawTable, path: str) -> dict[str, int]:
    """Return the place of each of `DATED` that a table has."""
    header = table.header[-1]
    places = {key: usual_positions(header, key) for key in ("ticker", "date")}
    places["known_at"] = [at for at, name in enumerate(header) if plain_name(name) == plain_name("known_at")]
    for key, found in places.items():
        if len(found) > 1:
            raise DataError(f"{path}: several columns are called {header[found[0]]}, which means {key}. Expected one.")
    return {key: found[0] for key, found in places.items() if found}


def _check_datable(keys: dict[str, int], lag: int | None, path: str, lag_key: str) -> None:
    """Refuse a table whose rows cannot be dated."""
    if "known_at" not in keys and "date" not in keys:
        raise DataError(
            f"{path}: has no column date or known_at: the days from which its rows are known are missing. Expected "
            "one of them; give values that never change the day from which they were known."
        )
    if "known_at" not in keys and lag is None:
        raise DataError(
            f"{path}: has no column known_at: the days from which its rows are known are missing. Try {lag_key}=0 if "
            f"the values are known at the close of date, or {lag_key}=1 if they are known the next day."
        )
    if "date" not in keys and lag is not None:
        raise DataError(f"{lag_key}={lag}: counts from the column date, which {path} has not. Leave {lag_key} out.")


def _columns(table: RawTable, keys: dict[str, int], path: str) -> _Columns:
    """Find the columns that hold numbers, and their names in expressions."""
    header = table.header[-1]
    others = [at for at in range(len(header)) if at not in keys.values()]
    named = [at for at in others if plain_name(header[at]) not in INDEX_NAMES]
    ignored = [f"{header[at] or f'column {at + 1}'} (an index)" for at in others if at not in named]
    values: dict[str, int] = {}
    cells = table.read(named, ()) if named else []
    if cells:
        check_complete(table, len(cells[0]), path)
    for at, own in zip(named, cells, strict=True):
        reason = _not_numeric(own)
        if reason:
            ignored.append(f"{header[at]} ({reason})")
            continue
        column = column_name(header[at])
        if not column:
            raise DataError(f"{path}: column {header[at]} has no letter in its name. Rename it, as {EXTRA}_1.")
        if column in values or column in DATED:
            raise DataError(f"{path}: two columns are called {column} in expressions. Rename {header[at]}.")
        values[column] = at
    if not values:
        found = f" Not read: {', '.join(ignored)}." if ignored else ""
        raise DataError(f"{path}: no column of numbers next to {', '.join(keys)}.{found} Expected at least one.")
    return _Columns(keys, values, ignored)


def column_name(name: str) -> str:
    """Return a column's name in expressions: `mean_sentiment` of `mean sentiment (%)`; empty without a letter."""
    return re.sub(r"^[\d_]+|_+$", "", re.sub(r"\W+", "_", name.strip(), flags=re.ASCII))


def _not_numeric(cells: Any) -> str:
    """Return why a column holds no numbers, empty where it does: a text column may have some that look like numbers."""
    kind = cells.type
    if pa.types.is_temporal(kind):
        return "dates"
    if is_missing(cells).all():
        return "empty"
    if not is_text(cells):
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        return "" if numeric or pa.types.is_boolean(kind) else "text"
    filled = ~is_missing(cells)
    numbers = max(np.count_nonzero(~np.isnan(to_floats(cells, mark))) for mark in (".", ","))
    return "" if 2 * numbers >= np.count_nonzero(filled) else "text"


def _numbers(cells: dict[str, Any], mark: Mark) -> tuple[dict[str, np.ndarray], list[Violation]]:
    """Return the values of columns, and the cells that are neither a finite number nor empty."""
    values, out = {}, []
    for name, raw in cells.items():
        own = pc.cast(raw, pa.int8()) if pa.types.is_boolean(raw.type) else raw
        values[name] = to_floats(own, mark)
        broken = ~np.isfinite(values[name]) & ~is_missing(own)
        out += violation(broken, name, CellTexts(own), _NUMBER)
    return values, out
