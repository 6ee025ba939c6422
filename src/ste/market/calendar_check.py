"""Check the days of bars against a calendar, and name the calendars that fit."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.market.bar_spacing import BarGaps, check_spacing, closed_periods, one_bar_per_period
from ste.market.calendar import Periods, TradingCalendar
from ste.market.exchange_sessions import library_sessions
from ste.market.read_summary import ReadSummary
from ste.schema import BARS

_ALLOWED = 0.01
"""Fraction of the rows that may lie off the calendar, and of its sessions that may have no bar."""
_FEW = 5  # days off the calendar that are an accident rather than another exchange
_ENOUGH = 100  # days of bars from which missing sessions say something about the calendar
_GAP = 15  # days; a longer gap is a file's own, not a holiday
_SAMPLE = 3  # years of bars that calendars are compared on
_LARGE = ("XNYS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XSHG", "XBOM", "XTSE", "XASX", "BVMF", "XTAI", "CMES")
"""Compared first, since all of exchange_calendars take ten seconds; named first among equals."""
_EXACT = 0.001
_HOLIDAYS = 0.06  # of the weekdays of a year: more missing sessions are a thin ticker's


def on_sessions(bars: pd.DataFrame, summary: ReadSummary, periods: Periods, by_model: bool = False) -> pd.DataFrame:
    """Return the bars on sessions; a weekly or monthly bar is dated by the last session of its period.

    Args:
        bars: of complete tickers, sorted by ticker and date.
        summary: the rows on other days are counted, and the spacing is stated; over several blocks, the first one
            with enough bars decides.
        periods: of the rows that the bars are for.
        by_model: whether the card of a model states them, rather than settings.

    Raises:
        DataError: bars of a spacing that the rows cannot be made from.
    """
    _count_days(bars, summary)
    gaps = BarGaps.of(bars)
    spacing = gaps.spacing()
    if spacing is not None and summary.spacing not in ("", "daily", spacing):
        raise DataError(f"bars: some are {spacing}, others {summary.spacing}. Give bars of one spacing.")
    summary.spacing = summary.spacing or spacing or ""
    if summary.spacing in ("", "daily"):
        every = periods.calendar.sessions(bars["date"].min(), bars["date"].max())
        summary.doubt(bars, gaps.sparse(), "of tickers whose bars are a week or more apart, unlike the others'")
        _state_bounds(bars, summary, periods.calendar)
        return summary.drop(bars, ~bars["date"].isin(every).to_numpy(), off_calendar(periods.calendar))
    check_spacing(bars, summary.spacing, periods.frequency, by_model)
    return one_bar_per_period(bars, summary, periods)


def off_calendar(calendar: TradingCalendar) -> str:
    """Return the reason for setting rows aside that lie on no session, see `ReadSummary.drop`."""
    return f"on days without a session of {calendar.label}"


def _count_days(bars: pd.DataFrame, summary: ReadSummary) -> None:
    """Add the rows of each day to the summary."""
    days = bars["date"].to_numpy().astype("datetime64[D]")
    counts = np.bincount((days - days.min()).astype(np.int64))
    found = np.flatnonzero(counts)
    index = pd.DatetimeIndex((days.min() + found).astype("datetime64[ns]"))
    summary.days = summary.days.add(pd.Series(counts[found], index=index), fill_value=0)


def _state_bounds(bars: pd.DataFrame, summary: ReadSummary, calendar: TradingCalendar) -> None:
    low, high = calendar.bounds
    for beyond, text in (
        (bars["date"].min() < low, f"from {low:%Y-%m-%d} on"),
        (bars["date"].max() > high, f"to {high:%Y-%m-%d}"),
    ):
        statement = f"bars: the calendar {calendar.label} is known {text}; on the other side its usual weekdays count"
        if beyond and statement not in summary.statements:
            summary.statements.append(statement)


def check_calendar(summary: ReadSummary, calendar: TradingCalendar, where: object, *, by_model: bool = False) -> None:
    """Raise `DataError` where the days of all bars are those of another calendar.

    Args:
        summary: of the complete file.
        calendar: that the bars were read with.
        where: the file or source of the bars.
        by_model: whether the card of a model states the calendar, rather than a setting.
    """
    days = summary.days
    _check_closed_periods(summary, calendar, where, by_model)
    if calendar.label == BARS or days.empty or summary.spacing not in ("", "daily"):
        return
    days = days[(days.index >= calendar.bounds[0]) & (days.index <= calendar.bounds[1])]
    if days.empty:
        return
    found = pd.DatetimeIndex(days.index).sort_values()
    every = calendar.sessions(found[0], found[-1])
    off = ~days.index.isin(every)
    rows, total = int(days[off].sum()), int(days.sum())
    missing = _missing(found, every)
    share = missing / max(len(every), 1)
    refused = rows > _ALLOWED * total and off.sum() >= _FEW
    if not refused and (len(found) < _ENOUGH or share <= _ALLOWED):
        return
    if not refused and share > _HOLIDAYS and set(found.day_of_week.unique()) >= set(calendar.weekdays):
        return
    best = fitting_calendars(found)
    if not refused and (not best or share < 4 * best[0][1]):
        return
    names = [name for name, cost in best if cost <= best[0][1] + _EXACT][:4]
    first = summary.set_aside.get(off_calendar(calendar))
    seen = f"{rows:,} of {total:,} rows are {off_calendar(calendar)}" + (f" (first: {first.first})" if first else "")
    if not refused:
        seen = f"no ticker has a bar on {missing:,} of the {len(every):,} sessions of {calendar.label}"
    fits = f"the days are those of {' or '.join(names)}" if names else "no exchange has these days"
    more = "" if names else ": the days in the file are the sessions"
    remedy = f"Train with data.calendar={names[0] if names else BARS}{more}."
    raise DataError(f"{where}: {seen}; {fits}. {_bars_of(calendar) if by_model else remedy}")


def _bars_of(calendar: TradingCalendar) -> str:
    return f"The model was trained on the calendar {calendar.label}: give bars of it."


def _check_closed_periods(summary: ReadSummary, calendar: TradingCalendar, where: object, by_model: bool) -> None:
    """Refuse weekly or monthly bars of periods in which the exchange of the calendar was closed."""
    for word in ("week", "month"):
        closed = summary.set_aside.get(closed_periods(word, calendar))
        total = int(summary.days.sum())
        if closed and closed.rows >= _FEW and closed.rows > _ALLOWED * total:
            remedy = f"Train with the calendar of their exchange, or with data.calendar={BARS}."
            raise DataError(
                f"{where}: {closed.rows:,} of {total:,} bars are {closed_periods(word, calendar)} (first: "
                f"{closed.first}). {_bars_of(calendar) if by_model else remedy}"
            )


def _missing(found: pd.DatetimeIndex, every: pd.DatetimeIndex) -> int:
    """Count the sessions without a bar, those within long gaps of the file left out."""
    lost = every[~every.isin(found)]
    after = np.clip(found.searchsorted(lost), 1, len(found) - 1)
    return int(((found[after] - found[after - 1]) <= pd.Timedelta(days=_GAP)).sum()) if len(found) > 1 else 0


def fitting_calendars(found: pd.DatetimeIndex) -> list[tuple[str, float]]:
    """Return the calendars of exchange_calendars that the days of bars fit, best first.

    Args:
        found: days with bars, sorted; the latest three years are compared.

    Returns:
        Names, and the fraction of the days that are no sessions plus that of the sessions without a bar. Only
        calendars with nearly all days are named.
    """
    import exchange_calendars

    first = max(found[0], found[-1] - pd.DateOffset(years=_SAMPLE))
    found = found[found >= first]
    if (found.day_of_week == 5).mean() > _ALLOWED:  # no exchange trades on Saturdays
        return _fits(["24/7"], found)
    large = _fits(_LARGE, found)
    if large and large[0][1] <= _EXACT:
        return large
    return _fits(exchange_calendars.get_calendar_names(include_aliases=False), found)


def _fits(names: Iterable[str], found: pd.DatetimeIndex) -> list[tuple[str, float]]:
    first, out = found[0], []
    for name in names:
        every = _sample_sessions(name, first.year, found[-1].year)
        if every is None:
            continue
        every = every[(every >= first) & (every <= found[-1])]
        off = 1.0 - found.isin(every).mean()
        missing = _missing(found, every) / max(len(every), 1)
        if off <= _ALLOWED and missing <= 5 * _ALLOWED:
            out.append((name, float(off + missing)))
    return sorted(out, key=lambda pair: (pair[1], pair[0] not in _LARGE, pair[0]))


@lru_cache(maxsize=256)
def _sample_sessions(name: str, first: int, last: int) -> pd.DatetimeIndex | None:
    try:
        known = library_sessions(name, f"{first}-01-01", f"{last}-12-31")
    except Exception:  # a calendar that the library cannot compute fits no bars
        return None
    return known if known[0] <= pd.Timestamp(f"{first}-02-01") else None
