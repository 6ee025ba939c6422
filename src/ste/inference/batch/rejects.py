"""Rows that cannot be predicted: where they are, what was found, what was expected."""

import csv
from collections.abc import Iterable
from typing import NamedTuple, TextIO

COLUMNS = ("line", "ticker", "date", "column", "found", "reason")
_SHOWN = 120  # characters of what was found


class Reject(NamedTuple):
    """A row that is left out, by its first fault.

    Attributes:
        line: of a CSV file, its first line, the header being line 1; of Parquet the row, from 1; 0 where the row
            was computed and stands in no file.
        ticker, date, found: as they were read.
        column: at fault, or empty where it is the whole row.
        reason: what was expected.
        file: that the line is of, where a table has several.
    """

    line: int
    ticker: str
    date: str
    column: str
    found: str
    reason: str
    file: str = ""


class RejectFile:
    """Writes rejects as CSV, and counts them.

    Args:
        file: text file, opened with `newline=""`.
        several: whether the table has several files: the first column then says which.
    """

    def __init__(self, file: TextIO, several: bool = False) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._several = several
        self._writer.writerow(("file", *COLUMNS) if several else COLUMNS)
        self.count = 0

    def write(self, rejects: Iterable[Reject]) -> None:
        """Append, in order of line."""
        rows = sorted(rejects)
        self.count += len(rows)
        for row in rows:
            cells = (row.line or "", *(text[:_SHOWN] for text in row[1:-1]))
            self._writer.writerow((row.file, *cells) if self._several else cells)
