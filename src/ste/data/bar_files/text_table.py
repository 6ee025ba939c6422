"""Read delimited text: any delimiter, encoding, compression, lines above the header and footers.

What is above and below the table, how many header lines it has and how cells are separated follows from the first
lines (`_Layout`); the rows are parsed by Arrow.
"""

import csv
import io
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import csv as pa_csv

from ste.data.bar_files.column_names import field_of, is_date_name, is_ticker_name
from ste.data.bar_files.raw_table import NULLS
from ste.errors import DataError

_SAMPLE, _LARGEST = 1 << 13, 1 << 24  # bytes that decide the layout; a line of a wide table can be long
_LINES, _BODY, _FEW = 24, 10, 8  # lines that are looked at, of them for the delimiter, and the fewest to read
_DELIMITERS = ",;\t|"
_LIKE_A_VALUE = re.compile(
    r"^\s*[-+$€£¥(]?\s*[\d.,'\u00a0]*\d[\d.,'\u00a0]*\s*[%KMBT)]?\s*$|^\s*\d+[-/.]\d+[-/.]\d+", re.I
)
_LEVEL_NAMES = (
    "",
    "price",
    "prices",
    "attributes",
    "fields",
    "names",
    "ticker",
    "tickers",
    "symbol",
    "symbols",
    "date",
)


@dataclass(frozen=True)
class _Layout:
    """Where the table is in a text file.

    Attributes:
        encoding: of the text.
        delimiter: between two cells.
        header: see `RawTable.header`.
        skip: lines before the first row.
    """

    encoding: str
    delimiter: str
    header: list[list[str]]
    skip: int


class TextTable:
    """A table of delimited text (see `RawTable`).

    Args:
        open_file: opens the decompressed bytes.
        where: the file, for messages.
        stem: its name.
        threads: whether Arrow parses on all cores.

    Raises:
        DataError: the file is empty or no text.
    """

    def __init__(self, open_file: Callable[[], BinaryIO], where: str, stem: str, *, threads: bool = True) -> None:
        self._open, self._threads = open_file, threads
        self.where, self.stem = where, stem
        self.skipped: list[tuple[int, str]] = []
        try:
            with open_file() as file:
                sample = file.read(_SAMPLE)
                while sample.count(b"\n") < _FEW and len(sample) < _LARGEST and (more := file.read(len(sample))):
                    sample += more
                complete = not file.read(1)
        except (OSError, EOFError, pa.ArrowException, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{where}: cannot be read ({str(error).splitlines()[0]}).") from None
        self._layout = _layout_of(sample, complete, where)
        self.header = self._layout.header
        self.first_line = self._layout.skip + 1

    def read(self, columns: Sequence[int], text: Collection[int]) -> list[Any]:
        """Return columns as Arrow arrays; a column of numbers that is not plain is text."""
        table = self._parsed(columns, text, threads=self._threads)
        if self.skipped and self._threads:  # a parser on several cores knows no lines
            table = self._parsed(columns, text, threads=False)
        return [table.column(str(at)).combine_chunks() for at in columns]

    def _parsed(self, columns: Sequence[int], text: Collection[int], *, threads: bool) -> pa.Table:
        layout = self._layout
        names = [str(at) for at in range(len(self.header[0]))]
        self.skipped = []
        options = pa_csv.ConvertOptions(
            column_types={names[at]: pa.string() for at in text},
            include_columns=list(dict.fromkeys(names[at] for at in columns)),
            null_values=list(NULLS),
            strings_can_be_null=False,
            true_values=[],
            false_values=[],
        )
        reading = pa_csv.ReadOptions(
            use_threads=threads, skip_rows=layout.skip, column_names=names, encoding=layout.encoding
        )
        parsing = pa_csv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=self._skip)
        try:
            with self._open() as file:
                return pa_csv.read_csv(file, reading, parsing, options)
        except pa.ArrowInvalid as error:
            if "invalid UTF8" in str(error) and layout.encoding == "utf-8":  # not so in the sample
                self._layout = replace(layout, encoding="cp1252")
                return self._parsed(columns, text, threads=threads)
            if "Empty CSV" in str(error):
                raise DataError(f"{self.where}: has a header and no rows. Expected at least one row.") from None
            raise DataError(f"{self.where}: cannot be read as text ({str(error).splitlines()[0]}).") from None
        except (OSError, EOFError, UnicodeError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
            raise DataError(f"{self.where}: cannot be read ({str(error).splitlines()[0]}).") from None

    def _skip(self, row: Any) -> str:
        self.skipped.append((row.number or 0, str(row.text).strip()))
        return "skip"


def _layout_of(sample: bytes, complete: bool, where: str) -> _Layout:
    encoding, text = _decoded(sample, where)
    lines = re.split("\r\n|\n|\r", text)  # as Arrow does: other separators of Unicode end no line
    if not complete and len(lines) > 1:
        lines = lines[:-1]  # it may be cut
    if not any(line.strip() for line in lines[:_LINES]):
        raise DataError(f"{where}: the file is empty. Expected a header line and rows.")
    lines, heights = _without_breaks(lines[:_LINES])
    delimiter = _delimiter_of(lines[-_BODY:])  # a title has no delimiter
    rows = [next(csv.reader(io.StringIO(line), delimiter=delimiter), []) for line in lines]
    width = Counter(len(row) for row in rows if len(row) > 1).most_common(1)
    columns = width[0][0] if width else 1
    first = next(at for at, row in enumerate(rows) if len(row) == columns)
    if _is_data(rows[first]):
        above = rows[first - 1] if first else []
        if len(above) == columns - 1 and sum(field_of(name) is not None for name in above) > 1:
            if any(row[-1].strip() for row in rows[first:] if len(row) == columns):
                raise DataError(
                    f"{where}: its rows have {columns} fields, its header {len(above)} names. Expected a name for each."
                )
            return _Layout(encoding, delimiter, [[*(name.strip() for name in above), ""]], sum(heights[:first]))
        first = sum(heights[:first])
        return _Layout(encoding, delimiter, [[str(at + 1) for at in range(columns)]], first)
    levels = [rows[first]]
    for row in rows[first + 1 : first + 3]:
        if len(row) == columns and _is_level(row, levels[0]):
            levels.append(row)
    skip = sum(heights[: first + len(levels)])
    header = [[name.strip().lstrip("\ufeff") for name in level] for level in levels]
    return _Layout(encoding, delimiter, header, skip)


def _without_breaks(lines: Sequence[str]) -> tuple[list[str], list[int]]:
    """Join lines that a quoted cell with line breaks spans, such as a header of Excel.

    Returns:
        The joined lines, and how many lines of the file each of them is.
    """
    joined: list[str] = []
    heights: list[int] = []
    for line in lines:
        if joined and joined[-1].count('"') % 2 and heights[-1] < _FEW:
            joined[-1] += f" {line}"
            heights[-1] += 1
        else:
            joined.append(line)
            heights.append(1)
    return (joined, heights) if max(heights) < _FEW else (list(lines), [1] * len(lines))


def _decoded(sample: bytes, where: str) -> tuple[str, str]:
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", sample[: len(sample) // 2 * 2].decode("utf-16", errors="ignore")
    if b"\0" in sample:
        raise DataError(f"{where}: is no text. Expected CSV, Parquet, Feather, or a database.")
    if sample.startswith(b"\xef\xbb\xbf"):
        return "utf-8", sample[3:].decode("utf-8", errors="ignore")
    try:
        return "utf-8", sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > len(sample) - 4:  # a character that is cut
            return "utf-8", sample[: error.start].decode("utf-8")
        return "cp1252", sample.decode("cp1252", errors="replace")


def _delimiter_of(lines: Sequence[str]) -> str:
    """Return the delimiter that splits most lines into the same number of cells, at least two."""
    best, score = ",", 0
    for delimiter in _DELIMITERS:
        widths = Counter(len(next(csv.reader(io.StringIO(line), delimiter=delimiter), [])) for line in lines)
        widths.pop(1, None)
        if widths:
            width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
            # Decimal commas split lines too, but seldom more often than the delimiter proper.
            if count * width > score:
                best, score = delimiter, count * width
    return best


def _is_data(row: Sequence[str]) -> bool:
    """Whether a row holds values, so that it is no header."""
    first = row[0].strip()
    if first and (first.casefold() in _LEVEL_NAMES or is_date_name(first)):
        return False  # names of tickers may be numbers
    return sum(bool(_LIKE_A_VALUE.match(cell)) for cell in row) >= 2


def _is_level(row: Sequence[str], above: Sequence[str]) -> bool:
    """Whether the row below a header is a further level of it: names of tickers or fields, or of the index."""
    first, others = row[0].strip(), [cell.strip() for cell in row[1:]]
    if is_date_name(first) and not any(others):
        return True
    if first.casefold() not in _LEVEL_NAMES or not all(others):
        return False
    fields = [field_of(cell) for cell in others]
    fields_above = [field_of(cell) for cell in above[1:]]
    return all(fields) or (all(fields_above) and (is_ticker_name(first) or not first))
