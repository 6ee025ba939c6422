"""Days of a stream, as numbers: days since 1970-01-01."""

from bisect import bisect_left, bisect_right
from datetime import date
from functools import lru_cache

import pandas as pd

from ste.market.calendar import session_numbers, sessions

_EPOCH = date(1970, 1, 1).toordinal()
_MARGIN = 2  # years that are held beyond the one asked for


@lru_cache(maxsize=4096)
def day_of(text: str) -> int:
    """The day that an ISO date such as `2024-11-29` names.

    Raises:
        ValueError: it names none, or is written in another form.
    """
    found = date.fromisoformat(text)
    if found.isoformat() != text:
        raise ValueError(text)
    return found.toordinal() - _EPOCH


@lru_cache(maxsize=4096)
def text_of(day: int) -> str:
    """A day as ISO 8601 writes it."""
    return date.fromordinal(day + _EPOCH).isoformat()


class Calendar:
    """Sessions and periods of the exchange, by day; they agree with `ste.market.calendar`.

    Args:
        frequency: `weekly` or `daily` periods.
    """

    def __init__(self, frequency: str) -> None:
        self._weekly = frequency == "weekly"
        self._sessions: list[int] = []
        self._origin = 0  # number of the first session held
        self._held = range(0)  # days that can be looked up
        self._closes: dict[int, int] = {}

    def is_session(self, day: int) -> bool:
        """Whether the exchange is open."""
        at = self._at_or_after(day)  # which may fetch sessions
        return self._sessions[at] == day

    def close_of(self, day: int) -> int:
        """Last session of the period in which what is told on a day counts: the first that ends on or after it."""
        close = self._closes.get(day)
        if close is None:
            at = self._at_or_after(day)
            if self._weekly:
                sunday = _week(self._sessions[at]) * 7 + 3
                at = bisect_right(self._sessions, sunday) - 1
            close = self._closes[day] = self._sessions[at]
        return close

    def number(self, close: int) -> int:
        """Number of the period that ends with a session; neighbours differ by 1."""
        at = self._at_or_after(close)
        return _week(close) if self._weekly else self._origin + at

    def _at_or_after(self, day: int) -> int:
        if day not in self._held:
            self._hold(date.fromordinal(day + _EPOCH).year)
        return bisect_left(self._sessions, day)

    def _hold(self, year: int) -> None:
        """Hold the sessions around a year too."""
        years = {year - _MARGIN, year + _MARGIN}
        if self._held:
            years |= {date.fromordinal(self._held[end] + _EPOCH).year for end in (0, -1)}
        self._sessions, self._origin = _sessions(min(years), max(years))
        # Two weeks on either side always have a session to be found.
        self._held = range(self._sessions[0] + 14, self._sessions[-1] - 14)


@lru_cache(maxsize=16)
def _sessions(first: int, last: int) -> tuple[list[int], int]:
    """Sessions from one year to another, and the number of the first of them."""
    found = sessions(pd.Timestamp(first, 1, 1), pd.Timestamp(last, 12, 31))
    return found.to_numpy().astype("datetime64[D]").astype(int).tolist(), int(session_numbers(found[:1])[0])


def _week(day: int) -> int:
    return (day + 3) // 7  # 1970-01-01 was a Thursday
