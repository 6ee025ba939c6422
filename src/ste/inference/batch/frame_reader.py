"""A table in memory, read like one of a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from ste.inference.batch.table_chunk import TableChunk


@dataclass(frozen=True)
class FrameReader:
    """A table in memory as a `TableReader`; its rows have no line in a file.

    Attributes:
        frame: the table.
        where: its source, for error messages.
        multiple_files: whether the rejects of that source are of several files.
    """

    frame: pd.DataFrame
    where: str
    multiple_files: bool = False

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
