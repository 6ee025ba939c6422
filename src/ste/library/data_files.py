"""Tables in memory as files, so that they pass the readers and the rules of files."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ste.errors import DataError, SteError

_ONE_TICKER = "stock"


def is_table(value: Any) -> bool:
    """Whether a value is a table in memory: of pandas, or of another library that exports Arrow, such as Polars."""
    return isinstance(value, pd.DataFrame) or hasattr(value, "__arrow_c_stream__")


class DataFiles:
    """A folder that holds what a program gave as tables, and the tables that are built.

    Args:
        folder: that stays; None is a temporary one, removed with this object.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ste-") if folder is None else None
        self.folder = Path(self._temporary.name if self._temporary else os.fspath(folder or "")).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._names: dict[str, str] = {}

    def path(self, value: Any, kind: str, ticker: str | None = None) -> str:
        """Return the path of a file, a table or several of them.

        Args:
            value: a path or pattern; a table; tables by ticker; or several paths.
            kind: of it, such as `bars`, for file names and messages.
            ticker: of a table without a column of tickers.

        Raises:
            DataError: a table that no file can hold.
        """
        if isinstance(value, str | os.PathLike):
            return os.fspath(value)
        if is_table(value):
            return self._write(value, kind, ticker)
        if isinstance(value, Mapping) and value and all(map(is_table, value.values())):
            folder = self._new_folder(kind)
            for name, table in value.items():
                self._write(table, kind, str(name), folder)
            return str(folder)
        if isinstance(value, Sequence) and value and all(isinstance(one, str | os.PathLike) for one in value):
            return self._link(value, kind)
        raise DataError(
            f"{kind}: found {type(value).__name__}. Expected a path, several paths, a DataFrame, or "
            "DataFrames by ticker."
        )

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name tables in the messages of errors, instead of the files that hold them."""
        try:
            yield
        except SteError as error:
            raise type(error)(self.name_tables(str(error))) from None

    def name_tables(self, text: str) -> str:
        """Return a text with tables named, instead of the files that hold them."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text

    def _write(self, table: Any, kind: str, ticker: str | None, folder: Path | None = None) -> str:
        """Write a table as Parquet; a table of one ticker is named after it."""
        what = f"the table of {kind}" + (f" of {ticker}" if ticker else "")
        place = (folder or self._new_folder(kind)) / f"{ticker or _ONE_TICKER}.parquet"
        try:
            pq.write_table(_arrow(table), place)
        except (pa.ArrowException, ValueError, TypeError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{what}: cannot be read ({reason}). Expected columns of numbers, dates and names."
            ) from None
        self._names[str(place)] = what
        return str(place)

    def _link(self, paths: Sequence[Any], kind: str) -> str:
        """Return a folder with links to several files."""
        folder = self._new_folder(kind)
        for path in paths:
            source = Path(path).expanduser().absolute()
            if not source.is_file():
                raise DataError(f"{kind}: {path}: no such file. Expected paths of files.")
            target = folder / source.name
            if target.exists():
                raise DataError(f"{kind}: two files are called {source.name}. Expected different names.")
            self._names[str(target)] = str(path)
            try:
                target.symlink_to(source)
            except OSError:  # a system without links
                shutil.copyfile(source, target)
        return str(folder)

    def _new_folder(self, kind: str) -> Path:
        """Return an empty folder for a kind of input."""
        number = sum(1 for one in self.folder.glob(f"{kind}-*"))
        folder = self.folder / f"{kind}-{number + 1}"
        folder.mkdir()
        return folder


def _arrow(table: Any) -> pa.Table:
    """Convert a table; an index of dates or tickers becomes columns, and any other unnamed index is left out."""
    if not isinstance(table, pd.DataFrame):
        return pa.table(table)
    index, table = table.index, table.copy(deep=False)
    for level in reversed(range(index.nlevels)):
        values = index.get_level_values(level)
        name = _index_name(values, index.names[level])
        if name is not None:
            table.insert(0, name, values)
    table.index = pd.RangeIndex(len(table))
    texts = {name: str for name, kind in table.dtypes.items() if isinstance(kind, pd.CategoricalDtype)}
    return pa.Table.from_pandas(table.astype(texts), preserve_index=False)


def _index_name(level: pd.Index, name: Any) -> Any:
    """Return the column that a level of an index is: its name, else `date` or `ticker` by its type, else None."""
    if name is not None:
        return name
    if isinstance(level, pd.DatetimeIndex):
        return "date"
    return None if pd.api.types.is_numeric_dtype(level) else "ticker"
