"""The interface of table readers: a table in chunks, each row with the line it comes from."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ste.errors import DataError
from ste.inference.batch.rejects import Reject


@dataclass(frozen=True)
class TableChunk:
    """Some rows of a table.

    Attributes:
        line: where each row begins (see `Reject`), int64 `[N]`.
        cells: column name to Arrow array `[N]`: text of a CSV file, values of a Parquet file.
        rejects: lines between these rows that are not rows.
        file: name of the file the rows come from; empty for a table in one file.
    """

    line: np.ndarray
    cells: dict[str, Any]
    rejects: list[Reject] = field(default_factory=list)
    file: str = ""

    def split(self, rows: int) -> Iterator["TableChunk"]:
        """Split into chunks of at most `rows` rows; the first one has the rejects."""
        for start in range(0, max(len(self.line), 1), rows):
            part = slice(start, start + rows)
            cells = {name: cells[part] for name, cells in self.cells.items()}
            yield replace(self, line=self.line[part], cells=cells, rejects=[] if start else self.rejects)

    def filter(self, mask: np.ndarray) -> "TableChunk":
        """Select rows by a mask, bool `[N]`."""
        if mask.all():
            return self
        cells = {name: cells.filter(pa.array(mask)) for name, cells in self.cells.items()}
        return replace(self, line=self.line[mask], cells=cells)


class TableReader(Protocol):
    """A table that is read in chunks."""

    @property
    def where(self) -> str:
        """Path, for error messages."""

    @property
    def names(self) -> list[str]:
        """Column names."""

    @property
    def multiple_files(self) -> bool:
        """Whether chunks name the file that their rows come from."""

    @property
    def size(self) -> int:
        """Size of the table in the unit that `chunks` reports: rows, or bytes of a CSV file."""

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[TableChunk, int]]:
        """Read some columns in chunks of at most `rows` rows, each with the part of `size` read so far."""


@contextmanager
def reading(path: Path, kind: str, explain: Callable[[str], str] = str) -> Iterator[None]:
    """Convert errors of Arrow and of decompression to `DataError`.

    Args:
        path: the file, for the message.
        kind: its format, for the message.
        explain: rewrites the reason that the library gave.

    Raises:
        DataError: the file cannot be read; errors of the operating system pass through.
    """
    try:
        yield
    except (pa.ArrowException, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, pa.ArrowException):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read as {kind} ({explain(reason)}). Expected a {kind} table.") from None
