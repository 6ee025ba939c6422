"""Columns of the user's own as of each day: the latest value that was known by then.

M values of a column, N bars.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

_SPAN = 1 << 20  # more than the days from 1900 to 2199
_ORIGIN = np.datetime64("1900-01-01", "D")


@dataclass(frozen=True)
class ExtraRows:
    """Rows of a file of own columns, R of them.

    Attributes:
        ticker: names, object `[R]`; None where the rows hold for every ticker.
        date: that the values describe, datetime64 `[R]`; a later one replaces an earlier one.
        stamp: when the row became known, datetime64 `[R]`; a later one revises an earlier one of the same date.
        known: first day at whose close it is known, datetime64[D] `[R]`, never before the day of `stamp`.
        values: float64 `[R]` by column; NaN is no new value.
    """

    ticker: np.ndarray | None
    date: np.ndarray
    stamp: np.ndarray
    known: np.ndarray
    values: dict[str, np.ndarray]


@dataclass(frozen=True)
class ExtraColumn:
    """Values of one column in the order in which they become valid.

    Attributes:
        key: ticker's code and known day as one number, ascending and different, int64 `[M]`.
        value: float64 `[M]`, no NaN.
    """

    key: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class ExtraTable:
    """Own columns of one file.

    Attributes:
        columns: by name.
        codes: code of each ticker; None where the values hold for every ticker.
    """

    columns: Mapping[str, ExtraColumn]
    codes: Mapping[str, int] | None

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Names of the columns, in the file's order."""
        return tuple(self.columns)

    def as_of(self, column: str, tickers: pd.Series, days: Any) -> np.ndarray:
        """Return the latest value known on or before each day.

        Args:
            column: one of `value_columns`.
            tickers: of each bar, text or categories `[N]`.
            days: of each bar, datetime64 `[N]` in any order.

        Returns:
            float64 `[N]`; NaN before the first value, and for a ticker without values.
        """
        own = self.columns[column]
        code = self._codes_of(tickers)
        if not len(own.key):
            return np.full(len(code), np.nan)
        first = code * _SPAN  # no key of the ticker is smaller
        at = np.searchsorted(own.key, first + _number(np.asarray(days)), side="right") - 1
        known = (at >= 0) & (own.key[at] >= first) & (code >= 0)
        return np.where(known, own.value[at], np.nan)

    def until(self, last: pd.Timestamp) -> "ExtraTable":
        """Return what was known at the close of a day."""
        day = int(_number(np.array([last.to_datetime64()]))[0])
        known = {name: own.key % _SPAN <= day for name, own in self.columns.items()}
        columns = {
            name: ExtraColumn(own.key[known[name]], own.value[known[name]]) for name, own in self.columns.items()
        }
        return replace(self, columns=columns)

    def rows(self) -> ExtraRows:
        """Return rows of which this is the table: one of each ticker and day on which a value becomes valid."""
        key = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(own.key for own in self.columns.values())]))
        code, days = key // _SPAN, (_ORIGIN + key % _SPAN).astype("datetime64[D]")
        values = {name: np.full(len(key), np.nan) for name in self.columns}
        for name, own in self.columns.items():
            values[name][np.searchsorted(key, own.key)] = own.value
        if self.codes is None:
            return ExtraRows(None, days, days, days, values)
        named = {at: name for name, at in self.codes.items()}
        used = np.isin(code, list(named))
        ticker = np.array([named[at] for at in code[used].tolist()], dtype=object)
        days = days[used]
        return ExtraRows(ticker, days, days, days, {name: own[used] for name, own in values.items()})

    def renamed(self, spelled: Mapping[str, str]) -> "ExtraTable":
        """Return the values of some tickers under the names that bars have; the arrays are shared.

        Args:
            spelled: ticker of the bars by ticker of the file.
        """
        if self.codes is None:
            return self
        return replace(self, codes={ticker: self.codes[name] for name, ticker in spelled.items()})

    def joined(self, other: "ExtraTable") -> "ExtraTable":
        """Return the tickers of this part of a file and of another one."""
        if self.codes is None or other.codes is None:
            return self
        return replace(self, codes={**self.codes, **other.codes})

    def _codes_of(self, tickers: pd.Series) -> np.ndarray:
        """Return the code of each bar's ticker, int64 `[N]`; -1 of one without values."""
        if self.codes is None:
            return np.zeros(len(tickers), dtype=np.int64)
        names = tickers.astype("category")
        code = np.array([self.codes.get(str(name), -1) for name in names.cat.categories], dtype=np.int64)
        return code[names.cat.codes.to_numpy()] if len(code) else np.full(len(tickers), -1, dtype=np.int64)


def extra_table(rows: ExtraRows) -> tuple[ExtraTable, np.ndarray]:
    """Arrange rows so that the value of any day is one look-up.

    Of the rows known on a day, the one of the latest `date` is valid, and of those its latest revision.

    Args:
        rows: in any order; of those with the same ticker, date and stamp a later one replaces an earlier one.

    Returns:
        The table; and which rows are never valid in any column because a later date, or a later revision of the same
        one, was known already, bool `[R]`.
    """
    code, names = np.zeros(len(rows.date), dtype=np.int64), None
    if rows.ticker is not None:
        code, names = pd.factorize(pd.Series(rows.ticker, dtype=object), sort=True)
    order = np.lexsort((rows.stamp, rows.date, rows.known, code))
    rank = _ranks(rows.date, rows.stamp)
    late = code.astype(np.int64) * (len(rank) + 1) + rank  # ascends with the ticker, its dates and their revisions
    key = code.astype(np.int64) * _SPAN + _number(rows.known)
    columns, outdated = {}, np.zeros(len(order), dtype=bool)
    valid = np.zeros(len(order), dtype=bool)
    for name, values in rows.values.items():
        own = order[~np.isnan(values[order])]
        fresh = late[own] == np.maximum.accumulate(late[own])
        outdated[own[~fresh]] = True
        own = own[fresh]
        valid[own] = True
        last = np.append(key[own][1:] != key[own][:-1], True) if len(own) else np.zeros(0, dtype=bool)
        columns[name] = ExtraColumn(key[own][last], values[own][last])
    codes = None if names is None else {str(name): at for at, name in enumerate(names)}
    return ExtraTable(columns, codes), outdated & ~valid


def _ranks(date: np.ndarray, stamp: np.ndarray) -> np.ndarray:
    """Return the rank of each row's date and revision, from 0, int64 `[R]`."""
    order = np.lexsort((stamp, date))
    new = (date[order][1:] != date[order][:-1]) | (stamp[order][1:] != stamp[order][:-1])
    rank = np.zeros(len(order), dtype=np.int64)
    rank[order[1:]] = np.cumsum(new)
    return rank


def _number(days: np.ndarray) -> np.ndarray:
    """Return days since 1900, int64."""
    return (days.astype("datetime64[D]") - _ORIGIN).astype(np.int64)
