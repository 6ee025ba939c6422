"""Read CSV files in blocks of text cells, so that a cell that cannot be parsed rejects its own row only."""

import codecs
import io
from collections import deque
from collections.abc import Iterator, Sequence
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
SkippedRecords = deque[tuple[int, str, int]]
"""Records that the parser skipped because of their number of fields: record number, text and fields of each."""


def _explain(reason: str) -> str:
    if "straddling object" in reason:
        return f"a row of more than {BLOCK >> 20} MiB: a quote that is never closed"
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
        with self._open() as (source, _):
            reader = pa.csv.open_csv(source, *_options(lambda row: "skip"))
            self.names = list(reader.schema.names)

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        """Open the text as UTF-8, with the raw file, whose position is the number of bytes read."""
        with self.path.open("rb") as raw, reading(self.path, "CSV", _explain):
            compression = pa.Codec.detect(str(self.path)).name if self.path.suffix in _COMPRESSED else None
            stream = pa.input_stream(raw, compression=compression)
            yield pa.PythonFile(_Utf8Stream(stream), mode="r"), raw

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[TableChunk, int]]:
        """Read chunks of at most `rows` rows, each with the bytes of the file read so far."""
        skipped: SkippedRecords = deque()

        def skip(row: Any) -> str:
            skipped.append((row.number, row.text, row.actual_columns))
            return "skip"

        with self._open() as (source, raw):
            as_text = pa.csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False, check_utf8=False
            )
            reader = pa.csv.open_csv(source, *_options(skip), convert_options=as_text)
            counter = _LineCounter(sum(name.count("\n") for name in self.names), len(self.names))
            for block in reader:
                for chunk in counter.chunk(block, columns, skipped).split(rows):
                    yield chunk, raw.tell()
            rejects = counter.rejects(skipped, None)
            if rejects:
                empty = {name: pa.array([], pa.string()) for name in columns}
                yield TableChunk(np.empty(0, dtype=np.int64), empty, rejects), raw.tell()


def _options(skip: Any) -> tuple[Any, Any]:
    # The parser numbers rows in a single thread only.
    read = pa.csv.ReadOptions(use_threads=False, block_size=BLOCK)
    return read, pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip)


class _Utf8Stream(io.RawIOBase):
    """Replaces bytes that are not UTF-8 by U+FFFD, since the parser would refuse the whole file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Read about `size` bytes; empty only at the end."""
        while True:
            data: bytes = self._stream.read(size if size >= 0 else None)
            if not self._pending and data.isascii():
                return data
            text = self._decoder.decode(data, final=not data)
            self._pending = bool(self._decoder.getstate()[0])
            if text or not data:
                return text.encode()


class _LineCounter:
    """Computes the line of each record; a quoted field may contain line breaks.

    Args:
        header: line breaks within the header.
        width: fields of a row.
    """

    def __init__(self, header: int, width: int) -> None:
        self._record = 2  # number of the next record; the header is the first
        self._line = 2 + header
        self._width = width

    def chunk(self, block: Any, columns: Sequence[str], skipped: SkippedRecords) -> TableChunk:
        """Convert a block to rows that are not blank, and rejects of the skipped records before its last row."""
        breaks = _line_breaks(block)
        line = np.empty(block.num_rows, dtype=np.int64)
        rejects, at = [], 0
        while at < block.num_rows:
            end = block.num_rows
            if skipped:  # stop at the next skipped record
                end = min(end, at + skipped[0][0] - self._record)
            lengths = 1 + breaks[at:end]
            line[at:end] = self._line + np.cumsum(lengths) - lengths
            self._line += int(lengths.sum())
            self._record += end - at
            at = end
            if at < block.num_rows:
                rejects += self.rejects(skipped, self._record)
        chunk = TableChunk(line, {name: block.column(name) for name in columns}, rejects)
        blank = _blank_rows(block)
        return chunk if blank is None else chunk.filter(~blank)

    def rejects(self, skipped: SkippedRecords, record: int | None) -> list[Reject]:
        """Convert consecutive skipped records to rejects: from number `record` on, or all that are left."""
        out = []
        while skipped and (record is None or skipped[0][0] == self._record):
            _, text, fields = skipped.popleft()
            out.append(Reject(self._line, "", "", "", text, f"expected {self._width} fields, not {fields}"))
            self._line += 1 + text.count("\n")
            self._record += 1
        return out


def _line_breaks(block: Any) -> np.ndarray:
    """Count the line breaks within each row's fields, int64 `[N]`."""
    count = np.zeros(block.num_rows, dtype=np.int64)
    for column in block.columns:
        characters = column.buffers()[2]
        if characters is not None and (np.frombuffer(characters, dtype=np.uint8) == ord("\n")).any():
            count += pc.count_substring(column, "\n").to_numpy(zero_copy_only=False)
    return count


def _blank_rows(block: Any) -> np.ndarray | None:
    """Mark the rows whose fields are all empty, bool `[N]`; None if there is none."""
    blank = None
    for column in block.columns:
        empty = pc.equal(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        blank = empty if blank is None else blank & empty
        if not blank.any():
            return None
    return blank
