"""Read and write tables on disk: one reader, one writer, one way to say what is wrong with a file."""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ste.errors import DataError

_MISSING = ["", "NaN", "nan", "NA", "N/A", "null", "None"]


def read_frame(path: str | Path, text: tuple[str, ...] = ("ticker",)) -> pd.DataFrame:
    """A CSV (gzipped or not) or Parquet file as a frame; numbers read to the last digit.

    Args:
        path: `.parquet` is read as Parquet, everything else as CSV.
        text: columns that are names and never numbers or missing.

    Raises:
        DataError: no such file, not a table, or nothing in it.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the path of a CSV or Parquet file.")
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path).reset_index(drop=True)
        else:
            header = pd.read_csv(path, nrows=0).columns
            frame = pd.read_csv(
                path,
                dtype=dict.fromkeys(text, str),
                keep_default_na=False,
                na_values={name: _MISSING for name in header if name not in text},
            )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty. Expected a header line and rows.") from None
    except (pd.errors.ParserError, UnicodeDecodeError, ValueError, OSError, EOFError, zlib.error) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as {kind} ({reason}). Expected a {kind} table.") from None
    if not isinstance(frame.index, pd.RangeIndex):  # what pandas makes of surplus fields
        raise DataError(f"{path}: its rows have more fields than its header has names. Expected one name per field.")
    if frame.empty:
        raise DataError(f"{path}: has a header and no rows. Expected at least one row.")
    return frame


def check_columns(found: Iterable[object], expected: tuple[str, ...], path: Path | str, *, strict: bool) -> None:
    """Raise unless the expected columns are there, and (if `strict`) no other."""
    names = [str(name) for name in found]
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected] if strict else []
    if missing or extra:
        told = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unknown {', '.join(extra[:8])}"] * bool(extra)
        raise DataError(f"{path}: columns {'; '.join(told)}. Expected {', '.join(expected)}.")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet whole or not at all; the same frame gives the same bytes."""
    with whole_file(path) as partial:
        if path.suffix == ".parquet":
            frame.to_parquet(partial, index=False)
        else:
            frame.to_csv(partial, index=False, float_format="%.10g", date_format="%Y-%m-%d", lineterminator="\n")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it becomes `path` at the end, or disappears on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_umask())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path | str) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
