"""The 21 features of the weekly table, computed from daily sources with the past alone.

Indicators are TA-Lib's. They are computed per ticker on its own bars and read at each week's last
session. TA-Lib's recursive indicators (RSI, MACD) forget where a series starts only slowly, so a row
is emitted after `LOOKBACK` sessions: by then the start weighs less than 0.5 %.
"""

import numpy as np
import pandas as pd
import talib

from ste.data.calendar import last_session_of_week, week_numbers
from ste.data.market import MACRO_NEUTRAL, Market
from ste.schema import FEATURES, GROUPS, KEYS

LOOKBACK = 100
"""Sessions of a ticker's own bars, this week's included, that a row needs."""

VOLATILITY = "volatility"
"""Auxiliary column: standard deviation of 20 daily log returns times sqrt(5), a weekly figure."""

WEEK = "week"
"""Auxiliary column: the number of the row's week (`calendar.week_numbers`)."""


def weekly_features(market: Market) -> pd.DataFrame:
    """Feature rows of every ticker and week, without labels.

    Args:
        market: daily sources; bars sorted by ticker and date.

    Returns:
        `date`, `ticker`, the 21 features, `week` and `volatility`, sorted by ticker and date. A row
        exists where the ticker traded on the week's last session and has `LOOKBACK` bars by then.
    """
    rows = _stock_features(market.bars)
    rows = rows.join(news_features(rows, market.news))
    rows = rows.join(_macro_features(rows, market.macro))
    rows = rows.join(_policy_features(rows, market.policy))
    return rows[[*KEYS, *FEATURES, WEEK, VOLATILITY]]


def _stock_features(bars: pd.DataFrame) -> pd.DataFrame:
    tickers = bars["ticker"].to_numpy()
    week = week_numbers(bars["date"])
    new_ticker = np.append(True, tickers[1:] != tickers[:-1])
    starts = np.flatnonzero(new_ticker)
    stops = np.append(starts[1:], len(bars))

    close = np.ascontiguousarray(bars["close"], dtype=np.float64)
    daily = np.full((7, len(bars)), np.nan)
    for a, b in zip(starts, stops, strict=True):
        if b - a >= LOOKBACK:
            daily[:, a:b] = _indicators(close[a:b])
    age = np.arange(len(bars)) - np.repeat(starts, stops - starts) + 1

    # One segment per ticker and week; a segment's last bar carries the row.
    first = np.flatnonzero(new_ticker | np.append(True, week[1:] != week[:-1]))
    last = np.append(first[1:], len(bars)) - 1
    rows = pd.DataFrame(
        {
            "date": bars["date"].to_numpy()[last],
            "ticker": tickers[last],
            WEEK: week[last],
            "stock_open": bars["open"].to_numpy()[first],
            "stock_high": np.maximum.reduceat(bars["high"].to_numpy(), first),
            "stock_low": np.minimum.reduceat(bars["low"].to_numpy(), first),
            "stock_close": close[last],
            "stock_volume": np.add.reduceat(bars["volume"].to_numpy(dtype=np.float64), first),
            **dict(
                zip((*GROUPS["stock"][5:], VOLATILITY), daily[:, last], strict=True),
            ),
        }
    )
    on_time = rows["date"].to_numpy() == last_session_of_week(pd.DatetimeIndex(rows["date"])).to_numpy()
    return rows[on_time & (age[last] >= LOOKBACK)].reset_index(drop=True)


def _indicators(close: np.ndarray) -> np.ndarray:
    """SMA 20, SMA 50, RSI, MACD, upper and lower band, weekly volatility: float64 `[7, N]`."""
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    macd, _, _ = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    returns = np.diff(np.log(close), prepend=np.nan)
    volatility = np.full_like(close, np.nan)
    volatility[1:] = talib.STDDEV(returns[1:], timeperiod=20) * np.sqrt(5)
    return np.stack([middle, talib.SMA(close, 50), talib.RSI(close, 14), macd, upper, lower, volatility])


def news_features(rows: pd.DataFrame, news: pd.DataFrame | None) -> pd.DataFrame:
    """Count, and count-weighted sentiment and relevance, of each row's calendar week up to its close.

    News dated after the week's last session (a weekend) counts for the next week.
    """
    out = pd.DataFrame(0.0, index=rows.index, columns=list(GROUPS["news"]))
    if news is None or news.empty:
        return out
    weighted = pd.DataFrame(
        {
            "ticker": news["ticker"],
            WEEK: _week_known(news["date"]),
            "news_count": news["count"].astype(float),
            "news_sentiment": news["sentiment"] * news["count"],
            "news_relevance": news["relevance"] * news["count"],
        }
    )
    sums = weighted.groupby(["ticker", WEEK]).sum()
    found = sums.reindex(pd.MultiIndex.from_frame(rows[["ticker", WEEK]])).fillna(0.0)
    count = found["news_count"].to_numpy()
    out["news_count"] = count
    for name in ("news_sentiment", "news_relevance"):
        out[name] = found[name].to_numpy() / np.maximum(count, 1.0)
    return out


def _macro_features(rows: pd.DataFrame, macro: pd.DataFrame | None) -> pd.DataFrame:
    """Latest release of each series on or before the row's date; the neutral value before the first."""
    out = pd.DataFrame(index=rows.index)
    dates = rows["date"].to_numpy()
    for column in GROUPS["macro"]:
        series = column.removeprefix("macro_")
        releases = None if macro is None else macro[macro["series"] == series]
        if releases is None or releases.empty:
            out[column] = MACRO_NEUTRAL[series]
            continue
        releases = releases.sort_values("release_date", kind="stable")
        at = np.searchsorted(releases["release_date"].to_numpy(), dates, side="right") - 1
        values = releases["value"].to_numpy(dtype=np.float64)
        out[column] = np.where(at >= 0, values[np.maximum(at, 0)], MACRO_NEUTRAL[series])
    return out


def _policy_features(rows: pd.DataFrame, policy: pd.DataFrame | None) -> pd.DataFrame:
    """Number and summed impact of the events of each row's week up to its close."""
    out = pd.DataFrame(0.0, index=rows.index, columns=list(GROUPS["policy"]))
    if policy is None or policy.empty:
        return out
    by_week = policy["impact"].astype(float).groupby(_week_known(policy["date"]))
    out["policy_event_count"] = by_week.size().reindex(rows[WEEK]).fillna(0.0).to_numpy(dtype=np.float64)
    out["policy_impact_score"] = by_week.sum().reindex(rows[WEEK]).fillna(0.0).to_numpy()
    return out


def _week_known(dates: pd.Series) -> np.ndarray:
    """The week whose last session is the first at or after each date, int64 `[N]`."""
    days = pd.DatetimeIndex(dates)
    late = days.to_numpy() > last_session_of_week(days).to_numpy()
    return week_numbers(days) + late
