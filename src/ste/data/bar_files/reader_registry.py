"""Find the reader of a file by its content, and open the tables that it holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import RawTable
from ste.errors import DataError
from ste.registry import READERS

HEAD = 64
"""Bytes of a file that a reader is chosen by."""


class Reader(Protocol):
    """Opens the tables of one kind of storage."""

    last: bool
    """Whether it accepts what no other reader does."""
    has_queries: bool
    """Whether the user may state a query."""

    def accepts(self, path: Path, head: bytes) -> bool:
        """Whether a file is of this kind.

        Args:
            path: of the file or folder.
            head: its first `HEAD` bytes; empty for a folder.
        """
        ...

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Open the tables of a file.

        Raises:
            DataError: it cannot be read.
        """
        ...


_REFUSED = {
    b"\x89HDF": "HDF5",
    b"\x80\x04\x95": "a pickle, which could run any code",
    b"\x80\x05\x95": "a pickle, which could run any code",
    b"\x93NUMPY": "a NumPy file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"%PDF": "a PDF",
    **dict.fromkeys((b"<!DOC", b"<html", b"<head", b"<body", b"<table", b"<div", b"<?xml"), "a web page or XML"),
    **dict.fromkeys((b"{", b"[{"), "JSON"),
}


def open_tables(path: Path, options: ReadOptions) -> Iterator[RawTable]:
    """Open the tables of a file or of a folder that is one store.

    Raises:
        DataError: no reader knows the file, or it cannot be read.
    """
    head = b""
    if not path.is_dir():
        try:
            with path.open("rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
        if not head:
            raise DataError(f"{path}: the file is empty. Expected a header line and rows.")
    start = b"".join(head.removeprefix(b"\xef\xbb\xbf").lower().split())
    for magic, kind in _REFUSED.items():
        if start.startswith(magic.lower()):
            raise DataError(f"{path}: is {kind}. Expected CSV, Parquet, Feather, SQLite, DuckDB or a Qlib store.")
    for reader in sorted((READERS[name]() for name in READERS), key=lambda one: one.last):
        if reader.accepts(path, head):
            if options.query is not None and not reader.has_queries:
                key = f"{options.prefix}query"
                raise DataError(f"{key}={options.query}: {path} is no database. Leave {key} out.")
            return reader.tables(path, options)
    raise DataError(
        f"{path}: is of no kind that is read. Expected CSV, Parquet, Feather, SQLite, DuckDB or a Qlib store."
    )
