"""Delimited text, compressed or not."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from ste.config.file_locations import stem_of
from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.text_table import TextTable
from ste.registry import READERS

_LARGE = 1 << 24  # bytes from which one file is parsed on all cores; smaller ones are read side by side


@READERS.register
class Text:
    """CSV and other delimited text, plain or compressed with gzip, Zstandard, bzip2 or xz."""

    last = True
    has_queries = False

    def accepts(self, path: Path, head: bytes) -> bool:
        """Accept any file that no other reader accepts."""
        return bool(head)

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Open the one table."""
        with path.open("rb") as file:
            head = file.read(6)
        yield TextTable(_opener(path, head), str(path), stem_of(path), threads=path.stat().st_size >= _LARGE)


def _opener(path: Path, head: bytes) -> Callable[[], BinaryIO]:
    """Return what opens the decompressed bytes of a file."""
    if head.startswith(b"\x1f\x8b"):
        return lambda: cast(BinaryIO, gzip.open(path))
    if head.startswith(b"BZh"):
        return lambda: cast(BinaryIO, bz2.open(path))
    if head.startswith(b"\xfd7zXZ"):
        return lambda: cast(BinaryIO, lzma.open(path))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return lambda: cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return lambda: path.open("rb")
