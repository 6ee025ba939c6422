"""Typed arrays from raw cells: the type rule of numbers, days and names.

Cells are Arrow arrays: text of a CSV, or values of a Parquet file. A cell of another type becomes missing (NaN, NaT
or null), so that the checker of `ste.data.columns` can report it.
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ste.errors import DataError

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_DAY = r"^\d{4}([-/])\d{2}\1\d{2}([ T]00:00(:00(\.0+)?)?)?$"
FIRST_DAY, LAST_DAY = np.datetime64("1900-01-01"), np.datetime64("2199-12-31")
"""Bounds of a date; the exchange calendar ends beyond them."""


def cells_of_series(values: pd.Series) -> Any:
    """Return a pandas column as an Arrow array `[N]`; a column of mixed types becomes text."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return pa.array(values.astype(str))
    try:
        cells = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return pa.array(values.astype(str), from_pandas=True)
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


def as_text(cells: Any) -> Any:
    """Return Arrow cells `[N]` of any type as text."""
    return pa.array([None if value is None else str(value) for value in cells.to_pylist()], pa.string())


def to_numbers(cells: Any, where: str) -> np.ndarray:
    """Convert cells to float64 `[N]`; NaN where a cell is no number.

    Args:
        cells: Arrow array `[N]`.
        where: file and column, for the error message.

    Raises:
        DataError: the column's type holds no numbers.
    """
    cells = decoded(cells)
    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            cells = pc.cast(cells, pa.float64())
        except pa.ArrowInvalid:
            text = pc.ascii_trim_whitespace(cells)
            known = pc.match_substring_regex(text, _NUMBER)
            cells = pc.cast(pc.if_else(known, text, pa.scalar(None, kind)), pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        cells = pc.cast(cells, pa.float64(), safe=False)
    elif pa.types.is_null(kind):
        return np.full(len(cells), np.nan)
    else:
        raise DataError(f"{where}: holds {kind}; expected numbers.")
    return np.asarray(cells.to_numpy(zero_copy_only=False), dtype=np.float64)


def to_days(cells: Any, where: str) -> np.ndarray:
    """Convert cells to datetime64[D] `[N]`; NaT where a cell is no day from 1900 to 2199 or has a time of day.

    Raises:
        DataError: the column's type holds no days.
    """
    cells = decoded(cells)
    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        out = _days_of_text(cells)
    elif pa.types.is_date(kind):
        out = pc.cast(cells, pa.date32()).to_numpy(zero_copy_only=False).astype("datetime64[D]")
    elif pa.types.is_timestamp(kind) and kind.tz is None:
        exact = cells.to_numpy(zero_copy_only=False)
        out = exact.astype("datetime64[D]")
        out[out != exact] = np.datetime64("NaT")
    elif pa.types.is_null(kind):
        return np.full(len(cells), np.datetime64("NaT"), dtype="datetime64[D]")
    else:
        raise DataError(f"{where}: holds {kind}; expected days such as 2024-11-29, without a time or zone.")
    with np.errstate(invalid="ignore"):
        out[~((out >= FIRST_DAY) & (out <= LAST_DAY))] = np.datetime64("NaT")
    return out


def to_names(cells: Any, where: str) -> Any:
    """Convert cells to Arrow text `[N]`; null where a cell is empty, blank or not UTF-8.

    Raises:
        DataError: the column's type is not text.
    """
    cells = decoded(cells)
    if pa.types.is_null(cells.type):
        return pa.nulls(len(cells), pa.string())
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        raise DataError(f"{where}: holds {cells.type}; expected names as text.")
    cells = pc.cast(cells, pa.string())
    empty = pc.or_(pc.equal(pc.utf8_trim_whitespace(cells), ""), pc.match_substring(cells, "\ufffd"))
    return pc.if_else(empty, pa.scalar(None, pa.string()), cells)


def cell_text(cells: Any, row: int) -> str:
    """Return one cell as text for a message; a day has no midnight."""
    value = cells[row].as_py()
    return "" if value is None else str(value).removesuffix(" 00:00:00")


class CellTexts:
    """Cells as a message shows them, by position.

    Args:
        cells: Arrow array `[N]`.
    """

    def __init__(self, cells: Any) -> None:
        self._cells = cells

    def __getitem__(self, row: int) -> str:
        return cell_text(self._cells, row)


def decoded(cells: Any) -> Any:
    """Return cells without dictionary encoding or string views."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return pc.cast(cells, pa.string()) if pa.types.is_string_view(cells.type) else cells


def _days_of_text(cells: Any) -> np.ndarray:
    try:
        return np.asarray(pc.cast(cells, pa.date32()).to_numpy(zero_copy_only=False)).astype("datetime64[D]")
    except pa.ArrowInvalid:
        text = pc.ascii_trim_whitespace(cells).to_pandas()
        iso = text.where(text.str.match(_DAY, na=False)).str[:10].str.replace("/", "-")
        days = pd.to_datetime(iso, format="%Y-%m-%d", errors="coerce")  # a day of the right form need not exist
        return days.to_numpy().astype("datetime64[D]")
