"""Trading sessions and weeks of the New York Stock Exchange.

A period is a week (`weekly`) or a session (`daily`). Its index is an integer; the indices of consecutive periods differ
by 1.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

EXCHANGE = "XNYS"
_FIRST_SESSION = "1990-01-02"
_MONDAY = 3  # 1970-01-01 was a Thursday, 3 days after a Monday


def sessions(start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the trading sessions from `start` to `end`, both included, as midnights without a time zone."""
    # exchange_calendars refuses a span shorter than its holiday rules need; spans of decades also share the cache.
    known = _sessions_of_years((start.year - 1) // 10 * 10, (end.year + 1) // 10 * 10 + 9)
    return known[known.searchsorted(start.normalize()) : known.searchsorted(end.normalize(), side="right")]


@lru_cache(maxsize=16)  # a calendar takes a third of a second to make; only its sessions are cached
def _sessions_of_years(first: int, last: int) -> pd.DatetimeIndex:
    import exchange_calendars  # imported on first use: weekly periods need no calendar

    calendar = exchange_calendars.get_calendar(EXCHANGE, start=f"{first}-01-01", end=f"{last}-12-31")
    return calendar.sessions.tz_localize(None)


def week_numbers(dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
    """Return the index of the Monday-to-Sunday week of each date, int64 `[N]`."""
    days = np.asarray(dates, dtype="datetime64[D]").astype(np.int64)
    return (days + _MONDAY) // 7


def session_numbers(dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
    """Return the index of the last session at or before each date, int64 `[N]`.

    The index counts from a fixed day, so that any two tables agree.
    """
    days = np.asarray(dates, dtype="datetime64[D]")
    if not len(days):
        return np.empty(0, dtype=np.int64)
    fixed = np.datetime64(_FIRST_SESSION)
    between = sessions(pd.Timestamp(min(days.min(), fixed)), pd.Timestamp(max(days.max(), fixed)))
    known = between.to_numpy().astype("datetime64[D]")
    origin = np.searchsorted(known, fixed)
    every = np.arange(days.min(), days.max() + 1)  # one look-up per day instead of per row
    index = np.searchsorted(known, every, side="right").astype(np.int64) - 1 - origin
    return index[(days - every[0]).astype(np.int64)]


def periods(dates: pd.DatetimeIndex | pd.Series | np.ndarray, frequency: str) -> np.ndarray:
    """Return the period index of each date, int64 `[N]`.

    Args:
        dates: days, N of them.
        frequency: `weekly` or `daily`.
    """
    return week_numbers(dates) if frequency == "weekly" else session_numbers(dates)


def known_periods(dates: pd.Series, frequency: str) -> np.ndarray:
    """Return the index of the period at whose close news of each date is known, int64 `[N]`.

    News after the last session of a week, or on a day without a session, is known at the close of the next period.
    """
    days = pd.DatetimeIndex(dates)
    if frequency == "daily":
        return session_numbers(days - pd.Timedelta(days=1)) + 1
    late = days.to_numpy() > last_session_of_week(days).to_numpy()
    return week_numbers(days) + late


def week_ends(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the last session of each week among `days`, which are sorted and reach the end of their last week."""
    weeks = week_numbers(days)
    last = np.append(weeks[1:] != weeks[:-1], True)
    return days[last]


def last_session_of_week(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Return the last session of each date's week, whether or not the date lies before it."""
    unique = pd.DatetimeIndex(dates.unique()).sort_values()
    week = pd.Timedelta(days=7)
    ends = week_ends(sessions(unique[0] - week, unique[-1] + week))
    by_week = pd.Series(ends, index=week_numbers(ends))
    return pd.DatetimeIndex(by_week.reindex(week_numbers(dates)).to_numpy())
