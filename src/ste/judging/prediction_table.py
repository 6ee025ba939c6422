"""A file of predictions before its columns are understood: CSV, Parquet or Feather; pickles are refused."""

import csv
import gzip
import io
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as pa_csv

from ste.config.file_locations import find_file
from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import NULLS, RawTable
from ste.data.bar_files.reader_registry import open_tables
from ste.data.cells import decoded
from ste.errors import DataError

_PICKLES = (".pkl", ".pickle", ".joblib")
_COLUMNAR = (b"PAR1", b"ARROW1", b"FEA1")
_NOT_TEXT = (b"\x89HDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"SQLite", b"\x93NUMPY")
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class PredictionTable:
    """A table of predictions whose columns are read on demand.

    Attributes:
        where: the file, for messages.
        header: names of the columns.
        source: Parquet or Feather; None for CSV.
        content: bytes of CSV; empty otherwise.
        delimiter: of CSV.
    """

    where: str
    header: tuple[str, ...]
    source: RawTable | None
    content: bytes = b""
    delimiter: str = ","

    @classmethod
    def open(cls, what: str, key: str) -> "PredictionTable":
        """Open a file by its content.

        Args:
            what: path, as typed.
            key: the setting, for messages.

        Raises:
            DataError: no such file, a pickle, or a file of another kind.
        """
        path = find_file(what, key)
        with path.open("rb") as file:
            head = file.read(64)
        _refuse_pickle(path, head)
        if head.startswith(_COLUMNAR) or path.suffix.lower() in (".parquet", ".feather", ".arrow"):
            table = next(open_tables(path, ReadOptions()))
            names = ["_".join(filter(None, (part.strip() for part in one))) for one in zip(*table.header, strict=True)]
            return cls(str(path), tuple(names), table)
        if head.startswith(_NOT_TEXT) or not head:
            raise DataError(f"{path}: is {'no text' if head else 'empty'}. Expected CSV, Parquet or Feather.")
        return cls._of_text(path, head)

    @classmethod
    def _of_text(cls, path: Path, head: bytes) -> "PredictionTable":
        try:
            content = gzip.decompress(path.read_bytes()) if head.startswith(b"\x1f\x8b") else path.read_bytes()
            line = content[: content.find(b"\n") if b"\n" in content else None].decode("utf-8-sig")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as CSV ({error}). Expected text in UTF-8.") from None
        delimiter = max(_DELIMITERS, key=line.count)
        header = next(csv.reader(io.StringIO(line.rstrip("\r")), delimiter=delimiter), [])
        return cls(str(path), tuple(name.strip() for name in header), None, content, delimiter)

    def read(self, names: Collection[int], text: Collection[int]) -> dict[int, Any]:
        """Return columns as Arrow arrays `[N]` by position.

        Args:
            names: positions from 0.
            text: positions of those that are never read as numbers.

        Raises:
            DataError: the file cannot be read, or has no rows.
        """
        wanted = list(dict.fromkeys(names))
        cells = self._parsed(wanted, text) if self.source is None else self.source.read(wanted, text)
        if not len(cells[0]):
            raise DataError(f"{self.where}: has a header and no rows. Expected at least one prediction.")
        return dict(zip(wanted, map(decoded, cells), strict=True))

    def _parsed(self, wanted: list[int], text: Collection[int]) -> list[Any]:
        keys = [str(at) for at in range(len(self.header))]
        options = pa_csv.ConvertOptions(
            column_types={keys[at]: pa.string() for at in text},
            include_columns=[keys[at] for at in wanted],
            null_values=list(NULLS),
            strings_can_be_null=False,
            true_values=[],
            false_values=[],
            timestamp_parsers=[],
        )
        reading = pa_csv.ReadOptions(skip_rows=1, column_names=keys)
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(self.content), reading, pa_csv.ParseOptions(delimiter=self.delimiter), options
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                raise DataError(f"{self.where}: has a header and no rows. Expected at least one prediction.") from None
            raise DataError(f"{self.where}: cannot be read as CSV ({str(error).splitlines()[0]}).") from None
        return [table.column(keys[at]).combine_chunks() for at in wanted]


def _refuse_pickle(path: Path, head: bytes) -> None:
    """Raise `DataError` for a pickle, by its name or first bytes."""
    if path.suffix.lower() in _PICKLES or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"):
        raise DataError(
            f"{path}: is a pickle, which can run any code when it is loaded. Write it as CSV where it was made: "
            f'pd.read_pickle("{path.name}").reset_index().to_csv("{path.stem}.csv", index=False).'
        )
