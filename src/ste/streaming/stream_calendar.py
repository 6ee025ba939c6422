"""Days of a stream, numbered as days since 1970-01-01."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from ste.market.calendar import periods, sessions

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
        frequency: `weekly` or `daily` periods.
    """

    def __init__(self, frequency: str) -> None:
        self._frequency = frequency

    def is_session(self, day: int) -> bool:
        """Whether the exchange is open."""
        return _next_session(day) == day

    def close_of(self, day: int) -> int:
        """Return the last session of the first period that ends on or after a day; its events belong to that period."""
        session = _next_session(day)
        return session if self._frequency == "daily" else _last_session_of_week(session)

    def period_index(self, close: int) -> int:
        """Return the index of the period that ends with a session; consecutive periods differ by 1."""
        return int(periods(np.array([close], dtype="datetime64[D]"), self._frequency)[0])


@lru_cache(_CACHED_DAYS)
def _next_session(day: int) -> int:
    """Return the first session on or after a day."""
    return _sessions(day, day + 14)[0]  # two weeks always contain a session


@lru_cache(_CACHED_DAYS)
def _last_session_of_week(day: int) -> int:
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    return _sessions(day, day + 6 - weekday)[-1]


def _sessions(first: int, last: int) -> list[int]:
    found = sessions(pd.Timestamp(first, unit="D"), pd.Timestamp(last, unit="D"))
    return found.to_numpy().astype("datetime64[D]").astype(int).tolist()
