"""Qlib's binary store: `calendars/day.txt`, `instruments/all.txt` and `features/TICKER/FIELD.day.bin`.

A field is float32; its first value is the position of the first day in the calendar (Qlib's documentation, "Data
Layer"). Prices and volume are adjusted by `factor`; the price as traded is price / factor.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from ste.config.read_options import FIELDS, ReadOptions
from ste.data.bar_files.raw_table import ArrowTable, RawTable
from ste.errors import DataError
from ste.registry import READERS


@READERS.register
class QlibStore:
    """A folder that Qlib's `dump_bin` wrote, with daily bars."""

    last = False
    has_queries = False

    def accepts(self, path: Path, head: bytes) -> bool:
        """Accept folders with a calendar and features."""
        return path.is_dir() and (path / "calendars").is_dir() and (path / "features").is_dir()

    def tables(self, path: Path, options: ReadOptions) -> Iterator[RawTable]:
        """Open one table for each instrument."""
        calendar = path / "calendars" / "day.txt"
        if not calendar.is_file():
            raise DataError(f"{path}: has no calendars/day.txt. Expected a Qlib store of daily bars.")
        try:
            days = np.loadtxt(calendar, dtype="datetime64[D]", ndmin=1)
        except ValueError:
            raise DataError(f"{calendar}: holds something else than days. Expected one ISO date a line.") from None
        folders = sorted(one for one in (path / "features").iterdir() if one.is_dir())
        if not folders:
            raise DataError(f"{path}: holds no instruments. Expected a folder for each one in {path / 'features'}.")
        for folder in folders:
            files = {name: folder / f"{name}.day.bin" for name in FIELDS}
            missing = [name for name, file in files.items() if not file.is_file()]
            if missing:
                raise DataError(
                    f"{folder}: has no {missing[0]}.day.bin. Expected {', '.join(FIELDS)} of each instrument."
                )
            series = {name: _series(file, len(days)) for name, file in files.items()}
            start = min(first for first, _ in series.values())
            end = max(first + len(values) for first, values in series.values())
            cells = [pa.array(days[start:end])]
            for first, values in series.values():
                column = np.full(end - start, np.nan)
                column[first - start : first - start + len(values)] = values
                cells.append(pa.array(column, from_pandas=True))
            yield ArrowTable(str(folder), folder.name, [["date", *FIELDS]], cells, first_line=1)


def _series(file: Path, days: int) -> tuple[int, np.ndarray]:
    """Return the position of a field's first day, and its values."""
    values = np.fromfile(file, dtype="<f4")
    first = int(values[0]) if len(values) and np.isfinite(values[0]) else -1
    if file.stat().st_size % 4 or not 0 <= first <= first + len(values) - 1 <= days:
        raise DataError(f"{file}: does not fit the store's calendar of {days} days. Expected Qlib's binary format.")
    return first, values[1:].astype(np.float64)
