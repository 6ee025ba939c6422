"""Bars of one table as typed arrays, with what is needed to name a row in a message."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ste.config.read_options import FIELDS, ReadOptions
from ste.data.bar_files.column_names import ColumnMap
from ste.data.bar_files.date_cells import to_times
from ste.data.bar_files.number_cells import is_missing, to_floats
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.table_cells import read_cells
from ste.data.cells import decoded
from ste.errors import DataError


@dataclass
class BarPart:
    """Bars of one table, in its order, N of them.

    Attributes:
        where: file, for messages.
        ticker: the only one, or an Arrow array of text `[N]`.
        day: datetime64[D] `[N]`, NaT where the cell is no date.
        time: of the day, timedelta64[ns] `[N]`; None where there is none.
        values: float64 `[N]` by column, NaN where a cell is missing or no number.
        missing: which rows lack a number, bool `[N]`.
        raw: cells as they are in the file, by column.
        line: of each row in the file, int64 `[N]`.
    """

    where: str
    ticker: str | Any
    day: np.ndarray
    time: np.ndarray | None
    values: dict[str, np.ndarray]
    missing: np.ndarray
    raw: dict[str, Any]
    line: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    @property
    def without_values(self) -> np.ndarray:
        """Which rows have no number at all, bool `[N]`."""
        return np.all([np.isnan(values) for values in self.values.values()], axis=0)

    def ticker_of(self, row: int) -> str:
        """Return the ticker of a row, empty where it is unknown."""
        return self.ticker if isinstance(self.ticker, str) else self.ticker[row].as_py() or ""

    def take(self, rows: np.ndarray) -> "BarPart":
        """Return some rows.

        Args:
            rows: bool `[N]`.
        """
        keep = pa.array(rows)
        return BarPart(
            self.where,
            self.ticker if isinstance(self.ticker, str) else self.ticker.filter(keep),
            self.day[rows],
            None if self.time is None else self.time[rows],
            {name: values[rows] for name, values in self.values.items()},
            self.missing[rows],
            {name: cells.filter(keep) for name, cells in self.raw.items()},
            self.line[rows],
        )


def read_part(table: RawTable, columns: ColumnMap, ticker: str | None, options: ReadOptions) -> BarPart:
    """Read the bars of a table, or of one ticker in it.

    Args:
        table: to read.
        columns: of the bars.
        ticker: of all rows; None reads the column.
        options: how to read dates and numbers.

    Raises:
        DataError: the file cannot be read, or its dates or numbers are ambiguous.
    """
    numbers = [name for name in (*FIELDS, "adj_close") if name in columns.positions]
    cells, mark = read_cells(table, columns.positions, numbers, options)
    times = to_times(cells["date"], f"{table.where}: column date", options)
    time = times.time
    if "time" in cells and time is None:
        time = _clock(cells["time"])
    missing = np.zeros(len(times.day), dtype=bool)
    for name in numbers:
        missing |= is_missing(cells[name])
    return BarPart(
        where=table.where,
        ticker=names_of(cells["ticker"], table.where) if ticker is None else ticker,
        day=times.day,
        time=time,
        values={name: to_floats(cells[name], mark) for name in numbers},
        missing=missing,
        raw={name: cells[name] for name in ("date", *numbers)},
        line=_lines(table, len(times.day)),
    )


def _lines(table: RawTable, rows: int) -> np.ndarray:
    """Return the line of each row: a line that was left out moves those behind it."""
    lines = np.arange(table.first_line, table.first_line + rows)
    for skipped, _ in table.skipped:
        lines[lines >= skipped] += 1
    return lines


def names_of(cells: Any, where: str) -> Any:
    """Return tickers as text without surrounding blanks; null where a cell is empty."""
    cells = decoded(cells)
    if pa.types.is_floating(cells.type):
        raise DataError(f"{where}: column ticker holds {cells.type}. Expected names as text.")
    text = pc.utf8_trim_whitespace(pc.cast(cells, pa.string()))
    empty = pc.or_(pc.equal(text, ""), pc.match_substring(text, "\ufffd"))
    return pc.if_else(empty, pa.scalar(None, pa.string()), text)


def _clock(cells: Any) -> np.ndarray | None:
    """Return times of the day such as 093000 or 09:30; None where all are midnight or none can be read."""
    text = pc.replace_substring(pc.utf8_trim_whitespace(pc.cast(decoded(cells), pa.string())), ":", "")
    digits = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.utf8_lpad(text, 4, "0"), 6, "0"), 0, 6)
    known = pc.match_substring_regex(digits, r"^\d{6}$")
    if pc.any(pc.match_substring_regex(text, "(?i)[ap]m$")).as_py():
        plain = pd.Series(text.to_pandas()).str.replace(" ", "")
        stamps = pd.to_datetime(plain.str.zfill(6), format="%I%M%p", errors="coerce")
        stamps = stamps.fillna(pd.to_datetime(plain.str.zfill(8), format="%I%M%S%p", errors="coerce"))
        return (stamps - stamps.dt.normalize()).fillna(pd.Timedelta(0)).to_numpy().astype("timedelta64[ns]")
    number = pc.cast(pc.if_else(known, digits, pa.scalar(None, pa.string())), pa.int64())
    value = number.fill_null(0).to_numpy(zero_copy_only=False)
    seconds = value // 10000 * 3600 + value // 100 % 100 * 60 + value % 100
    return seconds.astype("timedelta64[s]").astype("timedelta64[ns]") if seconds.any() else None
