"""Check the rows of a table that is read in chunks: valid rows are returned, the others are rejected."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ste.data.cells import cell_text, to_days, to_names, to_numbers
from ste.data.columns import DAY, NAME, Violation, find_violations, violation
from ste.inference.batch.rejects import Reject
from ste.inference.batch.table_chunk import TableChunk
from ste.schema import Column


@dataclass(frozen=True)
class CheckedRows:
    """Valid rows of a table.

    Attributes:
        line: of each row, see `Reject`, int64 `[N]`.
        date: datetime64[D] `[N]`.
        ticker: Arrow text `[N]`.
        values: numeric columns, float64 `[F, N]`.
    """

    line: np.ndarray
    date: np.ndarray
    ticker: Any
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.line)

    def filter(self, mask: np.ndarray) -> "CheckedRows":
        """Select rows by a mask, bool `[N]`."""
        if mask.all():
            return self
        return CheckedRows(self.line[mask], self.date[mask], self.ticker.filter(pa.array(mask)), self.values[:, mask])

    def reject(self, row: int, column: str, found: str, reason: str) -> Reject:
        """Reject one of the rows for a reason that involves more than its cells."""
        return Reject(int(self.line[row]), str(self.ticker[row]), str(self.date[row]), column, found, reason)


class RowChecker:
    """Checks the rows of a table that is read in chunks.

    Args:
        numbers: the numeric columns, in table order.
        where: the file, for error messages.
    """

    def __init__(self, numbers: Sequence[Column], where: str) -> None:
        self.numbers = tuple(numbers)
        self.where = where

    @property
    def names(self) -> list[str]:
        """Names of the numeric columns."""
        return [column.name for column in self.numbers]

    @property
    def columns(self) -> list[str]:
        """Names of all columns that are read."""
        return ["date", "ticker", *self.names]

    def __call__(self, chunk: TableChunk) -> tuple[CheckedRows, list[Reject]]:
        """Return the valid rows, and one reject for each other row: its first violation in table order."""
        where = {name: f"{self.where}: column {name}" for name in self.columns}
        date = to_days(chunk.cells["date"], where["date"])
        ticker = to_names(chunk.cells["ticker"], where["ticker"])
        values = np.empty((len(self.numbers), len(chunk.line)))
        for column, name in enumerate(self.names):
            values[column] = to_numbers(chunk.cells[name], where[name])
        violations = [
            *violation(np.isnat(date), "date", date, DAY),
            *violation(ticker.is_null().to_numpy(zero_copy_only=False), "ticker", ticker, NAME),
            *find_violations(dict(zip(self.names, values, strict=True)), self.numbers, np.float32),
        ]
        valid = np.ones(len(chunk.line), dtype=bool)
        rejects = list(chunk.rejects)
        for found in violations:
            new = found.rows[valid[found.rows]]
            valid[new] = False
            rejects += [_reject(chunk, row, found) for row in new.tolist()]
        return CheckedRows(chunk.line, date, ticker, values).filter(valid), rejects


def _reject(chunk: TableChunk, row: int, found: Violation) -> Reject:
    ticker, date, value = (cell_text(chunk.cells[name], row) for name in ("ticker", "date", found.column))
    return Reject(int(chunk.line[row]), ticker, date, found.column, value, f"expected {found.expected}")
