"""From when each row of own columns is known: one rule for files and requests. R rows.

A row is known from `known_at`, else from its `date` and a lag of calendar days. A time of day counts from the next
day, since it may lie behind the close.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ste.config.read_options import ReadOptions
from ste.data.bar_files.bar_part import names_of
from ste.data.bar_files.date_cells import DAY, Times, to_times
from ste.data.bar_files.number_cells import is_missing
from ste.data.cells import CellTexts
from ste.data.columns import NAME, Values, Violation, violation
from ste.market.extra_table import ExtraRows

DATED = ("ticker", "date", "known_at")
"""Columns that say whose and when; the others hold values."""
TIME = "a day or a time such as 2024-11-29 16:30"
_ONE_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class ExtraCells:
    """Columns of a file or request as they were written.

    Attributes:
        where: file or field, for messages.
        keys: Arrow arrays `[R]` of those of `DATED` that there are, `date` or `known_at` among them.
        values: float64 `[R]` by column, NaN where a cell is empty.
        lag: days from `date` on after which a row without `known_at` is known; None where it is not stated.
        lag_key: setting that states it, for messages; empty where it cannot be stated.
    """

    where: str
    keys: Mapping[str, Any]
    values: dict[str, np.ndarray]
    lag: int | None
    lag_key: str


@dataclass(frozen=True)
class DatedRows:
    """Rows with the days from which they are known.

    Attributes:
        rows: of them.
        by_lag: which are known by the lag, bool `[R]`.
        by_time: which count from the next day because of a time of day, bool `[R]`.
    """

    rows: ExtraRows
    by_lag: np.ndarray
    by_time: np.ndarray

    def label(self, row: int) -> str:
        """Return a row's ticker and the time from which it was known, for a message."""
        name = "" if self.rows.ticker is None else f"{self.rows.ticker[row]} "
        return name + f"{pd.Timestamp(self.rows.stamp[row]):%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def dated_rows(cells: ExtraCells, options: ReadOptions) -> tuple[DatedRows, list[Violation]]:
    """Find from when each row is known, and check its ticker and dates.

    Args:
        cells: of a file or request.
        options: how dates are read.

    Returns:
        The rows, which can be used where there is no violation; and the violations.

    Raises:
        DataError: the dates fit two readings.
    """
    raw = {name: CellTexts(each) for name, each in cells.keys.items()}
    times = {
        name: to_times(cells.keys[name], f"{cells.where}: column {name}", options)
        for name in ("date", "known_at")
        if name in cells.keys
    }
    out: list[Violation] = []
    ticker = None
    if "ticker" in cells.keys:
        names = names_of(cells.keys["ticker"], cells.where)
        out += violation(names.is_null().to_numpy(zero_copy_only=False), "ticker", raw["ticker"], NAME)
        ticker = names.to_pandas().to_numpy(dtype=object)
    if "known_at" in times:
        known, stated = _stamps(times["known_at"]), ~is_missing(cells.keys["known_at"])
        out += violation(stated & np.isnat(known), "known_at", raw["known_at"], TIME)
    if "date" in times:
        date = _stamps(times["date"])
        out += violation(np.isnat(date), "date", raw["date"], DAY)
    else:
        date = known
    if "known_at" in times:
        out += _unknown(cells, stated, date, raw["known_at"])
        early = stated & (known.astype("datetime64[D]") < date.astype("datetime64[D]"))
        out += violation(early, "known_at", raw["known_at"], "a day not before date")
    else:
        known, stated = np.full(len(date), np.datetime64("NaT"), "datetime64[ns]"), np.zeros(len(date), dtype=bool)
    stamp = np.where(stated, known, date + np.timedelta64(cells.lag or 0, "D"))
    day = stamp.astype("datetime64[D]")
    by_time = stamp > day
    rows = ExtraRows(ticker, date, stamp, np.where(by_time, day + _ONE_DAY, day), cells.values)
    if not out:
        keys = {"date": date, "stamp": stamp} | ({} if ticker is None else {"ticker": ticker})
        named = [name for name in DATED if name in cells.keys]
        one = f"one row per {' and '.join([', '.join(named[:-1]), named[-1]] if named[1:] else named)}"
        column = "date" if "date" in times else "known_at"
        out += violation(pd.DataFrame(keys).duplicated().to_numpy(), column, raw[column], one)
    return DatedRows(rows, ~stated, by_time), out


def _unknown(cells: ExtraCells, stated: np.ndarray, date: np.ndarray, raw: Values) -> list[Violation]:
    """Return the rows without `known_at` that no lag dates."""
    if cells.lag is not None and "date" in cells.keys:
        return []
    remedy = f", or {cells.lag_key}=DAYS for rows without one" if cells.lag_key and "date" in cells.keys else ""
    return violation(~stated, "known_at", raw, TIME + remedy)


def _stamps(times: Times) -> np.ndarray:
    """Return days with their times, datetime64[ns]."""
    days = times.day.astype("datetime64[ns]")
    return days if times.time is None else days + np.where(np.isnat(times.day), np.timedelta64(0, "ns"), times.time)
