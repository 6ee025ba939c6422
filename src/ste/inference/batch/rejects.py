"""Rows that cannot be predicted: where they are, what was found, what was expected."""

import csv
from collections.abc import Iterable
from typing import NamedTuple, TextIO

COLUMNS = ("line", "ticker", "date", "column", "found", "reason")
_MAX_TEXT = 120  # characters of a cell


class Reject(NamedTuple):
    """A rejected row with its first fault.

    Attributes:
        line: in a CSV file the row's first line, the header being line 1; in Parquet the row, from 1; 0 if the row was
            computed and is in no file.
        ticker, date, found: as they were read.
        column: with the fault, or empty if the whole row has it.
        reason: what was expected.
        file: that the line is in, for a table in multiple files.
    """

    line: int
    ticker: str
    date: str
    column: str
    found: str
    reason: str
    file: str = ""


class RejectFile:
    """Writes rejects as CSV and counts them.

    Args:
        file: text file, opened with `newline=""`.
        multiple_files: whether to write the file of each row as the first column.
    """

    def __init__(self, file: TextIO, *, multiple_files: bool = False) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._multiple_files = multiple_files
        self._writer.writerow(("file", *COLUMNS) if multiple_files else COLUMNS)
        self.count = 0

    def write(self, rejects: Iterable[Reject]) -> None:
        """Append rejects, sorted by line."""
        rows = sorted(rejects)
        self.count += len(rows)
        for row in rows:
            cells = (row.line or "", *(text[:_MAX_TEXT] for text in row[1:-1]))
            self._writer.writerow((row.file, *cells) if self._multiple_files else cells)
