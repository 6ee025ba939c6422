"""Sessions of an exchange, and the weeks, days or months that table rows cover.

A calendar is any of exchange_calendars (`XNYS`, `XLON`, `24/7`, ...) or the days of a file of bars (`bars`). Beyond the
span that it knows (a library's calendar may start or end with its exchange's records, bars with their last day), its
usual weekdays count as sessions.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ste.errors import ConfigError
from ste.market.exchange_sessions import FACTS, bar_days, days_name, facts, known_span, sessions_of_years
from ste.market.spans import MONDAY, span_numbers
from ste.schema import BARS, EXCHANGE, PERIOD

_FIXED = np.datetime64("1990-01-02")
_MARGIN = np.timedelta64(70, "D")
"""No exchange was closed for longer: Athens stayed closed for five weeks in 2015."""
_SATURDAY, _SUNDAY = 5, 6


@dataclass(frozen=True)
class TradingCalendar:
    """The sessions of an exchange, made by `trading_calendar` or `calendar_of_days`.

    Attributes:
        name: of exchange_calendars; or `bars:FIRST:BITMAP`, which holds its days and can be stored.
    """

    name: str = EXCHANGE

    @property
    def label(self) -> str:
        """Name for messages and settings: `XNYS`, `24/7` or `bars`."""
        return self.name.partition(":")[0]

    @property
    def weekdays(self) -> tuple[int, ...]:
        """Its usual weekdays, Monday is 0; make-up sessions on other days are rare."""
        return facts(self.name).weekdays

    @property
    def sessions_per_week(self) -> int:
        """Number of its usual weekdays: 5, or 7 where every day is a session."""
        return len(self.weekdays)

    @property
    def sessions_per_year(self) -> int:
        """Rounded mean of ten years: 252 in New York, 365 where every day is a session."""
        return facts(self.name).per_year

    @property
    def first_weekday(self) -> int:
        """Weekday that starts a week: Monday (0), or Sunday (6) where it is a usual session and Saturday is none.

        Thus a week's sessions stay together also where trading runs from Sunday to Thursday.
        """
        return _SUNDAY if _SUNDAY in self.weekdays and _SATURDAY not in self.weekdays else 0

    @property
    def known_days(self) -> pd.DatetimeIndex:
        """The days that the calendar of a file of bars was made from."""
        return bar_days(self.name)

    @property
    def bounds(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last day of what is known; beyond them the usual weekdays count as sessions."""
        return known_span(self.name)

    def sessions(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
        """Return the sessions from `start` to `end`, both included, as midnights without a time zone."""
        # exchange_calendars refuses a span shorter than its holiday rules need; spans of decades also share the cache.
        known = sessions_of_years(self.name, (start.year - 1) // 10 * 10, (end.year + 1) // 10 * 10 + 9)
        return known[known.searchsorted(start.normalize()) : known.searchsorted(end.normalize(), side="right")]

    def session_numbers(self, dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
        """Return the index of the last session at or before each date, int64 `[N]`.

        The index counts from a fixed day, so that any two tables agree.
        """
        days = np.asarray(dates, dtype="datetime64[D]")
        if not len(days):
            return np.empty(0, dtype=np.int64)
        known = self._days(min(days.min(), _FIXED), max(days.max(), _FIXED))
        origin = np.searchsorted(known, _FIXED)
        return _by_day(days, lambda every: np.searchsorted(known, every, side="right").astype(np.int64) - 1 - origin)

    def next_sessions(self, dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
        """Return the first session on or after each date, datetime64[D] `[N]`."""
        days = np.asarray(dates, dtype="datetime64[D]")
        if not len(days):
            return days
        known = self._days(days.min(), days.max() + _MARGIN)
        return _by_day(days, lambda every: known[np.searchsorted(known, every)])

    def _days(self, first: np.datetime64, last: np.datetime64) -> np.ndarray:
        return self.sessions(pd.Timestamp(first), pd.Timestamp(last)).to_numpy().astype("datetime64[D]")


NEW_YORK = TradingCalendar()


def _by_day(days: np.ndarray, function: Any) -> np.ndarray:
    """Evaluate a function of days with one look-up per calendar day instead of one per row."""
    every = np.arange(days.min(), days.max() + 1)
    return function(every)[(days - every[0]).astype(np.int64)]


@lru_cache
def trading_calendar(name: str, key: str = "data.calendar") -> TradingCalendar:
    """Return the calendar of a name or alias of exchange_calendars, or one that `calendar_of_days` named.

    Args:
        name: as typed.
        key: the setting, for messages.

    Raises:
        ConfigError: an unknown name, or a calendar that the installed exchange_calendars cannot compute.
    """
    if name == BARS:
        raise ConfigError(f"{key}={BARS}: the sessions are those of a file of bars. Give bars, or an exchange.")
    if name in FACTS or name.startswith(f"{BARS}:"):
        return TradingCalendar(name)
    import exchange_calendars

    names = exchange_calendars.get_calendar_names()
    found = {known.lower(): known for known in names}.get(name.lower())
    if found is None:
        near = ", ".join(get_close_matches(name.upper(), names, n=3, cutoff=0.5)) or f"{EXCHANGE}, XLON, XTKS, 24/7"
        raise ConfigError(
            f"{key}={name}: expected a calendar of exchange_calendars ({near}, ...), or {BARS}: the days in "
            f"the file are the sessions. Try {key}={near.partition(',')[0]}."
        )
    calendar = TradingCalendar(exchange_calendars.resolve_alias(found))
    try:
        facts(calendar.name)
    except Exception as error:  # the library's calendars fail in their own ways
        raise ConfigError(
            f"{key}={name}: exchange_calendars {exchange_calendars.__version__} cannot compute this calendar "
            f"({str(error)[:60]}). Try {key}=bars: the days in the file are the sessions."
        ) from None
    return calendar


def calendar_of_days(dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> TradingCalendar:
    """Return the calendar whose sessions are these days; its name holds them."""
    days = np.unique(np.asarray(dates, dtype="datetime64[D]"))
    if not len(days):
        return TradingCalendar()
    return TradingCalendar(days_name(days))


@dataclass(frozen=True)
class Periods:
    """The periods of table rows: a calendar's weeks, days or months.

    The index of a period is an integer; those of consecutive periods that have sessions differ by 1, so that neither
    a window nor a label breaks at a week in which an exchange is closed.

    Attributes:
        frequency: `weekly`, `daily` or `monthly`.
        calendar: decides the sessions and on which weekday a week starts.
    """

    frequency: str = "weekly"
    calendar: TradingCalendar = NEW_YORK

    @property
    def word(self) -> str:
        """Period in words: `week`, `day` or `month`."""
        return PERIOD[self.frequency]

    @property
    def per_year(self) -> int:
        """Periods of a ticker in a year, for annualization."""
        return {"weekly": 52, "monthly": 12}.get(self.frequency) or self.calendar.sessions_per_year

    @property
    def bars(self) -> int:
        """Daily bars of a period, for scaling a daily volatility."""
        week = self.calendar.sessions_per_week
        return {"weekly": week, "monthly": 30 if week == 7 else 21}.get(self.frequency, 1)

    def index(self, dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
        """Return the period index of each date, int64 `[N]`; of a period without a session, that of the one before."""
        if self.frequency == "daily":
            return self.calendar.session_numbers(dates)
        days = np.asarray(dates, dtype="datetime64[D]")
        if self.calendar.name in FACTS or not len(days):
            return self.spans(days)
        # Sessions before the first day, so that no date lies before all of them.
        known = self.calendar._days(min(days.min(), _FIXED) - _MARGIN, max(days.max(), _FIXED))
        spans = np.unique(self.spans(known))
        fixed = self.spans(np.array([_FIXED]))[0]
        offset = fixed - np.searchsorted(spans, fixed, side="right")
        return _by_day(days, lambda every: np.searchsorted(spans, self.spans(every), side="right") + offset)

    def known(self, dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> np.ndarray:
        """Return the index of the period at whose close news of each date is known, int64 `[N]`.

        News after the last session of a period, or on a day without a session, is known at the close of the period
        of the next session.
        """
        return self.index(self.calendar.next_sessions(dates))

    def ends(self, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Return the last day of each period among `days`, which are sorted and reach the end of their last period."""
        index = self.index(days)
        return days[np.append(index[1:] != index[:-1], True)]

    def last_sessions(self, dates: pd.DatetimeIndex | pd.Series | np.ndarray) -> pd.DatetimeIndex:
        """Return the last session of each date's period (see `index`), whether or not the date lies before it."""
        days = np.asarray(dates, dtype="datetime64[D]")
        if not len(days):
            return pd.DatetimeIndex([], dtype="datetime64[ns]")
        first, last = pd.Timestamp(days.min() - _MARGIN), pd.Timestamp(days.max() + _MARGIN)
        ends = self.ends(self.calendar.sessions(first, last))
        at = np.searchsorted(self.index(ends), self.index(days))
        return ends[at]

    def spans(self, days: np.ndarray) -> np.ndarray:
        """Return the number of each day's week, day or month since 1970, whether or not it has a session, int64 `[N]`.

        Args:
            days: datetime64[D] `[N]`.
        """
        return span_numbers(days, self.frequency, (MONDAY - self.calendar.first_weekday) % 7)


WEEKS = Periods()
"""Weeks of New York."""
