"""Days of a stream, numbered as days since 1970-01-01."""

from bisect import bisect_left, bisect_right
from datetime import date
from functools import lru_cache

import pandas as pd

from ste.market.calendar import session_numbers, sessions

_EPOCH = date(1970, 1, 1).toordinal()
_MARGIN = 2  # years loaded before and after a requested one


def day_of(text: str) -> int:
    """Convert an ISO date such as `2024-11-29` to a day.

    Raises:
        ValueError: the text is no date or has another format.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError(text)
    return day.toordinal() - _EPOCH


def iso_date_of(day: int) -> str:
    """Convert a day to an ISO date."""
    return date.fromordinal(day + _EPOCH).isoformat()


class StreamCalendar:
    """Sessions and periods of the exchange by day; agrees with `ste.market.calendar`.

    Args:
        frequency: `weekly` or `daily` periods.
    """

    def __init__(self, frequency: str) -> None:
        self._weekly = frequency == "weekly"
        self._sessions: list[int] = []
        self._origin = 0  # session number of the first loaded session
        self._loaded = range(0)  # days that can be looked up

    def is_session(self, day: int) -> bool:
        """Whether the exchange is open."""
        i = self._at_or_after(day)  # may load sessions
        return self._sessions[i] == day

    def close_of(self, day: int) -> int:
        """Return the last session of the first period that ends on or after a day; its events belong to that period."""
        i = self._at_or_after(day)
        if self._weekly:
            sunday = _week(self._sessions[i]) * 7 + 3
            i = bisect_right(self._sessions, sunday) - 1
        return self._sessions[i]

    def period_index(self, close: int) -> int:
        """Return the index of the period that ends with a session; consecutive periods differ by 1."""
        i = self._at_or_after(close)
        return _week(close) if self._weekly else self._origin + i

    def _at_or_after(self, day: int) -> int:
        if day not in self._loaded:
            self._load(date.fromordinal(day + _EPOCH).year)
        return bisect_left(self._sessions, day)

    def _load(self, year: int) -> None:
        """Load the sessions around a year."""
        years = {year - _MARGIN, year + _MARGIN}
        if self._loaded:
            years |= {date.fromordinal(self._loaded[end] + _EPOCH).year for end in (0, -1)}
        self._sessions, self._origin = _sessions(min(years), max(years))
        # Two weeks at either end always contain a session.
        self._loaded = range(self._sessions[0] + 14, self._sessions[-1] - 14)


@lru_cache(maxsize=16)
def _sessions(first: int, last: int) -> tuple[list[int], int]:
    """Return the sessions from one year to another, and the session number of the first."""
    index = sessions(pd.Timestamp(first, 1, 1), pd.Timestamp(last, 12, 31))
    return index.to_numpy().astype("datetime64[D]").astype(int).tolist(), int(session_numbers(index[:1])[0])


def _week(day: int) -> int:
    return (day + 3) // 7  # 1970-01-01 was a Thursday
