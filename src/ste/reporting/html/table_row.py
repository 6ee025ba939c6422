"""A row of a report's table."""

from dataclasses import dataclass

from ste.reporting.formatting import Cell


@dataclass(frozen=True)
class TableRow:
    """A table row: name, role (`model`, `baseline` or `bayes`; `group` or `feature`) and cells."""

    name: str
    role: str
    cells: list[Cell]
