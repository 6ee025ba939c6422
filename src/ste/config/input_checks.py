"""Mistakes in input files that can be told at once, before any library that reads tables is imported."""

import difflib
import gzip
import zlib
from pathlib import Path

from ste.config import DataSettings, MarketSettings, TableSettings
from ste.errors import DataError
from ste.schema import MARKET_COLUMNS, table_columns


def check_inputs(settings: DataSettings) -> None:
    """Look at the paths and header lines of the files that `settings` names.

    Raises:
        DataError: a file is not there, is empty, or its header lacks a column.
    """
    if isinstance(settings, MarketSettings):
        for kind, path in settings.files().items():
            check_file(f"data.{kind}", Path(path), MARKET_COLUMNS[kind])
    elif isinstance(settings, TableSettings):
        for split, path in settings.files().items():
            check_file(f"data.{split}", Path(path), table_columns(settings.features), parts=True)


def check_file(key: str, path: Path, expected: tuple[str, ...], *, parts: bool = False) -> None:
    """Look at one file's path and header line.

    Args:
        key: the setting that names it.
        path: of a CSV or Parquet file.
        expected: columns that it must have.
        parts: whether it may be a folder of Parquet files.

    Raises:
        DataError: it is not there, is empty, or its header lacks a column.
    """
    if parts and path.is_dir():
        if not any(path.glob("*.parquet")):
            inside = sorted(folder for folder in path.iterdir() if any(folder.glob("*.parquet")))
            hint = f" Try {key}={inside[0]}." if inside else ""
            raise DataError(f"{key}={path}: is a folder without Parquet files. Expected the parts of one table.{hint}")
        return
    if not path.is_file():
        raise DataError(f"{key}={path}: no such file.{_nearby(path)} Give the path of a CSV or Parquet file.")
    if path.stat().st_size == 0:
        raise DataError(f"{key}={path}: the file is empty. Expected a header line and rows.")
    if path.suffix == ".parquet":
        return
    header = _header(path)
    missing = [name for name in expected if name not in header]
    if missing:
        guesses = [(name, difflib.get_close_matches(name, header, n=1, cutoff=0.7)) for name in missing]
        hints = "".join(f" Is {near[0]} meant as {name}?" for name, near in guesses[:3] if near)
        raise DataError(
            f"{key}={path}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}.{hints} "
            f"Expected {', '.join(expected)}."
        )


def _header(path: Path) -> list[str]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(65536)
        return [name.strip().strip('"') for name in line.decode("utf-8-sig").split(",")]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}). Expected a CSV table.") from None


def _nearby(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" There is no folder {folder}."
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5) or names[:6]
    return f" In {folder}: {', '.join(near)}." if near else f" There are no files in {folder.resolve()}."
