"""What files of a market say of themselves: figures released before their period ended, news of tomorrow."""

import numpy as np
import pandas as pd

from ste.leakage.association import Association, rank_ic
from ste.leakage.check_result import Alarm, CheckResult, skipped

RELEASES = "release dates"
NEWS = "news dates"
BARS = "bars"

_FEWEST = 8  # releases that a statement about a series needs
_PEAK, _CHANCE = 0.06, 6.0  # of the correlation of news with a day's return, over the days after it


def early_releases(macro: pd.DataFrame, file: str = "macro") -> CheckResult:
    """Series whose figures enter before the period they describe has ended.

    Args:
        macro: `series`, `release_date`, `value` and, where there is one, `period`, the first day that a figure
            describes. Without it, a monthly or quarterly series whose dates are all first days of the
            period is taken for one dated by its period.
        file: for the messages.
    """
    alarms, looked = [], []
    for series, rows in macro.groupby("series", sort=True):
        if len(rows) < _FEWEST:
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
                    "a release_date after the last day that the figure describes",
                    "Give the day of publication (of consumer prices about the 12th of the month after).",
                )
            )
    line = f"{len(looked)} series, none released before its period ended"
    return CheckResult(RELEASES, line, tuple(alarms)) if looked else skipped(RELEASES, "not run: too few releases")


def _spacing(days: pd.DatetimeIndex) -> float:
    """Typical days between neighbouring dates."""
    unique = days.unique().sort_values()
    return float(np.median(np.diff(unique.to_numpy()).astype("timedelta64[D]").astype(int))) if len(unique) > 1 else 0.0


def _ends(periods: pd.DatetimeIndex, spacing: float) -> pd.DatetimeIndex:
    """Last day of each period, given its first day and how far periods lie apart."""
    if spacing < 6:
        return periods
    if spacing < 25:
        return periods + pd.Timedelta(days=round(spacing) - 1)
    months = 1 if spacing < 45 else 3 if spacing < 150 else 12
    return periods + pd.DateOffset(months=months) - pd.Timedelta(days=1)


def _against_period(rows: pd.DataFrame, released: pd.DatetimeIndex) -> str | None:
    periods = pd.DatetimeIndex(pd.to_datetime(rows["period"]))
    spacing = _spacing(periods)
    ends = _ends(periods, spacing)
    early = released < ends if spacing < 6 else released <= ends
    if early.mean() < 0.02:
        return None
    at = int(np.flatnonzero(early)[0])
    lead = int(np.median((ends[early] - released[early]).days))
    return (
        f"{early.sum():,} of {len(rows):,} figures are released before their period ends, {lead} days in the middle; "
        f"the first is of {periods[at]:%Y-%m-%d} to {ends[at]:%Y-%m-%d}, released {released[at]:%Y-%m-%d}"
    )


def _stamps(released: pd.DatetimeIndex) -> str | None:
    spacing = _spacing(released)
    first = released.day == 1
    monthly, quarterly = 25 < spacing < 45, 80 < spacing < 100
    if (monthly and first.mean() > 0.95) or (quarterly and (first & (released.month % 3 == 1)).mean() > 0.95):
        kind = "month" if monthly else "quarter"
        return (
            f"{first.sum():,} of {len(released):,} release dates are the first day of a {kind}: these are the "
            f"{kind}s that the figures describe, not the days on which they were published"
        )
    return None


def news_of_tomorrow(bars: pd.DataFrame, news: pd.DataFrame, file: str = "news") -> CheckResult:
    """News whose sentiment tells the next session's return better than the same day's or any later one's.

    News explains the day it falls on. Dated a day early, it tells the next day's return and, what no
    forecast does, hardly that of the day after.

    Args:
        bars: `ticker`, `date`, `close`, sorted by ticker and date.
        news: `ticker`, `date`, `sentiment`, or further numeric columns instead.
        file: for the messages.
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
        if rise > _PEAK and rise > _CHANCE * profile[1].error:
            alarms.append(
                Alarm(
                    NEWS,
                    f"{file}: {name}",
                    f"its rank correlation with returns is {profile[0].value:+.3f} on its own day, "
                    f"{profile[1].value:+.3f} a session later and {profile[2].value:+.3f} after two",
                    "no more a session later than on the day itself or after it",
                    "The rows seem dated a day early: give the day at whose close the news was known.",
                )
            )
    return CheckResult(NEWS, "; ".join(seen), tuple(alarms))


def _session_ic(news: pd.DataFrame, name: str, returns: pd.DataFrame, *, size: bool) -> Association:
    """IC of a news column with the returns of the session that a row's date is, by session and ticker."""
    day = returns.index.get_indexer(pd.DatetimeIndex(news["date"]))
    who = returns.columns.get_indexer(pd.Index(news["ticker"]))
    there = (day >= 0) & (who >= 0)
    values = returns.to_numpy()[day[there], who[there]]
    score = news[name].to_numpy(dtype=np.float64)[there]
    return rank_ic(score, np.abs(values) if size else values, day[there].astype(np.int64))


def odd_bars(bars: pd.DataFrame, file: str = "bars") -> CheckResult:
    """Closes and opens outside their day's range: prices of another day, or of another adjustment."""
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
                    f"every {name} within its own day",
                    f"Look whether {name} is shifted by a day, or adjusted on another scale than high and low.",
                )
            )
    return CheckResult(BARS, f"{len(bars):,} bars, opens and closes within their day", tuple(alarms))
