"""One table of a file before its columns are understood."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

NULLS = ("", "NaN", "nan", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "None", "none", "-", "--", "NaT")
"""Texts that stand for a missing number or date."""


class RawTable(Protocol):
    """A table whose columns are read on demand.

    Attributes:
        where: file, and what in it, for messages.
        stem: name of the file without its folder and endings.
        header: names of the columns, one list for each level, the outermost first; every list has a name, possibly
            empty, for each column.
        first_line: line of the first row in the file.
        skipped: line and text of each line that is no row of the table, such as a footer; complete after `read`.
    """

    where: str
    stem: str
    header: list[list[str]]
    first_line: int
    skipped: list[tuple[int, str]]

    def read(self, columns: Sequence[int], text: Collection[int]) -> list[Any]:
        """Return columns as Arrow arrays `[N]`.

        Args:
            columns: positions from 0.
            text: positions of those that are never read as numbers.

        Raises:
            DataError: the file cannot be read.
        """
        ...


@dataclass
class ArrowTable:
    """A table in memory (see `RawTable`)."""

    where: str
    stem: str
    header: list[list[str]]
    cells: list[Any]
    first_line: int = 2
    skipped: list[tuple[int, str]] = field(default_factory=list)

    def read(self, columns: Sequence[int], text: Collection[int]) -> list[Any]:
        """Return columns as they are."""
        return [self.cells[at] for at in columns]
