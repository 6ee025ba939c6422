"""Read daily bars for bulk prediction: a bar with a fault is rejected, the others are used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ste.config.header_check import check_columns
from ste.data.sources.market_files import bar_numbers
from ste.errors import DataError
from ste.inference.batch.prediction_loop import CHUNK, Advance
from ste.inference.batch.rejects import Reject
from ste.inference.batch.row_checks import CheckedRows, RowChecker
from ste.inference.batch.table_chunk import TableChunk
from ste.inference.batch.table_reader import open_table
from ste.schema import MARKET_COLUMNS


def read_valid_bars(path: Path, advance: Advance = lambda done: None) -> tuple[pd.DataFrame, list[Reject]]:
    """Read the valid bars of a file in its own order, and the rejected lines.

    Args:
        path: CSV or Parquet file of daily bars.
        advance: called with the part of the file that is read.

    Returns:
        `schema.MARKET_COLUMNS["bars"]`, with `adj_close` if the file has it; and the rejects.

    Raises:
        DataError: the file cannot be used, or has no valid bar.
    """
    table = open_table(path)
    check_columns(table.names, MARKET_COLUMNS["bars"], path)
    check = RowChecker(bar_numbers(table.names), str(path))
    parts, rejects = [], []
    for chunk, done in table.chunks(check.columns, CHUNK):
        rows, faults = check(chunk)
        parts.append(_frame(rows, check.names))
        rejects += faults
        advance(done)
    if not any(map(len, parts)):
        first = min(rejects, default=None)
        why = f" Line {first.line}, {first.column or 'the row'}: {first.found}; {first.reason}." if first else ""
        raise DataError(f"{path}: holds no bar that can be used.{why}")
    bars = pd.concat(parts, ignore_index=True)
    repeated = bars.duplicated(["ticker", "date"]).to_numpy()
    reason = "expected one row per ticker and day: an earlier row is of the same"
    rows_again = bars.loc[repeated, ["line", "ticker", "date"]]
    for line, ticker, date in zip(rows_again["line"].tolist(), rows_again["ticker"], rows_again["date"], strict=True):
        rejects.append(Reject(line, ticker, f"{date:%Y-%m-%d}", "date", f"{date:%Y-%m-%d}", reason))
    return bars[~repeated].drop(columns="line").reset_index(drop=True), rejects


def _frame(rows: CheckedRows, columns: list[str]) -> pd.DataFrame:
    values = dict(zip(columns, rows.values, strict=True))
    ticker = rows.ticker.to_pandas()
    return pd.DataFrame({"ticker": ticker, "date": rows.date.astype("datetime64[s]"), **values, "line": rows.line})


@dataclass(frozen=True)
class FrameReader:
    """A table in memory as a `TableReader`; its rows have no line in a file.

    Attributes:
        frame: the table.
        where: its source, for error messages.
    """

    frame: pd.DataFrame
    where: str
    multiple_files = False

    @property
    def names(self) -> list[str]:
        """Column names."""
        return [str(name) for name in self.frame]

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[TableChunk, int]]:
        """Slice the frame, each slice with the number of rows so far."""
        for start in range(0, len(self.frame), rows):
            part = self.frame.iloc[start : start + rows]
            cells = {name: pa.array(part[name].to_numpy()) for name in columns}
            yield TableChunk(np.zeros(len(part), dtype=np.int64), cells), start + len(part)
