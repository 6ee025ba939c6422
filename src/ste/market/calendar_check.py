"""Check bars against a calendar and the spacing of its rows, and name the calendars that fit.

Bars of the wrong exchange lose sessions or leave gaps; weekly bars read as daily ones give indicators of other lengths.
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.market.calendar import Periods, TradingCalendar, library_sessions
from ste.market.read_summary import ReadSummary
from ste.market.ticker_groups import ticker_starts
from ste.schema import BARS

_ALLOWED = 0.01
"""Fraction of the rows that may lie off the calendar, and of its sessions that may have no bar."""
_FEW = 5  # days off the calendar that are an accident rather than another exchange
_ENOUGH = 100  # days of bars from which missing sessions say something about the calendar
_GAP = 15  # days; a longer gap is a file's own, not a holiday
_SAMPLE = 3  # years of bars that calendars are compared on
_SPACINGS = {"weekly": (5, 9), "monthly": (26, 36)}  # days between bars
_REGULAR = 0.8  # of the gaps between bars are of the spacing
_GAPS = 8  # gaps that a spacing is judged by
_LARGE = ("XNYS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XSHG", "XBOM", "XTSE", "XASX", "BVMF", "XTAI", "CMES")
"""Compared first, since all of exchange_calendars take ten seconds; named first among equals."""
_EXACT = 0.001
_HOLIDAYS = 0.06  # of the weekdays of a year: more missing sessions are a thin ticker's
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def on_sessions(bars: pd.DataFrame, summary: ReadSummary, periods: Periods) -> pd.DataFrame:
    """Return the bars on sessions; a weekly or monthly bar is dated by the last session of its period.

    Args:
        bars: of complete tickers, sorted by ticker and date.
        summary: the rows on other days are counted, and the spacing is stated; over several blocks, the first one
            with enough bars decides.
        periods: of the rows that the bars are for.

    Raises:
        DataError: bars of a spacing that the rows cannot be made from.
    """
    spacing = _spacing(bars)
    if spacing is not None and summary.spacing not in ("", spacing):
        raise DataError(f"bars: those of {_tickers(bars)} are {spacing}, others {summary.spacing}. Give one spacing.")
    summary.spacing = summary.spacing or spacing or ""
    if summary.spacing in ("", "daily"):
        summary.days = summary.days.add(bars["date"].value_counts(), fill_value=0)
        every = periods.calendar.sessions(bars["date"].min(), bars["date"].max())
        _doubt_sparse_tickers(bars, summary)
        _state_bounds(bars, summary, periods.calendar)
        return summary.drop(bars, ~bars["date"].isin(every).to_numpy(), off_calendar(periods.calendar))
    _check_spacing(bars, summary.spacing, periods.frequency)
    return _one_bar_per_period(bars, summary, periods)


def off_calendar(calendar: TradingCalendar) -> str:
    """Return the reason for setting rows aside that lie on no session, see `ReadSummary.drop`."""
    return f"on days without a session of {calendar.label}"


def _gaps(bars: pd.DataFrame) -> np.ndarray:
    """Return the days from the ticker's bar before to each bar, float64 `[N]`; NaN for a ticker's first."""
    gaps = np.diff(bars["date"].to_numpy().astype("datetime64[D]").astype(np.int64), prepend=0).astype(np.float64)
    gaps[ticker_starts(bars)] = np.nan
    return gaps


def _spacing(bars: pd.DataFrame) -> str | None:
    """Return `daily`, `weekly`, `monthly` or `N days apart`; None with too few or irregular bars."""
    gaps = _gaps(bars)
    gaps = gaps[np.isfinite(gaps)]
    if len(gaps) < _GAPS:
        return None
    median = float(np.median(gaps))
    if median <= 4:
        return "daily"
    for name, (low, high) in _SPACINGS.items():
        if ((gaps >= low) & (gaps <= high)).mean() >= _REGULAR:
            return name
    regular = (np.abs(gaps - median) <= 0.2 * median).mean() >= _REGULAR
    return f"{median:.0f} days apart" if regular else None


def _doubt_sparse_tickers(bars: pd.DataFrame, summary: ReadSummary) -> None:
    gaps = pd.Series(_gaps(bars)).groupby(bars["ticker"].to_numpy())
    sparse = (gaps.median() >= _SPACINGS["weekly"][0]) & (gaps.count() >= _GAPS)
    if sparse.any() and not sparse.all():
        rows = bars["ticker"].isin(sparse.index[sparse]).to_numpy()
        summary.doubt(bars, rows, "of tickers whose bars are a week or more apart, unlike the others'")


def _state_bounds(bars: pd.DataFrame, summary: ReadSummary, calendar: TradingCalendar) -> None:
    low, high = calendar.bounds
    for beyond, text in (
        (bars["date"].min() < low, f"from {low:%Y-%m-%d} on"),
        (bars["date"].max() > high, f"to {high:%Y-%m-%d}"),
    ):
        statement = f"bars: the calendar {calendar.label} is known {text}; on the other side its usual weekdays count"
        if beyond and statement not in summary.statements:
            summary.statements.append(statement)


def _tickers(bars: pd.DataFrame) -> str:
    names = bars["ticker"].unique()
    return f"{names[0]}, ..." if len(names) > 1 else str(names[0])


def _check_spacing(bars: pd.DataFrame, spacing: str, frequency: str) -> None:
    if spacing == frequency:
        return
    own = bars[bars["ticker"] == bars["ticker"].iloc[0]]
    days = ", ".join(f"{day:%Y-%m-%d}" for day in own["date"].iloc[:3])
    remedy = f"Train with data.frequency={spacing}, or give daily bars." if spacing in _SPACINGS else "Give daily bars."
    raise DataError(
        f"bars: are {spacing} ({own['ticker'].iloc[0]}: {days}, ...). Expected daily bars"
        f"{'' if frequency == 'daily' else f' or {frequency} ones'} for {frequency} rows. {remedy}"
    )


def _one_bar_per_period(bars: pd.DataFrame, summary: ReadSummary, periods: Periods) -> pd.DataFrame:
    """Date each bar by the last session of its period, so that nothing is known too early."""
    days = bars["date"].to_numpy().astype("datetime64[D]")
    weekday = bars["date"].dt.day_of_week.to_numpy()
    # A Sunday may name the week that it ends or, as often, the one that follows: the later one is never too early.
    begins = (weekday == 6) & (periods.frequency == "weekly") & (6 not in periods.calendar.weekdays)
    days = days + begins.astype("timedelta64[D]")
    last = periods.last_sessions(days)
    closed = periods.spans(last.to_numpy().astype("datetime64[D]")) != periods.spans(days)
    word, label = periods.word, periods.calendar.label
    dated = bars.assign(date=last.to_numpy())
    inside = summary.drop(bars, closed, f"in {word}s without a session of {label}").index
    dated = dated.loc[inside]
    repeated = dated.duplicated(["ticker", "date"]).to_numpy()
    dated = summary.drop(dated, repeated, f"in the same {word} as the ticker's bar before")
    weekdays = np.bincount(weekday, minlength=7)
    named = f" dated {_WEEKDAYS[int(weekdays.argmax())]}" if weekdays.max() > _REGULAR * len(bars) else ""
    statement = (
        f"bars are {periods.frequency}{named}: each is dated by its {word}'s last session, and indicators such as the "
        f"20-session mean count {word}s"
    )
    if begins.any():
        statement += "; a bar dated Sunday is taken as the week that begins then"
    if statement not in summary.statements:
        summary.statements.append(statement)
    return dated


def check_calendar(summary: ReadSummary, calendar: TradingCalendar, where: object) -> None:
    """Raise `DataError` where the days of all bars are those of another calendar.

    Args:
        summary: of the complete file.
        calendar: that the bars were read with.
        where: the file or source of the bars.
    """
    days = summary.days
    if calendar.label == BARS:
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
    raise DataError(f"{where}: {seen}; {fits}. Train with data.calendar={names[0] if names else BARS}{more}.")


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
