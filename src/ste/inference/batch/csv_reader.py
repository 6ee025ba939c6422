"""Read CSV files in blocks of text cells, so that a cell that cannot be parsed rejects its own row only."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ste.inference.batch.rejects import Reject
from ste.inference.batch.table_chunk import TableChunk, reading

BLOCK = 4 << 20
"""Bytes that are parsed at once; no row may be longer. The parser reads up to 32 blocks ahead."""
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def _explain(reason: str) -> str:
    if "straddling object" in reason:
        return f"a row of more than {BLOCK >> 20} MiB: a quote that is never closed"
    if "UTF8" in reason or "utf-8" in reason:
        return "it is not in UTF-8"
    return "it has no rows" if "Empty CSV file" in reason else reason


class CsvReader:
    """Reads a CSV file, compressed by its ending (`.gz`, `.bz2`, `.zst`).

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read.
    """

    multiple_files = False

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        self.size = path.stat().st_size
        with self._open(lambda row: "skip") as (reader, _):
            self.names = list(reader.schema.names)

    @contextmanager
    def _open(self, skip: Callable[[Any], str], names: Sequence[str] = ()) -> Iterator[tuple[Any, Any]]:
        """Open the file as batches, with the raw file, whose position is the number of bytes read.

        Args:
            skip: called with each record whose number of fields is not that of the header.
            names: columns to read as text.
        """
        with self.path.open("rb") as raw, reading(self.path, "CSV", _explain):
            compression = pa.Codec.detect(str(self.path)).name if self.path.suffix in _COMPRESSED else None
            reader = pa.csv.open_csv(
                pa.input_stream(raw, compression=compression),
                pa.csv.ReadOptions(use_threads=False, block_size=BLOCK),  # only a single thread numbers records
                pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip),
                pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
            )
            yield reader, raw

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[TableChunk, int]]:
        """Read chunks of at most `rows` rows, each with the bytes of the file read so far."""
        skipped: deque[Reject] = deque()

        def skip(row: Any) -> str:
            reason = f"expected {len(self.names)} fields, not {row.actual_columns}"
            skipped.append(Reject(row.number, "", "", "", row.text, reason))
            return "skip"

        first = 2  # number of the block's first record; the header is record 1
        with self._open(skip, self.names) as (reader, raw):
            for block in reader:
                numbers = np.arange(first, first + block.num_rows + len(skipped))
                line = np.setdiff1d(numbers, [reject.line for reject in skipped])[: block.num_rows]
                first = int(line[-1]) + 1 if len(line) else first
                rejects = []
                while skipped and skipped[0].line < first:
                    rejects.append(skipped.popleft())
                chunk = TableChunk(line, {name: block.column(name) for name in columns}, rejects)
                for part in chunk.filter(~_blank_rows(block)).split(rows):
                    yield part, raw.tell()
            if skipped:
                empty = {name: pa.array([], pa.string()) for name in columns}
                yield TableChunk(np.empty(0, dtype=np.int64), empty, list(skipped)), raw.tell()


def _blank_rows(block: Any) -> np.ndarray:
    """Mark the rows whose fields are all empty, bool `[N]`."""
    blank = np.ones(block.num_rows, dtype=bool)
    for column in block.columns:
        if blank.any():
            blank &= pc.equal(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return blank
