"""News that is dated a session early: for all tickers and days, on one weekday, or of one ticker."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from ste.features.association import Association, rank_ic
from ste.leakage.bar_timing import SMOOTHED, closes_by_day, session_returns
from ste.leakage.check_result import Alarm, CheckResult

NEWS = "news dates"

_MIN_RISE, _MIN_ERRORS = 0.06, 6.0  # of the correlation of news with the next return over that with other days
_NOTED = 1.5  # errors by which the interest in a stock rises a session after its news, for a note
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EMPTY, _DOUBLE = 0.1, 1.5  # news of a weekday over that of the others
_CLEAR = 0.97  # largest news of a quiet day over the least of another
_MIN_NEWS = 60  # of a ticker
_MIN_OWN_RISE = 0.25
_FALSE_ALARM = 1e-5


def early_news(bars: pd.DataFrame, news: pd.DataFrame, file: str = "news") -> CheckResult:
    """Find news that explains the next session better than its own or any later one.

    News explains the return of its own day. Dated a day early, it predicts the next day's return and, unlike a
    forecast, hardly that of the day after.

    Args:
        bars: `ticker`, `date`, `close`, sorted by ticker and date.
        news: `ticker`, `date`, `sentiment`, `count`.
        file: name of the file, for messages.
    """
    returns = session_returns(bars)
    columns = [name for name in ("sentiment", "count") if name in news]
    seen, alarms = [], []
    weekdays = pd.DatetimeIndex(news["date"]).day_of_week.to_numpy()
    for name in columns:
        profile = _profile(news, name, returns)
        seen.append(f"{name} {profile[1].value:+.3f} with the next day, {profile[0].value:+.3f} with its own")
        if _early(profile):
            alarms.append(_alarm(f"{file}: {name}", profile))
            continue
        for day in np.unique(weekdays):
            own = _profile(news[weekdays == day], name, returns)
            if _early(own):
                alarms.append(_alarm(f"{file}: {name} of {_WEEKDAYS[day]}s", own))
        alarms += _tickers(news, name, returns, file)
    alarms += _calendar(news, weekdays, file)
    notes = () if alarms or "volume" not in bars else tuple(_interest(bars, news, returns))
    return CheckResult(NEWS, "; ".join(seen), tuple(alarms), notes)


def _profile(news: pd.DataFrame, name: str, returns: pd.DataFrame) -> dict[int, Association]:
    """IC of a news column with the returns of its own session and of three later ones; counts with their size."""
    return {lag: _session_ic(news, name, returns.shift(-lag), size=name == "count") for lag in range(4)}


def _early(profile: dict[int, Association]) -> bool:
    after = max(abs(profile[lag].value) for lag in (2, 3))
    rise = abs(profile[1].value) - max(abs(profile[0].value), 2 * after)
    return rise > _MIN_RISE and rise > _MIN_ERRORS * profile[1].error


def _alarm(where: str, profile: dict[int, Association]) -> Alarm:
    return Alarm(
        NEWS,
        where,
        f"its rank correlation with returns is {profile[0].value:+.3f} on its own day, "
        f"{profile[1].value:+.3f} a session later and {profile[2].value:+.3f} after two",
        "no higher correlation one session later than on the day itself or afterwards",
        "The rows seem to be dated a day early: give the day at whose close the news was known.",
    )


def _session_ic(news: pd.DataFrame, name: str, returns: pd.DataFrame, *, size: bool) -> Association:
    """IC of a news column with returns, joined by session and ticker; `size` takes absolute returns."""
    day, column, there = _places(news, returns)
    values = returns.to_numpy()[day[there], column[there]]
    score = news[name].to_numpy(dtype=np.float64)[there]
    if not len(score):
        return Association(0.0, 1.0, np.empty(0))
    return rank_ic(score, np.abs(values) if size else values, day[there].astype(np.int64))


def _places(news: pd.DataFrame, returns: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position of each row's session and ticker among the returns, and whether both are there."""
    day = returns.index.get_indexer(pd.DatetimeIndex(news["date"]))
    column = returns.columns.get_indexer(pd.Index(news["ticker"]))
    return day, column, (day >= 0) & (column >= 0)


def _tickers(news: pd.DataFrame, name: str, returns: pd.DataFrame, file: str) -> Iterator[Alarm]:
    """Tickers whose own news explains their next session over time, and not its own."""
    day, column, there = _places(news, returns)
    values = returns.to_numpy()
    score = news[name].to_numpy(dtype=np.float64)
    bound = float(norm.isf(_FALSE_ALARM / (2 * returns.shape[1])))
    for ticker in np.unique(column[there]):
        own = there & (column == ticker) & (day + 2 < len(values))
        seen = {}
        for lag in range(3):
            moves = values[day[own] + lag, ticker]
            known = np.isfinite(moves) & np.isfinite(score[own])
            moves = np.abs(moves[known]) if name == "count" else moves[known]
            seen[lag] = _spearman(score[own][known], moves), len(moves)
        rise = abs(seen[1][0]) - max(abs(seen[0][0]), 2 * abs(seen[2][0]))
        if rise > _MIN_OWN_RISE and rise * np.sqrt(max(seen[1][1] - 3, 1) / 2) > bound:
            profile = {lag: Association(value, 1.0, np.empty(0)) for lag, (value, _) in seen.items()}
            yield _alarm(f"{file}: {name} of {returns.columns[ticker]}", profile)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < _MIN_NEWS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _calendar(news: pd.DataFrame, weekdays: np.ndarray, file: str) -> list[Alarm]:
    """Alarms for a weekday whose news lies on the one before, and for a weekend of news on Friday and Saturday."""
    counts = news["count"].to_numpy(dtype=np.float64) if "count" in news else np.ones(len(news))
    total = np.bincount(weekdays, np.nan_to_num(counts), minlength=7)
    if len(news) < 500 or total.sum() <= 0:
        return []
    for day in range(5):
        before = (day - 1) % 5
        others = np.delete(total[:5], [day, before]).mean()
        if total[day] < _EMPTY * others and total[before] > _DOUBLE * others:
            seen = f"{_WEEKDAYS[before]}s have {total[before] / others:.1f} times the news of other days, "
            seen += f"{_WEEKDAYS[day]}s {total[day] / others:.2f} times"
            return [_dated_early(file, f"news of {_WEEKDAYS[day]}s", seen)]
    if total[5:].min() > 0 and max(total[4], total[5]) < _CLEAR * min(total[6], *total[:4]):
        quiet = total[4:6].sum() / total.sum()
        seen = f"the two quiet days of the week are Friday and Saturday ({quiet:.0%} of the news), not the weekend"
        return [_dated_early(file, "dates", seen)]
    return []


def _dated_early(file: str, what: str, seen: str) -> Alarm:
    return Alarm(
        NEWS,
        f"{file}: {what}",
        seen,
        "news on every weekday, and the least at weekends",
        "The rows seem to be dated a day early (a time zone, or a join to the session before): give the day at whose "
        "close the news was known.",
    )


def _interest(bars: pd.DataFrame, news: pd.DataFrame, returns: pd.DataFrame) -> Iterator[str]:
    """A note where more news than usual comes with volume a session later rather than in its own."""
    if "count" not in news:
        return
    volume = closes_by_day(bars, "volume")
    volume = volume.where(volume > 0).transform(np.log)
    counts = news.pivot_table(index="date", columns="ticker", values="count", aggfunc="sum", observed=True)
    span = returns.index[(returns.index >= counts.index.min()) & (returns.index <= counts.index.max())]
    counts = counts.reindex(index=span, columns=returns.columns).fillna(0.0).transform(np.log1p)
    x = _surprise(counts)
    seen = {}
    for lag in (0, 1):
        y = _surprise(volume).shift(-lag).reindex(span)
        a, b = (v.sub(v.mean(axis=1), axis=0).to_numpy() for v in (x, y))
        known = np.isfinite(a) & np.isfinite(b)
        if known.sum() < 1000:
            return
        seen[lag] = float(np.corrcoef(rankdata(a[known]), rankdata(b[known]))[0, 1])
    error = np.sqrt(2.0 / known.sum())
    if seen[1] - seen[0] > _NOTED * error and seen[1] > 5 * error:
        yield (
            f"news: more of it than usual comes with volume one session later (correlation {seen[1]:+.3f}) and not in "
            f"its own ({seen[0]:+.3f}): the rows may be dated a day early"
        )


def _surprise(values: pd.DataFrame) -> pd.DataFrame:
    """Values less their mean over the sessions before."""
    return values - values.shift(1).rolling(SMOOTHED, min_periods=5).mean()
