"""Read columns of a table as plain cells: text, numbers or times, whose decimal mark is known."""

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ste.config.read_options import ReadOptions
from ste.data.bar_files.number_cells import Mark, decimal_mark, is_text
from ste.data.bar_files.raw_table import RawTable
from ste.data.cells import decoded
from ste.errors import DataError


def read_cells(
    table: RawTable, columns: Mapping[str, int], numbers: Collection[str], options: ReadOptions
) -> tuple[dict[str, Any], Mark]:
    """Read columns of a table.

    Args:
        table: to read.
        columns: position of each column by what it holds.
        numbers: those that hold numbers; the others are never read as numbers.
        options: with the decimal mark that the user states.

    Returns:
        Arrow arrays by column, and the decimal mark of those with numbers that are text.

    Raises:
        DataError: the file cannot be read, a column holds lists or other nested values, or the decimal mark is
            ambiguous.
    """
    text = {at for name, at in columns.items() if name not in numbers}
    cells = _read(table, columns, text)
    values = [cells[name] for name in numbers]
    # A parser takes 12.345 for a number with a point; where the mark may be a comma, it has to stay text.
    has_comma = options.decimal == "," or any(map(is_text, values))
    if has_comma and any(pa.types.is_floating(each.type) for each in values):
        cells = _read(table, columns, set(columns.values()))
    return cells, decimal_mark([cells[name] for name in numbers], options, table.where)


def _read(table: RawTable, columns: Mapping[str, int], text: set[int]) -> dict[str, Any]:
    arrays = table.read(list(columns.values()), text)
    return {name: _plain(cells, name, table.where) for name, cells in zip(columns, arrays, strict=True)}


def _plain(cells: Any, name: str, where: str) -> Any:
    """Return cells without encodings; bytes become text."""
    cells = decoded(cells)
    kind = cells.type
    if pa.types.is_nested(kind) or pa.types.is_duration(kind):
        raise DataError(f"{where}: column {name} holds {kind}. Expected numbers, dates or text.")
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            return pc.cast(cells, pa.string())
        except pa.ArrowException:
            raise DataError(f"{where}: column {name} holds bytes that are no text. Expected text.") from None
    return cells
