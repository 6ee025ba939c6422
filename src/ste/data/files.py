"""Read and write tables on disk: one reader, one writer, one way to say what is wrong with a file."""

import hashlib
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from ste.errors import DataError

_MISSING = ["", "NaN", "nan", "NA", "N/A", "null", "None"]
_SHOWN = 3  # offending rows, and faults, that a message lists


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


def check_columns(found: Iterable[str], expected: tuple[str, ...], path: Path | str, *, strict: bool) -> None:
    """Raise unless the expected columns are there, and (if `strict`) no other."""
    names = [str(name) for name in found]
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected] if strict else []
    if missing or extra:
        told = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unknown {', '.join(extra[:8])}"] * bool(extra)
        raise DataError(f"{path}: columns {'; '.join(told)}. Expected {', '.join(expected)}.")


def day_column(*checks: pa.Check) -> pa.Column:
    """Dates without a time of day; without this a number such as 20241129 would be nanoseconds of 1970."""
    days = pa.Check(lambda s: s == s.dt.normalize(), error="a day such as 2024-11-29, without a time")
    return pa.Column("datetime64[ns]", [days, *checks], coerce=True)


def check_frame(frame: pd.DataFrame, schema: pa.DataFrameSchema, path: Path | str) -> pd.DataFrame:
    """The frame with the schema's types, or one message with every column at fault and its first rows.

    Raises:
        DataError: in the words of the schema's checks (`Check(error=...)`).
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Parsing dates in")  # a date in another form is told below
            return schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        faults = _faults(errors.failure_cases, schema, frame)
        shown = [f"  {fault}" for fault in faults[:_SHOWN]]
        if len(faults) > _SHOWN:
            shown.append(f"  and {len(faults) - _SHOWN} more columns or checks")
        noun = "fault" if len(faults) == 1 else "faults"
        raise DataError(
            f"{path}: {len(faults)} {noun} in the table.\n" + "\n".join(shown) + "\nMend the file and run again."
        ) from None


def _faults(cases: pd.DataFrame, schema: pa.DataFrameSchema, frame: pd.DataFrame) -> list[str]:
    lines, told = [], set()
    for (column, check), found in cases.groupby(["column", "check"], sort=False, dropna=False):
        name = str(column)
        if "coerce_dtype" in str(check) or str(check).startswith("dtype("):
            if name in told:
                continue
            told.add(name)
            expected = f"a {_word(schema, name)} in every row"
        elif name in told:
            continue  # what else is wrong with a column of the wrong type follows from that
        elif check == "not_nullable":
            expected = "a value in every row"
        elif check == "multiple_fields_uniqueness":
            name, expected = "date and ticker", "each pair once"
            if name in told:
                continue  # pandera names the two columns one by one
            told.add(name)
        else:
            expected = str(check)
        rows = found["index"].dropna().astype(int).drop_duplicates()
        if rows.empty and "date such as" in expected:  # dates of two forms fail together and not one by one
            rows = pd.Series(frame.index[~frame[name].astype(str).str.fullmatch(r"\d{4}-\d{2}-\d{2}")])
        at = ", ".join(str(row + 2) for row in rows[:_SHOWN])  # line 1 is the header
        if not at:
            lines.append(f"column {name}: expected {expected}.")
            continue
        shown = frame.loc[rows[:_SHOWN], [name] if name in frame else ["date", "ticker"]]
        values = [" ".join(str(value) for value in row) for row in shown.itertuples(index=False)]
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        lines.append(f"column {name}, line {at}{more}: found {', '.join(values)}; expected {expected}.")
    return lines


def _word(schema: pa.DataFrameSchema, column: str) -> str:
    kind = str(schema.columns[column].dtype) if column in schema.columns else "value"
    if kind.startswith("datetime"):
        return "date such as 2024-11-29"
    return {"float64": "number"}.get(kind, "name")


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
