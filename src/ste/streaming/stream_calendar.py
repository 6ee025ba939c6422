"""Days of a stream, numbered as days since 1970-01-01."""

from datetime import date
from functools import lru_cache

import numpy as np

from ste.market.calendar import Periods

_EPOCH = date(1970, 1, 1).toordinal()
_CACHED_DAYS = 1 << 16


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
        periods: of the rows.
    """

    def __init__(self, periods: Periods) -> None:
        self._periods = periods

    @property
    def name(self) -> str:
        """Name of the exchange's calendar."""
        return self._periods.calendar.name

    def is_session(self, day: int) -> bool:
        """Whether the exchange is open."""
        return _next_session(self._periods, day) == day

    def close_of(self, day: int) -> int:
        """Return the last session of the first period that ends on or after a day; its events belong to that period."""
        return _close_of(self._periods, day)

    def period_index(self, close: int) -> int:
        """Return the index of the period that ends with a session; consecutive periods differ by 1."""
        return _index_of(self._periods, close)


@lru_cache(_CACHED_DAYS)
def _next_session(periods: Periods, day: int) -> int:
    """Return the first session on or after a day."""
    return int(periods.calendar.next_sessions(_days(day))[0].astype(np.int64))


@lru_cache(_CACHED_DAYS)
def _close_of(periods: Periods, day: int) -> int:
    session = _next_session(periods, day)
    if periods.frequency == "daily":
        return session
    return int(periods.last_sessions(_days(session)).to_numpy().astype("datetime64[D]").astype(np.int64)[0])


@lru_cache(_CACHED_DAYS)
def _index_of(periods: Periods, day: int) -> int:
    return int(periods.index(_days(day))[0])


def _days(day: int) -> np.ndarray:
    return np.array([day], dtype="datetime64[D]")
