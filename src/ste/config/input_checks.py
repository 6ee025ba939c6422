"""Checks of input files by path and header line, before any library that reads tables is imported."""

import gzip
import zlib
from pathlib import Path

from ste.config.command_settings import AuditSettings
from ste.config.data_settings import DataSettings, RealMarketSettings, SyntheticSettings, TableSettings
from ste.config.file_locations import find_file, find_files, nearby
from ste.config.header_check import check_columns
from ste.config.judge_settings import JudgeSettings
from ste.config.monitor_settings import MonitorSettings
from ste.config.predict_settings import PredictSettings
from ste.config.run_settings import StoreSettings
from ste.config.serve_settings import ServeSettings
from ste.config.store_location import check_store
from ste.config.validation import Settings
from ste.errors import DataError
from ste.schema import KEYS, MARKET_COLUMNS, RETURN, TARGETS


def check_input_files(settings: Settings) -> None:
    """Check the paths and header lines of the files that a command reads, and that there is a store of runs to read.

    Raises:
        DataError: a file is missing, is empty, or its header lacks a column.
        RunError: the store is missing.
    """
    if isinstance(settings, MonitorSettings | PredictSettings | ServeSettings):
        for key, path in settings.files().items():
            if key in MARKET_COLUMNS or key in settings.extra_files():
                check_market_file(key, path, key)
            elif key == "truth":  # bars in any shape, or a table
                find_files(path, key)
            else:
                check_file(key, Path(path), KEYS, parts=key == "input")
    if isinstance(settings, JudgeSettings):
        for key, path in settings.files().items():
            check_file(key, find_file(path, key), ())
        if settings.returns is not None:
            find_files(settings.returns, "returns")
    if isinstance(settings, StoreSettings) and not hasattr(settings, "model"):  # a model may be a file
        check_store(settings.tracking, Path(settings.paths.output))
    data = getattr(settings, "data", None)
    if isinstance(settings, AuditSettings) and isinstance(data, TableSettings):
        return  # the audit reports what is wrong with weekly tables
    if isinstance(data, DataSettings):
        check_data_files(data)


def check_data_files(data: DataSettings) -> None:
    """Check the paths and header lines of the market files or weekly tables of a source.

    Raises:
        DataError: a file is missing, is empty, or its header lacks a column.
    """
    if isinstance(data, RealMarketSettings):
        for kind, path in data.files().items():
            check_market_file(kind, path, f"data.{kind}")
    elif isinstance(data, SyntheticSettings):
        for kind, path in data.extra_files().items():
            check_market_file(kind, path, f"data.{kind}")
    elif isinstance(data, TableSettings):
        for split, path in data.files().items():
            check_file(f"data.{split}", Path(path), _expected_columns(data), parts=True)


def _expected_columns(data: TableSettings) -> tuple[str, ...]:
    """Return the columns of a ready table; the user's own columns may stand for its targets."""
    features, column = KEYS + data.feature_set.names, data.labels.arguments.get("column")
    if column is None:
        return features + TARGETS
    return (*features, column, data.labels.arguments.get("return_column") or RETURN)


def check_market_file(kind: str, path: str, key: str) -> None:
    """Check that a file of a market is there; its reader checks the rest.

    Args:
        kind: `bars`, which may be a folder or pattern, or another kind of file.
        path: as typed.
        key: the setting, for messages.

    Raises:
        DataError: nothing is there, or the file is empty.
    """
    if kind == "bars":
        find_files(path, key)
    else:
        check_file(key, find_file(path, key), ())


def check_file(key: str, path: Path, expected: tuple[str, ...], *, parts: bool = False) -> None:
    """Check one file's path and header line.

    Args:
        key: the setting that names the file.
        path: a CSV or Parquet file; the header of Parquet is not read here.
        expected: columns that the file must have.
        parts: accept a folder of Parquet files as well.

    Raises:
        DataError: the file is missing, is empty, or its header lacks a column.
    """
    if parts and path.is_dir():
        if not any(path.glob("*.parquet")):
            inside = sorted(folder for folder in path.iterdir() if any(folder.glob("*.parquet")))
            hint = f" Try {key}={inside[0]}." if inside else ""
            raise DataError(f"{key}={path}: a folder without Parquet files. Expected the parts of one table.{hint}")
        return
    if not path.is_file():
        raise DataError(f"{key}={path}: no such file.{nearby(path)} Give the path of a CSV or Parquet file.")
    if path.stat().st_size == 0:
        raise DataError(f"{key}={path}: the file is empty. Expected a header line and rows.")
    if path.suffix == ".parquet" or not expected:
        return
    check_columns(_header(path), expected, f"{key}={path}")


def _header(path: Path) -> list[str]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(65536)
        return [name.strip().strip('"') for name in line.decode("utf-8-sig").split(",")]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}). Expected a CSV table.") from None
