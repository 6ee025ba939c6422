"""Dates in the source files: values released before their period ended, news dated too early, bars out of range."""

import numpy as np
import pandas as pd

from ste.leakage.association import Association, rank_ic
from ste.leakage.check_result import Alarm, CheckResult, skipped

RELEASES = "release dates"
NEWS = "news dates"
BARS = "bars"

_MIN_RELEASES = 8  # of a series
_MIN_RISE, _MIN_ERRORS = 0.06, 6.0  # of the correlation of news with the next return over that with other days


def early_releases(macro: pd.DataFrame, file: str = "macro") -> CheckResult:
    """Find series with values that are released before the period that they describe has ended.

    Args:
        macro: `series`, `release_date`, `value` and, where there is one, `period`, the first day of the
            period that a value describes. Without it, a monthly or quarterly series whose dates are all first days of
            a period is assumed to be dated by its period.
        file: name of the file, for messages.
    """
    alarms, looked = [], []
    for series, rows in macro.groupby("series", sort=True):
        if len(rows) < _MIN_RELEASES:
            continue
        looked.append(str(series))
        released = pd.DatetimeIndex(pd.to_datetime(rows["release_date"]))
        found = _against_period(rows, released) if "period" in rows else _stamps(released)
        if found:
            alarms.append(
                Alarm(
                    RELEASES,
                    f"{file}: series {series}",
                    found,
                    "a release_date after the last day of the period",
                    "Give the day of publication (of consumer prices about the 12th of the following month).",
                )
            )
    line = f"{len(looked)} series, none released before its period ended"
    return CheckResult(RELEASES, line, tuple(alarms)) if looked else skipped(RELEASES, "not run: too few releases")


def _spacing(days: pd.DatetimeIndex) -> float:
    """Median number of days between neighbouring dates."""
    unique = days.unique().sort_values()
    return float(np.median(np.diff(unique.to_numpy()).astype("timedelta64[D]").astype(int))) if len(unique) > 1 else 0.0


def _ends(periods: pd.DatetimeIndex, spacing: float) -> pd.DatetimeIndex:
    """Last day of each period, from its first day and the number of days between periods."""
    if spacing < 6:
        return periods
    if spacing < 25:
        return periods + pd.Timedelta(days=round(spacing) - 1)
    months = 1 if spacing < 45 else 3 if spacing < 150 else 12
    return periods + pd.DateOffset(months=months) - pd.Timedelta(days=1)


def _against_period(rows: pd.DataFrame, released: pd.DatetimeIndex) -> str | None:
    """Text of an alarm where values are released before their period ends, else None."""
    periods = pd.DatetimeIndex(pd.to_datetime(rows["period"]))
    spacing = _spacing(periods)
    ends = _ends(periods, spacing)
    early = released < ends if spacing < 6 else released <= ends
    if early.mean() < 0.02:
        return None
    at = int(np.flatnonzero(early)[0])
    lead = int(np.median((ends[early] - released[early]).days))
    return (
        f"{early.sum():,} of {len(rows):,} values are released before their period ends, by {lead} days (median); "
        f"the first is of {periods[at]:%Y-%m-%d} to {ends[at]:%Y-%m-%d}, released {released[at]:%Y-%m-%d}"
    )


def _stamps(released: pd.DatetimeIndex) -> str | None:
    """Text of an alarm where all release dates are first days of a period, else None."""
    spacing = _spacing(released)
    first = released.day == 1
    monthly, quarterly = 25 < spacing < 45, 80 < spacing < 100
    if (monthly and first.mean() > 0.95) or (quarterly and (first & (released.month % 3 == 1)).mean() > 0.95):
        kind = "month" if monthly else "quarter"
        return (
            f"{first.sum():,} of {len(released):,} release dates are the first day of a {kind}: these are the "
            f"{kind}s that the values describe, not the days of publication"
        )
    return None


def early_news(bars: pd.DataFrame, news: pd.DataFrame, file: str = "news") -> CheckResult:
    """Find news columns that predict the next session's return better than the same day's or any later one's.

    News explains the return of its own day. Dated a day early, it predicts the next day's return and, unlike a
    forecast, hardly that of the day after.

    Args:
        bars: `ticker`, `date`, `close`, sorted by ticker and date.
        news: `ticker`, `date`, `sentiment`, `count`.
        file: name of the file, for messages.
    """
    closes = bars.pivot(index="date", columns="ticker", values="close")
    returns = closes / closes.shift(1) - 1.0
    columns = [name for name in ("sentiment", "count") if name in news]
    seen, alarms = [], []
    for name in columns:
        profile = {lag: _session_ic(news, name, returns.shift(-lag), size=name == "count") for lag in range(4)}
        seen.append(f"{name} {profile[1].value:+.3f} with the next day, {profile[0].value:+.3f} with its own")
        after = max(abs(profile[lag].value) for lag in (2, 3))
        rise = abs(profile[1].value) - max(abs(profile[0].value), 2 * after)
        if rise > _MIN_RISE and rise > _MIN_ERRORS * profile[1].error:
            alarms.append(
                Alarm(
                    NEWS,
                    f"{file}: {name}",
                    f"its rank correlation with returns is {profile[0].value:+.3f} on its own day, "
                    f"{profile[1].value:+.3f} a session later and {profile[2].value:+.3f} after two",
                    "no higher correlation one session later than on the day itself or afterwards",
                    "The rows seem to be dated a day early: give the day at whose close the news was known.",
                )
            )
    return CheckResult(NEWS, "; ".join(seen), tuple(alarms))


def _session_ic(news: pd.DataFrame, name: str, returns: pd.DataFrame, *, size: bool) -> Association:
    """IC of a news column with returns, joined by session and ticker; `size` takes absolute returns."""
    day = returns.index.get_indexer(pd.DatetimeIndex(news["date"]))
    column = returns.columns.get_indexer(pd.Index(news["ticker"]))
    there = (day >= 0) & (column >= 0)
    values = returns.to_numpy()[day[there], column[there]]
    score = news[name].to_numpy(dtype=np.float64)[there]
    return rank_ic(score, np.abs(values) if size else values, day[there].astype(np.int64))


def odd_bars(bars: pd.DataFrame, file: str = "bars") -> CheckResult:
    """Find opens and closes outside the range of their day: prices of another day, or adjusted differently."""
    alarms = []
    for name in ("open", "close"):
        outside = (bars[name] > bars["high"] * 1.002) | (bars[name] < bars["low"] * 0.998)
        if outside.mean() > 0.01:
            row = bars[outside].iloc[0]
            alarms.append(
                Alarm(
                    BARS,
                    f"{file}: {name}",
                    f"{outside.sum():,} of {len(bars):,} lie outside the day's low to high, the first "
                    f"{row['ticker']} {row['date']:%Y-%m-%d}: {row[name]:g} and {row['low']:g} to {row['high']:g}",
                    f"every {name} within the range of its day",
                    f"Check whether {name} is shifted by a day, or adjusted differently from high and low.",
                )
            )
    return CheckResult(BARS, f"{len(bars):,} bars, opens and closes within the range of their day", tuple(alarms))
