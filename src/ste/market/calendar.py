"""Trading sessions and weeks of the New York Stock Exchange."""

from functools import lru_cache

import numpy as np
import pandas as pd

EXCHANGE = "XNYS"
_FIRST_SESSION = "1990-01-02"
_MONDAY = 3  # 1970-01-01 was a Thursday: day 0 lies 3 days after a Monday


def sessions(start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """Trading sessions from `start` to `end`, both included, as midnights without a zone."""
    # The library refuses a calendar shorter than its holidays need; of whole decades a few serve all spans.
    known = _known_sessions((start.year - 1) // 10 * 10, (end.year + 1) // 10 * 10 + 9)
    return known[known.searchsorted(start.normalize()) : known.searchsorted(end.normalize(), side="right")]


@lru_cache(maxsize=16)  # a third of a second each; the calendar itself is large, and is not kept
def _known_sessions(first: int, last: int) -> pd.DatetimeIndex:
    import exchange_calendars  # weeks need none

    calendar = exchange_calendars.get_calendar(EXCHANGE, start=f"{first}-01-01", end=f"{last}-12-31")
    return calendar.sessions.tz_localize(None)


def week_numbers(dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
    """Number of the Monday-to-Sunday week that holds each date, int64 `[N]`; consecutive weeks differ by 1."""
    days = np.asarray(dates, dtype="datetime64[D]").astype(np.int64)
    return (days + _MONDAY) // 7


def session_numbers(dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
    """Number of the last session at or before each date, int64 `[N]`; consecutive sessions differ by 1.

    Counted from a fixed day, so that any two tables agree.
    """
    days = np.asarray(dates, dtype="datetime64[D]")
    if not len(days):
        return np.empty(0, dtype=np.int64)
    fixed = np.datetime64(_FIRST_SESSION)
    between = sessions(pd.Timestamp(min(days.min(), fixed)), pd.Timestamp(max(days.max(), fixed)))
    known = between.to_numpy().astype("datetime64[D]")
    origin = np.searchsorted(known, fixed)
    every = np.arange(days.min(), days.max() + 1)  # looked up once a day, not once a row
    number = np.searchsorted(known, every, side="right").astype(np.int64) - 1 - origin
    return number[(days - every[0]).astype(np.int64)]


def periods(dates: pd.DatetimeIndex | pd.Series | np.ndarray, frequency: str) -> np.ndarray:
    """Number of each date's week (`weekly`) or session (`daily`), int64 `[N]`; neighbours differ by 1."""
    return week_numbers(dates) if frequency == "weekly" else session_numbers(dates)


def week_ends(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Last session of each week among `days`, which must be sorted and reach the end of their last week."""
    weeks = week_numbers(days)
    last = np.append(weeks[1:] != weeks[:-1], True)
    return days[last]


def last_session_of_week(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """For each date, the last session of its week, whether or not anything was traded by then."""
    unique = pd.DatetimeIndex(dates.unique()).sort_values()
    week = pd.Timedelta(days=7)
    ends = week_ends(sessions(unique[0] - week, unique[-1] + week))
    by_week = pd.Series(ends, index=week_numbers(ends))
    return pd.DatetimeIndex(by_week.reindex(week_numbers(dates)).to_numpy())
