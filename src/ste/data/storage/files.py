"""Read and write tables on disk as CSV or Parquet."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pandas as pd

from ste.errors import DataError

_MISSING = ["", "NaN", "nan", "NA", "N/A", "null", "None"]


def read_frame(path: str | Path, text: tuple[str, ...] = ("ticker",), *, allow_empty: bool = False) -> pd.DataFrame:
    """Read a CSV (gzipped or not) or Parquet file; numbers are read to the last digit.

    Args:
        path: `.parquet` is read as Parquet, everything else as CSV.
        text: columns that are read as text, never as numbers or missing values.
        allow_empty: accept a header without rows.

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
    if not isinstance(frame.index, pd.RangeIndex):  # pandas reads surplus fields as an index
        raise DataError(f"{path}: its rows have more fields than its header has names. Expected one name per field.")
    if frame.empty and not allow_empty:
        raise DataError(f"{path}: has a header and no rows. Expected at least one row.")
    return frame


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet atomically; the same frame gives the same bytes."""
    with atomic_file(path) as partial:
        if path.suffix == ".parquet":
            frame.to_parquet(partial, index=False)
        else:
            frame.to_csv(partial, index=False, float_format="%.10g", date_format="%Y-%m-%d", lineterminator="\n")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path` that replaces `path` at the end, or is deleted on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}{path.suffix}")
    partial.touch()
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(path: Path | str) -> str:
    """Return the SHA-256 digest of a file's bytes in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
