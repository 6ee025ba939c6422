"""Rows under the contract of their table: what holds goes on, what does not becomes a reject."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ste.data.column_rules import Rule, below
from ste.inference.batch.cells import days, names, numbers, shown
from ste.inference.batch.rejects import Reject
from ste.inference.batch.table_chunk import TableChunk

_DAY = "a day such as 2024-11-29"
_NAME = "a name"
_LARGEST = float(np.finfo(np.float32).max)  # models read 32 bits


@dataclass(frozen=True)
class CheckedRows:
    """Rows of a table that hold.

    Attributes:
        line: int64 `[N]`, see `Reject`.
        date: datetime64[D] `[N]`.
        ticker: Arrow text `[N]`.
        values: float64 `[F, N]`, a row for each column.
    """

    line: np.ndarray
    date: np.ndarray
    ticker: Any
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.line)

    def where(self, keep: np.ndarray) -> "CheckedRows":
        """Those rows alone; bool `[N]`."""
        if keep.all():
            return self
        return CheckedRows(self.line[keep], self.date[keep], self.ticker.filter(pa.array(keep)), self.values[:, keep])

    def reject(self, row: int, column: str, found: str, reason: str) -> Reject:
        """A row that held so far, as a reject."""
        return Reject(int(self.line[row]), str(self.ticker[row]), str(self.date[row]), column, found, reason)


class Checker:
    """The contract of a table, on whole columns at once.

    Args:
        rules: what must hold of each numeric column, in table order.
        ordered: names of a high and a low among them, of which the first is not below the second; or None.
        where: the file, to name in an error.
    """

    def __init__(self, rules: Mapping[str, tuple[Rule, ...]], ordered: tuple[str, str] | None, where: str) -> None:
        self.rules = dict(rules)
        self.ordered = ordered
        self.where = where

    @property
    def columns(self) -> list[str]:
        """Names of all that is read."""
        return ["date", "ticker", *self.rules]

    def __call__(self, chunk: TableChunk) -> tuple[CheckedRows, list[Reject]]:
        """The rows that hold, and for each other one its first fault in table order."""
        n = len(chunk.line)
        where = {name: f"{self.where}: column {name}" for name in self.columns}
        date = days(chunk.cells["date"], where["date"])
        ticker = names(chunk.cells["ticker"], where["ticker"])
        faults = _Faults(n)
        faults.add(np.isnat(date), "date", _DAY)
        faults.add(ticker.is_null().to_numpy(zero_copy_only=False), "ticker", _NAME)
        values = np.empty((len(self.rules), n))
        for at, (name, rules) in enumerate(self.rules.items()):
            values[at] = numbers(chunk.cells[name], where[name])
            # One pass where all is well, since NaN fails every comparison; the rules say what is not.
            faults.add(~(np.abs(values[at]) <= _LARGEST), name, rules[0].expected)
            for rule in rules[1:]:
                faults.add(~rule.holds(values[at]), name, rule.expected)
        if self.ordered:
            known = list(self.rules)
            high, low = (values[known.index(name)] for name in self.ordered)
            faults.add(below(high, low), self.ordered[0], f"{self.ordered[1]} or more")
        rows = CheckedRows(chunk.line, date, ticker, values).where(faults.none)
        return rows, [*chunk.rejects, *faults.rejects(chunk)]


class _Faults:
    """The first fault of each of N rows."""

    def __init__(self, rows: int) -> None:
        self.none = np.ones(rows, dtype=bool)
        self._found: list[tuple[np.ndarray, str, str]] = []

    def add(self, bad: np.ndarray, column: str, expected: str) -> None:
        """Note the rows that are `bad` and were not before."""
        if bad.any():
            new = bad & self.none
            self._found.append((np.flatnonzero(new), column, expected))
            self.none &= ~bad

    def rejects(self, chunk: TableChunk) -> list[Reject]:
        """All of them, with what the file says there."""
        out = []
        for rows, column, expected in self._found:
            cells = chunk.cells[column]
            for row in rows:
                ticker, date = (shown(chunk.cells[name], row) for name in ("ticker", "date"))
                out.append(
                    Reject(int(chunk.line[row]), ticker, date, column, shown(cells, row), f"expected {expected}")
                )
        return out
