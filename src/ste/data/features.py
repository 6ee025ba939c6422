"""The features of a table, computed from daily sources with the past alone.

Indicators are TA-Lib's. They are computed per ticker on its own bars and read at each period's last
session: a week's, or with daily rows each session.
"""

import numpy as np
import pandas as pd
import talib

from ste.data.calendar import last_session_of_week, periods, session_numbers, week_numbers
from ste.data.market import MACRO_NEUTRAL, RAW_CLOSE, Market
from ste.schema import FEATURE_SETS, GROUPS, KEYS

VOLATILITY = "volatility"
"""Auxiliary column: standard deviation of 20 daily log returns, times sqrt(5) in weekly rows."""

CLOSE = "close"
"""Auxiliary column: the adjusted close of the period's last session, dollars, for the labels."""

NUMBER = "period"
"""Auxiliary column: the number of the row's week or session (`calendar.periods`)."""


def feature_rows(market: Market, frequency: str = "weekly", features: str = "full") -> pd.DataFrame:
    """Feature rows of every ticker and period, without labels.

    Args:
        market: daily sources; bars sorted by ticker and date.
        frequency: `weekly` or `daily`.
        features: name of the feature set.

    Returns:
        `date`, `ticker`, the features, `period`, `close` and `volatility`, sorted by ticker and date. A row
        exists where the ticker traded on the period's last session and has the set's look-back of bars by then.
    """
    bars = market.bars
    lookback = FEATURE_SETS[features].lookback
    number = periods(bars["date"], frequency)
    # One segment per ticker and period; a segment's last bar carries the row.
    starts = ticker_starts(bars)
    first = np.union1d(starts, np.flatnonzero(np.diff(number)) + 1)
    last = np.append(first[1:], len(bars)) - 1
    age = np.arange(len(bars)) - np.repeat(starts, np.diff(np.append(starts, len(bars)))) + 1
    rows = bars[["date", "ticker", "close"]].iloc[last].reset_index(drop=True).assign(**{NUMBER: number[last]})
    if features == "full":
        stock = _stock_features(bars, starts, first, last, lookback)
    else:
        stock = _price_features(bars, starts, lookback).iloc[last]
    stock.index = rows.index
    stock[VOLATILITY] *= np.sqrt(5.0) if frequency == "weekly" else 1.0
    rows = rows.join(stock)
    keep = age[last] >= lookback
    if frequency == "weekly":
        keep &= rows["date"].to_numpy() == last_session_of_week(pd.DatetimeIndex(rows["date"])).to_numpy()
    rows = rows[keep].reset_index(drop=True)
    if features == "full":
        rows = rows.join(news_features(rows, market.news, frequency))
        rows = rows.join(_macro_features(rows, market.macro))
        rows = rows.join(_policy_features(rows, market.policy, frequency))
    return rows[[*KEYS, *FEATURE_SETS[features].names, NUMBER, CLOSE, VOLATILITY]]


def ticker_starts(frame: pd.DataFrame) -> np.ndarray:
    """First row of each ticker in a frame sorted by ticker, int64."""
    tickers = frame["ticker"].to_numpy()
    return np.flatnonzero(np.append(True, tickers[1:] != tickers[:-1]))


def _stock_features(
    bars: pd.DataFrame, starts: np.ndarray, first: np.ndarray, last: np.ndarray, lookback: int
) -> pd.DataFrame:
    """The 11 stock columns and the volatility of each segment `first[i]` to `last[i]`."""
    close = np.ascontiguousarray(bars["close"], dtype=np.float64)
    daily = np.full((7, len(bars)), np.nan)
    for a, b in zip(starts, np.append(starts[1:], len(bars)), strict=True):
        if b - a >= lookback:
            daily[:, a:b] = _indicators(close[a:b])
    return pd.DataFrame(
        {
            "stock_open": bars["open"].to_numpy()[first],
            "stock_high": np.maximum.reduceat(bars["high"].to_numpy(), first),
            "stock_low": np.minimum.reduceat(bars["low"].to_numpy(), first),
            "stock_close": close[last],
            "stock_volume": np.add.reduceat(bars["volume"].to_numpy(dtype=np.float64), first),
            **dict(zip((*GROUPS["stock"][5:], VOLATILITY), daily[:, last], strict=True)),
        }
    )


def _indicators(close: np.ndarray) -> np.ndarray:
    """SMA 20, SMA 50, RSI, MACD, upper and lower band, daily volatility: float64 `[7, N]`."""
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    macd, _, _ = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    returns = np.diff(np.log(close), prepend=np.nan)
    volatility = np.full_like(close, np.nan)
    volatility[1:] = talib.STDDEV(returns[1:], timeperiod=20)
    return np.stack([middle, talib.SMA(close, 50), talib.RSI(close, 14), macd, upper, lower, volatility])


def _price_features(bars: pd.DataFrame, starts: np.ndarray, lookback: int) -> pd.DataFrame:
    """The 11 price features of Feng et al. (2019), table 1, and the volatility, of every bar.

    Ratios within a day are the same on the adjusted scale and as traded; `price_change` is as traded where
    the bars tell (`RAW_CLOSE`).
    """
    close = np.ascontiguousarray(bars["close"], dtype=np.float64)
    raw = np.ascontiguousarray(bars.get(RAW_CLOSE, close), dtype=np.float64)
    names = FEATURE_SETS["prices"].names
    daily = np.full((len(names) + 1, len(bars)), np.nan)
    for i, name in enumerate(("open", "high", "low")):
        daily[i] = bars[name].to_numpy(dtype=np.float64) / close - 1.0
    for a, b in zip(starts, np.append(starts[1:], len(bars)), strict=True):
        if b - a < lookback:
            continue
        daily[3, a + 1 : b] = raw[a + 1 : b] / raw[a : b - 1] - 1.0
        daily[4, a + 1 : b] = close[a + 1 : b] / close[a : b - 1] - 1.0
        for i, name in enumerate(names[5:], start=5):
            daily[i, a:b] = talib.SMA(close[a:b], int(name.rsplit("_", 1)[1])) / close[a:b] - 1.0
        daily[-1, a + 1 : b] = talib.STDDEV(np.diff(np.log(close[a:b])), timeperiod=20)
    return pd.DataFrame(daily.T, columns=[*names, VOLATILITY])


def news_features(rows: pd.DataFrame, news: pd.DataFrame | None, frequency: str = "weekly") -> pd.DataFrame:
    """Count, and count-weighted sentiment and relevance, of each row's period up to its close.

    News dated after a period's last session (a weekend) counts for the next one.
    """
    out = pd.DataFrame(0.0, index=rows.index, columns=list(GROUPS["news"]))
    if news is None or news.empty:
        return out
    # Of groups in order pandas takes np.add.reduceat: sums to the last bit the same in any order of the file.
    news = news.sort_values(["ticker", "date"], kind="stable")
    weighted = pd.DataFrame(
        {
            "ticker": news["ticker"],
            NUMBER: _period_known(news["date"], frequency),
            "news_count": news["count"].astype(float),
            "news_sentiment": news["sentiment"] * news["count"],
            "news_relevance": news["relevance"] * news["count"],
        }
    )
    sums = weighted.groupby(["ticker", NUMBER]).sum()
    found = sums.reindex(pd.MultiIndex.from_frame(rows[["ticker", NUMBER]])).fillna(0.0)
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
        known = latest_release(macro, series, dates)
        out[column] = MACRO_NEUTRAL[series] if known is None else known
    return out


def latest_release(macro: pd.DataFrame | None, series: str, dates: np.ndarray) -> np.ndarray | None:
    """A series' latest value on or before each date, float64 `[N]`, its neutral one before the first; None without."""
    releases = None if macro is None else macro[macro["series"] == series]
    if releases is None or releases.empty:
        return None
    releases = releases.sort_values("release_date", kind="stable")
    at = np.searchsorted(releases["release_date"].to_numpy(), dates, side="right") - 1
    values = releases["value"].to_numpy(dtype=np.float64)
    return np.where(at >= 0, values[np.maximum(at, 0)], MACRO_NEUTRAL[series])


def _policy_features(rows: pd.DataFrame, policy: pd.DataFrame | None, frequency: str) -> pd.DataFrame:
    """Number and summed impact of the events of each row's period up to its close."""
    out = pd.DataFrame(0.0, index=rows.index, columns=list(GROUPS["policy"]))
    if policy is None or policy.empty:
        return out
    policy = policy.sort_values("date", kind="stable")
    events = policy["impact"].astype(float).groupby(_period_known(policy["date"], frequency))
    out["policy_event_count"] = events.size().reindex(rows[NUMBER]).fillna(0.0).to_numpy(dtype=np.float64)
    out["policy_impact_score"] = events.sum().reindex(rows[NUMBER]).fillna(0.0).to_numpy()
    return out


def _period_known(dates: pd.Series, frequency: str) -> np.ndarray:
    """The period whose last session is the first at or after each date, int64 `[N]`."""
    days = pd.DatetimeIndex(dates)
    if frequency == "daily":
        return session_numbers(days - pd.Timedelta(days=1)) + 1
    late = days.to_numpy() > last_session_of_week(days).to_numpy()
    return week_numbers(days) + late
