"""Where the sessions of a calendar come from: exchange_calendars, or the days that a calendar's name holds.

A name is one of exchange_calendars, or `bars:FIRST:BITMAP` with the days of a file of bars.
"""

import base64
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ste.schema import BARS, EXCHANGE

_USUAL = 0.2  # of the sessions of the most frequent weekday: below are make-up days


@dataclass(frozen=True)
class Facts:
    """What follows from ten years of a calendar's sessions: usual weekdays (Monday is 0), sessions in a year."""

    weekdays: tuple[int, ...]
    per_year: int


_ZONES = {EXCHANGE: "America/New_York", "24/7": "UTC"}
FACTS = {EXCHANGE: Facts((0, 1, 2, 3, 4), 252), "24/7": Facts((0, 1, 2, 3, 4, 5, 6), 365)}
"""Facts that need no computation, so that a run on a weekly table of these makes no calendar. None of these was closed
for a complete week since 1960, as `Periods` relies on."""


def time_zone(name: str) -> str | None:
    """Return the time zone of a calendar's exchange; None for the days of a file of bars."""
    if name in _ZONES or name.startswith(BARS):
        return _ZONES.get(name)
    import exchange_calendars

    return str(exchange_calendars.get_calendar(name).tz)


def days_name(days: np.ndarray) -> str:
    """Return the name that holds these days, datetime64[D], sorted and at least one."""
    bits = np.zeros(int((days[-1] - days[0]).astype(np.int64)) + 1, dtype=bool)
    bits[(days - days[0]).astype(np.int64)] = True
    packed = base64.b64encode(zlib.compress(np.packbits(bits).tobytes(), 9)).decode()
    return f"{BARS}:{days[0]}:{packed}"


@lru_cache(maxsize=16)
def bar_days(name: str) -> pd.DatetimeIndex:
    """Return the days that a name of `days_name` holds."""
    _, first, packed = name.split(":")
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype=np.uint8))
    days = np.datetime64(first, "D") + np.flatnonzero(bits)
    return pd.DatetimeIndex(days.astype("datetime64[ns]"))


@lru_cache(maxsize=64)
def facts(name: str) -> Facts:
    """Return what ten years of a calendar, or all days of its name, say."""
    if name in FACTS:
        return FACTS[name]
    known = bar_days(name) if name.startswith(f"{BARS}:") else library_sessions(name, "2010-01-01", "2019-12-31")
    counts = np.bincount(known.day_of_week, minlength=7)
    weekdays = tuple(np.flatnonzero(counts >= _USUAL * counts.max()).tolist())
    years = ((known[-1] - known[0]).days + 1) / 365.25
    per_year = round(len(known) / years) if years > 1 else round(365.25 / 7 * len(weekdays))
    return Facts(weekdays, min(per_year, 365))


def library_sessions(name: str, first: str, last: str) -> pd.DatetimeIndex:
    """Return the sessions that exchange_calendars knows of a span, and of at least two years."""
    return _library_calendar(name, first, last).sessions.tz_localize(None).as_unit("ns")


def _library_calendar(name: str, first: str, last: str) -> Any:
    """Make a calendar of exchange_calendars for as much of a span as it knows, and at least two years."""
    import exchange_calendars  # imported on first use: not every run needs sessions

    try:
        return exchange_calendars.get_calendar(name, start=first, end=last)
    except ValueError:
        kind = type(exchange_calendars.get_calendar(name))
    low, high = kind.bound_min(), kind.bound_max()
    start, end, enough = pd.Timestamp(first), pd.Timestamp(last), pd.DateOffset(years=2)
    start = start if high is None else min(start, high - enough)
    start = start if low is None else max(start, low)
    end = max(end, start + enough)
    return kind(start=start, end=end if high is None else min(end, high))


@lru_cache(maxsize=64)
def known_span(name: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and last day of what is known of a calendar."""
    low = high = None
    if name.startswith(f"{BARS}:"):
        low, high = bar_days(name)[[0, -1]]
    elif name not in FACTS:
        calendar = _library_calendar(name, "2010-01-01", "2019-12-31")
        low, high = calendar.bound_min(), calendar.bound_max()
    return (low or pd.Timestamp("1900-01-01")), (high or pd.Timestamp("2199-12-31"))


@lru_cache(maxsize=64)  # a calendar takes a third of a second to make; only its sessions are cached
def sessions_of_years(name: str, first: int, last: int) -> pd.DatetimeIndex:
    """Return the sessions of some years; beyond what is known, every usual weekday is one."""
    widest = _WIDEST.get(name)
    if widest is not None and widest[0] <= first and last <= widest[1]:
        years = widest[2].year
        return widest[2][years.searchsorted(first) : years.searchsorted(last, side="right")]
    sessions = _find_sessions(name, first, last)
    _WIDEST[name] = first, last, sessions
    return sessions


_WIDEST: dict[str, tuple[int, int, pd.DatetimeIndex]] = {}
"""First year, last year and sessions of the latest span of each calendar, which holds those of shorter spans."""


def _find_sessions(name: str, first: int, last: int) -> pd.DatetimeIndex:
    start, end = pd.Timestamp(f"{first}-01-01"), pd.Timestamp(f"{last}-12-31")
    known = bar_days(name) if name.startswith(BARS) else library_sessions(name, f"{first}-01-01", f"{last}-12-31")
    low, high = known_span(name)
    inside = known[(known >= start) & (known <= end)]
    day = pd.Timedelta(days=1)
    beyond = [
        pd.date_range(start, min(low - day, end), unit="ns"),
        pd.date_range(max(high + day, start), end, unit="ns"),
    ]
    before, after = (days[np.isin(days.day_of_week, facts(name).weekdays)] for days in beyond)
    return pd.DatetimeIndex(np.concatenate([before, inside, after]))
