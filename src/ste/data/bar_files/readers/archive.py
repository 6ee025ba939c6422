"""Zip archives of text files."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ste.config.file_locations import TEXT_ENDINGS, is_data, stem_of
from ste.config.read_options import ReadOptions
from ste.data.bar_files.raw_table import RawTable
from ste.data.bar_files.text_table import TextTable
from ste.errors import DataError
from ste.registry import READERS


@READERS.register
class Archive:
    """A zip archive whose members are text tables, one ticker in each or not."""

    last = False
    has_queries = False

    def accepts(self, path: Path, head: bytes) -> bool:
        """Accept zip files."""
        return head.startswith(b"PK\x03\x04")

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Open the members."""
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path}: cannot be read as a zip archive ({error}).") from None
        if "[Content_Types].xml" in names:
            raise DataError(f"{path}: is an Excel workbook. Save its sheet as CSV and give that file.")
        members = [name for name in sorted(names) if not name.endswith("/") and is_data(PurePosixPath(name))]
        if not members:
            raise DataError(f"{path}: the archive holds no text table. Expected CSV files.")
        for name in members:
            if PurePosixPath(name).suffix.lower() not in TEXT_ENDINGS:
                raise DataError(f"{path}: holds {name}, which is no plain text. Unpack it and give the folder.")
        alone = len(members) == 1
        for name in members:
            yield TextTable(_opener(path, name), str(path) if alone else f"{path}/{name}", stem_of(PurePosixPath(name)))


def _opener(path: Path, name: str) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        try:
            with zipfile.ZipFile(path) as archive:
                return io.BytesIO(archive.read(name))
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:  # encrypted, unknown compression
            raise DataError(f"{path}: {name} cannot be read ({error}).") from None

    return opened
