"""Bars and daily series on the wrong session: one ticker's bars, the volume, an index of volatility.

Returns of tickers of one market move together in the same session, volume and the size of the move belong to the same
session, and so does the change of a volatility index. Where the correlation is highest with the next session, the
series is dated a session early.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from ste.leakage.check_result import Alarm, CheckResult, skipped

SESSIONS = "sessions"
VOLUMES = "volumes"
SERIES = "daily series"

_MIN_SESSIONS = 120
_FALSE_ALARM = 1e-6
_MIN_TICKERS = 3
_MIN_MOVE = 0.10  # correlation of a ticker with the others one session apart
_MIN_OVER = 2.0  # times that of the same session
_MIN_VOLUME = 0.03  # excess of the volume's correlation with the next move over that with its own
_MIN_SERIES = 0.15

SMOOTHED = 20
"""Sessions before, over which volume and news are compared with their mean."""


def closes_by_day(bars: pd.DataFrame, column: str = "close") -> pd.DataFrame:
    """A column of the bars, float64 `[sessions, tickers]`."""
    return bars.pivot(index="date", columns="ticker", values=column).astype(np.float64)


def session_returns(bars: pd.DataFrame) -> pd.DataFrame:
    """Simple returns from close to close, `[sessions, tickers]`."""
    closes = closes_by_day(bars)
    return closes / closes.shift(1) - 1.0


def early_tickers(bars: pd.DataFrame, file: str = "bars") -> CheckResult:
    """Find tickers whose returns move with the next session of the others, and note those that follow a session late.

    Args:
        bars: `ticker`, `date`, `close`, sorted by ticker and date.
        file: name of the file, for messages.
    """
    returns = session_returns(bars)
    if returns.shape[1] < _MIN_TICKERS or len(returns) < _MIN_SESSIONS:
        return skipped(SESSIONS, f"not run: needs {_MIN_TICKERS} tickers and {_MIN_SESSIONS} sessions")
    ranked = _standard(returns)
    others = _mean_of_others(ranked)
    seen = {lag: _correlations(ranked, np.roll(others, -lag, axis=0), lag) for lag in (-1, 0, 1)}
    n = np.isfinite(ranked).sum(axis=0)
    bound = float(norm.isf(_FALSE_ALARM / (2 * returns.shape[1]))) / np.sqrt(np.maximum(n - 3, 1))
    usual = float(np.nanmedian(seen[0]))
    alarms, notes = [], []
    for at, ticker in enumerate(returns.columns):
        same, early, late = (float(seen[lag][at]) for lag in (0, 1, -1))
        limit = max(_MIN_MOVE, float(bound[at]), 0.4 * usual)
        if n[at] < _MIN_SESSIONS or max(early, late) < limit or max(early, late) < _MIN_OVER * abs(same):
            continue
        words = f"{same:+.2f} with that of the others in the same session, {early:+.2f} with their next session's"
        if early > late:
            alarms.append(_early_ticker(f"{file}: {ticker}", words))
        else:
            notes.append(
                f"{ticker}: the correlation of its return is {words} and {late:+.2f} with their session before: its "
                "bars are dated a session late, or its exchange closes before theirs."
            )
    line = f"{returns.shape[1]} tickers, median correlation {usual:.2f} with the others' same session"
    return CheckResult(SESSIONS, line, tuple(alarms), tuple(notes))


def _early_ticker(where: str, words: str) -> Alarm:
    return Alarm(
        SESSIONS,
        where,
        f"the correlation of its return is {words}",
        "the highest correlation in the same session",
        "Check the dates of its bars: a session early (a time zone, a date of the bar's end), or another exchange that "
        "closes later than the others; give them the date at whose close they were known.",
    )


def _standard(returns: pd.DataFrame) -> np.ndarray:
    """Returns in deviations of their ticker, clipped at 4, `[sessions, tickers]`."""
    values = returns.to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(values / np.nanstd(values, axis=0), -4.0, 4.0)


def _mean_of_others(values: np.ndarray) -> np.ndarray:
    """Mean of the other tickers in each session, `[sessions, tickers]`; NaN with fewer than two."""
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    count = there.sum(axis=1, keepdims=True) - there
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count >= 2, (filled.sum(axis=1, keepdims=True) - filled) / count, np.nan)


def _correlations(a: np.ndarray, b: np.ndarray, lag: int) -> np.ndarray:
    """Correlation of each column of two arrays `[sessions, tickers]`, of which `b` was rolled by `lag`."""
    rows = slice(None, -lag) if lag > 0 else slice(-lag, None)
    a, b = a[rows], b[rows]
    known = np.isfinite(a) & np.isfinite(b)
    n = np.maximum(known.sum(axis=0), 1)
    a, b = (np.where(known, v - np.where(known, v, 0.0).sum(axis=0) / n, 0.0) for v in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num((a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0)))


def early_volumes(bars: pd.DataFrame, file: str = "bars") -> CheckResult:
    """Find volumes that belong to the size of the next session's move, for all tickers or some.

    Args:
        bars: `ticker`, `date`, `close`, `volume`, sorted by ticker and date.
        file: name of the file, for messages.
    """
    returns = session_returns(bars)
    if len(returns) < _MIN_SESSIONS:
        return skipped(VOLUMES, f"not run: needs {_MIN_SESSIONS} sessions")
    traded = closes_by_day(bars, "volume")
    volume = traded.where(traded > 0).transform(np.log)
    churn = (volume - volume.shift(1).rolling(SMOOTHED, min_periods=5).mean()).to_numpy()
    size = returns.abs().where(returns != 0).transform(np.log).clip(-12.0, 0.0).to_numpy()
    same, early = (_correlations(churn, np.roll(size, -lag, axis=0), lag) for lag in (0, 1))
    n = (np.isfinite(churn) & np.isfinite(size)).sum(axis=0)
    bound = float(norm.isf(_FALSE_ALARM / len(n))) * np.sqrt(2.0 / np.maximum(n - 3, 1))
    known = n >= _MIN_SESSIONS
    loud = known & (early - same > np.maximum(bound, _MIN_VOLUME))
    weight = n * known / max((n * known).sum(), 1)
    all_same, all_early = float(same @ weight), float(early @ weight)
    line = (
        f"correlation of volume and size of the move {all_same:+.2f} in the same session, {all_early:+.2f} in the next"
    )
    error = np.sqrt(2.0 / max((n * known).sum(), 1))
    together = all_early - all_same > max(_MIN_VOLUME, 6 * error)
    if not together and not loud.any():
        return CheckResult(VOLUMES, line)
    names = returns.columns[loud]
    who = "volume" if together else f"volume of {', '.join(map(str, names[:5]))}"
    alarm = Alarm(
        VOLUMES,
        f"{file}: {who}",
        f"the {line}" if together else f"of {len(names)} tickers, the {_profile(same, early, loud)}",
        "the highest correlation in the same session: volume and volatility come together",
        "The volumes seem to be those of the next session: shift them by a row within their ticker.",
    )
    return CheckResult(VOLUMES, line, (alarm,))


def _profile(same: np.ndarray, early: np.ndarray, which: np.ndarray) -> str:
    return (
        f"correlation of volume and size of the move is {same[which].mean():+.2f} in the same session, "
        f"{early[which].mean():+.2f} in the next"
    )


def early_series(bars: pd.DataFrame, macro: pd.DataFrame, file: str = "macro") -> CheckResult:
    """Find daily series whose changes belong to the market's next session.

    Args:
        bars: `ticker`, `date`, `close`, sorted by ticker and date.
        macro: `series`, `release_date`, `value`.
        file: name of the file, for messages.
    """
    market = session_returns(bars).mean(axis=1)
    alarms, looked = [], []
    for series, rows in macro.groupby("series", sort=True):
        values = rows.drop_duplicates("release_date", keep="last").set_index("release_date")["value"].sort_index()
        values = values.reindex(market.index)
        change = values.diff()
        if (change.notna() & (change != 0)).sum() < max(_MIN_SESSIONS, 0.5 * len(market)):
            continue
        seen = {lag: float(change.corr(market.shift(-lag), method="spearman")) for lag in (0, 1, 2)}
        looked.append(f"{series} {seen[0]:+.2f} with its own session, {seen[1]:+.2f} with the next")
        rise = abs(seen[1]) - max(abs(seen[0]), 2 * abs(seen[2]))
        if rise > _MIN_SERIES and rise > 6 * np.sqrt(2.0 / len(market)):
            alarms.append(
                Alarm(
                    SERIES,
                    f"{file}: series {series}",
                    f"its changes have a correlation of {seen[0]:+.2f} with the market's return of the same session, "
                    f"{seen[1]:+.2f} with the next session's and {seen[2]:+.2f} with the one after",
                    "no higher correlation one session later",
                    f"The values of {series} seem to be dated a session early: give the day at whose close they were "
                    "known.",
                )
            )
    if not looked:
        return skipped(SERIES, "not run: no series changes daily")
    return CheckResult(SERIES, "; ".join(looked), tuple(alarms))
