"""Tables on disk in chunks, each row with the line that it stands on.

A CSV's cells come as text, so that one that cannot be read rejects its own row and no other.
"""

import codecs
import io
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ste.data.storage.parquet_shards import part_files
from ste.errors import DataError
from ste.inference.batch.rejects import Reject

BLOCK = 4 << 20
"""Bytes of a CSV that are parsed at once; no row may be longer. The parser reads up to 32 of them ahead."""
_COPIED = 1 << 20
Broken = deque[tuple[int, str, int]]
"""Records with too few or too many fields that the parser skipped, in order: number, text and fields of each."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table.

    Attributes:
        line: int64 `[N]`, where each row begins (see `Reject`).
        cells: name to Arrow array `[N]`: text of a CSV, values of a Parquet file.
        rejects: lines between these rows that are none.
        file: that they are of, where a table has several.
    """

    line: np.ndarray
    cells: dict[str, Any]
    rejects: list[Reject] = field(default_factory=list)
    file: str = ""

    def cut(self, rows: int) -> Iterator["Chunk"]:
        """The same in chunks of at most `rows` rows."""
        yield Chunk(self.line[:rows], {name: cells[:rows] for name, cells in self.cells.items()}, self.rejects)
        for start in range(rows, len(self.line), rows):
            part = slice(start, start + rows)
            yield Chunk(self.line[part], {name: cells[part] for name, cells in self.cells.items()})


class Table(Protocol):
    """A table that is read in chunks."""

    @property
    def where(self) -> str:
        """Its name in messages."""

    @property
    def names(self) -> list[str]:
        """Of its columns."""

    @property
    def several(self) -> bool:
        """Whether it has several files, and its chunks say which they are of."""

    @property
    def size(self) -> int:
        """Of the whole, in whatever unit `chunks` reports."""

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[Chunk, int]]:
        """Chunks of these columns, at most `rows` rows each, and how much of `size` is read by then."""


def open_table(path: Path) -> Table:
    """A CSV file (compressed or not), by its ending a Parquet file, or a folder of Parquet files.

    Raises:
        DataError: it cannot be read, or a name stands twice in its header.
    """
    kind = FolderTable if path.is_dir() else ParquetTable if path.suffix == ".parquet" else CsvTable
    table: Table = kind(path)
    twice = sorted({name for name in table.names if table.names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names {', '.join(twice[:5])} twice. Expected each column once.")
    return table


@contextmanager
def _telling(path: Path, kind: str) -> Iterator[None]:
    """A file that cannot be read as what it should be, as a mistake in words."""
    try:
        yield
    except (pa.ArrowException, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, pa.ArrowException):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        if "straddling object" in reason:
            reason = f"a row of more than {BLOCK >> 20} MiB: a quote that is never closed"
        if "Empty CSV file" in reason:
            reason = "it has no rows"
        raise DataError(f"{path}: cannot be read as {kind} ({reason}). Expected a {kind} table.") from None


class FolderTable:
    """The Parquet files of a folder one after the other, in the order of their names: `data.format=parts`.

    A ticker's rows may go on from file to file, as they do from year to year.
    """

    several = True

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        files = part_files(path)
        if not files:
            raise DataError(f"{path}: is a folder without Parquet files. Expected the parts of one table.")
        self._parts = [ParquetTable(file) for file in files]
        self.names = self._parts[0].names
        self.size = sum(part.size for part in self._parts)

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[Chunk, int]]:
        """Batches of each file, and the rows read by then."""
        before = 0
        for part in self.parts_with(columns):
            for chunk, done in part.chunks(columns, rows):
                yield replace(chunk, file=part.path.name), before + done
            before += part.size

    def parts_with(self, columns: Sequence[str]) -> list["ParquetTable"]:
        """Every file.

        Raises:
            DataError: one of them misses a column.
        """
        for part in self._parts:
            missing = [name for name in columns if name not in part.names]
            if missing:
                raise DataError(f"{part.where}: misses column {', '.join(missing)}, which {self._parts[0].where} has.")
        return self._parts


class ParquetTable:
    """Batches of a Parquet file, read page by page: a row group need not fit in memory."""

    several = False

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        with _telling(path, "Parquet"):
            # Buffered streams: otherwise the column chunks of a whole row group are held at once.
            self._file = pq.ParquetFile(path, buffer_size=_COPIED, pre_buffer=False)
        self.names = list(self._file.schema_arrow.names)
        self.size = self._file.metadata.num_rows

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[Chunk, int]]:
        """Batches and the rows read by then."""
        return self.chunks_of(range(self._file.num_row_groups), columns, rows)

    def chunks_of(self, groups: Sequence[int], columns: Sequence[str], rows: int) -> Iterator[tuple[Chunk, int]]:
        """The same of these row groups alone, in their order; lines are those of the whole file."""
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        with _telling(self.path, "Parquet"):
            for run in _runs(groups):
                done = sum(sizes[: run[0]])
                for batch in self._file.iter_batches(
                    batch_size=rows, row_groups=list(run), columns=list(columns), use_threads=False
                ):
                    line = np.arange(done + 1, done + 1 + batch.num_rows)
                    done += batch.num_rows
                    yield Chunk(line, {name: batch.column(name) for name in columns}), done

    def parts_with(self, columns: Sequence[str]) -> list["ParquetTable"]:
        """The one file."""
        return [self]

    def ticker_ranges(self) -> list[tuple[int, str, str]] | None:
        """Rows, least and greatest ticker of each row group; None where the file does not say."""
        out = []
        metadata = self._file.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
            found = columns["ticker"].statistics if "ticker" in columns else None
            if found is None or not found.has_min_max or found.null_count != 0:
                return None
            if not (isinstance(found.min, str) and isinstance(found.max, str)):
                return None
            out.append((group.num_rows, found.min, found.max))
        return out


def _runs(numbers: Sequence[int]) -> list[range]:
    """Increasing numbers as ranges without a gap."""
    out: list[range] = []
    for number in numbers:
        if out and out[-1].stop == number:
            out[-1] = range(out[-1].start, number + 1)
        else:
            out.append(range(number, number + 1))
    return out


class CsvTable:
    """Blocks of a CSV file, compressed as its ending says (`.gz`, `.bz2`, `.zst`)."""

    several = False

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        self.size = path.stat().st_size
        with self._open() as (source, _):
            with _telling(path, "CSV"):
                reader = pa.csv.open_csv(source, *_options(1 << 20, lambda row: "skip"))
            self.names = list(reader.schema.names)

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        """The text as UTF-8, and the file below it, whose position tells how far it was read."""
        with self.path.open("rb") as raw, _telling(self.path, "CSV"):
            compression = pa.Codec.detect(str(self.path)).name if _compressed(self.path) else None
            stream = pa.input_stream(raw, compression=compression)
            yield pa.PythonFile(_Utf8(stream), mode="r"), raw

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[tuple[Chunk, int]]:
        """Blocks, cut to `rows`, and the bytes of the file read by then."""
        broken: Broken = deque()

        def skip(row: Any) -> str:
            broken.append((row.number, row.text, row.actual_columns))
            return "skip"

        with self._open() as (source, raw):
            parsing = _options(BLOCK, skip)
            reading = pa.csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False, check_utf8=False
            )
            reader = pa.csv.open_csv(source, *parsing, convert_options=reading)
            lines = _Lines(sum(name.count("\n") for name in self.names), len(self.names))
            for block in reader:
                for chunk in lines.chunk(block, columns, broken).cut(rows):
                    yield chunk, raw.tell()
            rejects = lines.broken(broken, None)
            if rejects:
                empty = {name: pa.array([], pa.string()) for name in columns}
                yield Chunk(np.empty(0, dtype=np.int64), empty, rejects), raw.tell()


def _compressed(path: Path) -> bool:
    return path.suffix in (".gz", ".bz2", ".zst", ".lz4")


def _options(block: int, skip: Any) -> tuple[Any, Any]:
    # One thread: only then are rows numbered.
    reading = pa.csv.ReadOptions(use_threads=False, block_size=block)
    return reading, pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip)


class _Utf8(io.RawIOBase):
    """A stream of bytes with what is not UTF-8 in it replaced by U+FFFD, for a parser that would give up on it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to about `size` bytes; empty at the end alone."""
        while True:
            data: bytes = self._stream.read(size if size >= 0 else None)
            if not self._pending and data.isascii():
                return data
            text = self._decoder.decode(data, final=not data)
            self._pending = bool(self._decoder.getstate()[0])
            if text or not data:
                return text.encode()


class _Lines:
    """Counts the lines of a file as its records come by: a quoted field may hold line breaks.

    Args:
        header: line breaks within the header.
        width: fields of a row.
    """

    def __init__(self, header: int, width: int) -> None:
        self._record = 2  # of the next row; the header is the first
        self._line = 2 + header
        self._width = width

    def chunk(self, block: Any, columns: Sequence[str], broken: Broken) -> Chunk:
        """Rows of a block that are not blank, and the records skipped before its last one."""
        breaks = _line_breaks(block)
        line = np.empty(block.num_rows, dtype=np.int64)
        rejects, at = [], 0
        while at < block.num_rows:
            # Up to the next record that the parser skipped.
            upto = block.num_rows
            if broken:
                upto = min(upto, at + broken[0][0] - self._record)
            taken = 1 + breaks[at:upto]
            line[at:upto] = self._line + np.cumsum(taken) - taken
            self._line += int(taken.sum())
            self._record += upto - at
            at = upto
            if at < block.num_rows:
                rejects += self.broken(broken, self._record)
        blank = _blank(block)
        kept = block if blank is None else block.filter(pa.array(~blank))
        return Chunk(line if blank is None else line[~blank], {name: kept.column(name) for name in columns}, rejects)

    def broken(self, broken: Broken, record: int | None) -> list[Reject]:
        """Rejects of the records skipped in an unbroken row from `record` on, or of all that are left."""
        out = []
        while broken and (record is None or broken[0][0] == self._record):
            _, text, found = broken.popleft()
            out.append(Reject(self._line, "", "", "", text, f"expected {self._width} fields, not {found}"))
            self._line += 1 + text.count("\n")
            self._record += 1
        return out


def _line_breaks(block: Any) -> np.ndarray:
    """Line breaks within each row's fields, int64 `[N]`."""
    found = np.zeros(block.num_rows, dtype=np.int64)
    for column in block.columns:
        characters = column.buffers()[2]
        if characters is not None and (np.frombuffer(characters, dtype=np.uint8) == ord("\n")).any():
            found += pc.count_substring(column, "\n").to_numpy(zero_copy_only=False)
    return found


def _blank(block: Any) -> np.ndarray | None:
    """Which rows have nothing in any field, bool `[N]`, or None: they are blank lines."""
    blank = None
    for column in block.columns:
        empty = pc.equal(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        blank = empty if blank is None else blank & empty
        if not blank.any():
            return None
    return blank
