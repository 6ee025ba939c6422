"""Dates in the source files: values dated by their period, news dated too early, bars out of range."""

import numpy as np
import pandas as pd

from ste.features.association import Association, rank_ic
from ste.leakage.check_result import Alarm, CheckResult, skipped

RELEASES = "release dates"
NEWS = "news dates"
BARS = "bars"

_MIN_RELEASES = 8  # of a series
_MIN_RISE, _MIN_ERRORS = 0.06, 6.0  # of the correlation of news with the next return over that with other days


def early_releases(macro: pd.DataFrame, file: str = "macro") -> CheckResult:
    """Find monthly and quarterly series whose release dates are all first days of a period.

    Such dates are those of the periods that the values describe, which end before the values are published.

    Args:
        macro: `series`, `release_date`, `value`.
        file: name of the file, for messages.
    """
    alarms, looked = [], []
    for series, rows in macro.groupby("series", sort=True):
        if len(rows) < _MIN_RELEASES:
            continue
        looked.append(str(series))
        released = pd.DatetimeIndex(rows["release_date"])
        days = released.unique().sort_values()
        spacing = float(np.median(np.diff(days) / np.timedelta64(1, "D"))) if len(days) > 1 else 0.0
        if 25 < spacing < 45:
            kind, first = "month", released.day == 1
        elif 80 < spacing < 100:
            kind, first = "quarter", (released.day == 1) & (released.month % 3 == 1)
        else:
            continue
        if first.mean() > 0.95:
            alarms.append(
                Alarm(
                    RELEASES,
                    f"{file}: series {series}",
                    f"{first.sum():,} of {len(rows):,} release dates are the first day of a {kind}: these are the "
                    f"{kind}s that the values describe, not the days of publication",
                    "a release_date after the last day of the period",
                    "Give the day of publication (of consumer prices about the 12th of the following month).",
                )
            )
    line = f"{len(looked)} series, none dated by its period"
    return CheckResult(RELEASES, line, tuple(alarms)) if looked else skipped(RELEASES, "not run: too few releases")


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
