"""The features of a table, computed from daily sources with the past alone.

Indicators are TA-Lib's. They are computed per ticker on its own bars and read at each period's last
session: a week's, or with daily rows each session.
"""

from typing import Any

import numpy as np
import pandas as pd
import talib

from ste.market.calendar import last_session_of_week, periods, session_numbers, week_numbers
from ste.market.daily import MACRO_NEUTRAL, RAW_CLOSE, Market
from ste.market.ticker_groups import ticker_starts
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
    opens = np.append(True, np.diff(number) != 0)
    opens[starts] = True
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(bars)) - 1
    age = last - np.repeat(starts, np.diff(np.append(np.searchsorted(first, starts), len(first)))) + 1
    dates = bars["date"].to_numpy()[last]
    keep = age >= lookback
    if frequency == "weekly":
        keep &= dates == last_session_of_week(pd.DatetimeIndex(dates)).to_numpy()
    if features == "full":
        stock = _stock_features(bars, starts, first, last, keep, lookback)
    else:
        stock = _price_features(bars, starts, last[keep], lookback)
    last = last[keep]
    stock[VOLATILITY] *= np.sqrt(5.0) if frequency == "weekly" else 1.0
    keys = bars[["date", "ticker"]].iloc[last].reset_index(drop=True)
    found: dict[str, Any] = {"date": keys["date"], "ticker": keys["ticker"], NUMBER: number[last]}
    found |= stock | {CLOSE: bars["close"].to_numpy()[last]}
    rows = pd.DataFrame(found, copy=False)
    if features == "full":
        for more in (
            news_features(rows, market.news, frequency),
            _macro_features(rows, market.macro),
            _policy_features(rows, market.policy, frequency),
        ):
            found |= {str(name): more[name] for name in more}
        rows = pd.DataFrame(found, copy=False)
    return rows[[*KEYS, *FEATURE_SETS[features].names, NUMBER, CLOSE, VOLATILITY]]


def _stock_features(
    bars: pd.DataFrame, starts: np.ndarray, first: np.ndarray, last: np.ndarray, keep: np.ndarray, lookback: int
) -> dict[str, np.ndarray]:
    """The 11 stock columns and the volatility of the segments `first[i]` to `last[i]` that are kept."""
    close = np.ascontiguousarray(bars["close"], dtype=np.float64)
    daily = np.full((7, len(bars)), np.nan)
    for a, b in zip(starts, np.append(starts[1:], len(bars)), strict=True):
        if b - a >= lookback:
            daily[:, a:b] = _indicators(close[a:b])
    return {
        "stock_open": bars["open"].to_numpy(dtype=np.float64)[first[keep]],
        "stock_high": np.maximum.reduceat(bars["high"].to_numpy(dtype=np.float64), first)[keep],
        "stock_low": np.minimum.reduceat(bars["low"].to_numpy(dtype=np.float64), first)[keep],
        "stock_close": close[last[keep]],
        "stock_volume": np.add.reduceat(bars["volume"].to_numpy(dtype=np.float64), first)[keep],
        **{name: values[last[keep]] for name, values in zip((*GROUPS["stock"][5:], VOLATILITY), daily, strict=True)},
    }


def _indicators(close: np.ndarray) -> np.ndarray:
    """SMA 20, SMA 50, RSI, MACD, upper and lower band, daily volatility: float64 `[7, N]`."""
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    macd, _, _ = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    returns = np.diff(np.log(close), prepend=np.nan)
    volatility = np.full_like(close, np.nan)
    volatility[1:] = talib.STDDEV(returns[1:], timeperiod=20)
    return np.stack([middle, talib.SMA(close, 50), talib.RSI(close, 14), macd, upper, lower, volatility])


def _price_features(bars: pd.DataFrame, starts: np.ndarray, last: np.ndarray, lookback: int) -> dict[str, np.ndarray]:
    """The 11 price features of Feng et al. (2019), table 1, and the volatility, of the bars `last`.

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
    return {name: values[last] for name, values in zip((*names, VOLATILITY), daily, strict=True)}


def news_features(rows: pd.DataFrame, news: pd.DataFrame | None, frequency: str = "weekly") -> pd.DataFrame:
    """Count, and count-weighted sentiment and relevance, of each row's period up to its close.

    News dated after a period's last session (a weekend) counts for the next one.
    """
    out = pd.DataFrame(0.0, index=rows.index, columns=list(GROUPS["news"]))
    if news is None or news.empty or rows.empty:
        return out
    code, told = _shared_codes(rows["ticker"], news["ticker"])
    number, known = rows[NUMBER].to_numpy(), _period_known(news["date"], frequency)
    low, high = number.min(), number.max()
    ours = np.flatnonzero((told >= 0) & (known >= low) & (known <= high))
    # A group is a ticker's period; its sum is taken in the order of dates, whatever the order of the file.
    group = told[ours] * (high - low + 1) + known[ours] - low
    dates = news["date"].to_numpy()[ours]
    if ((group[1:] < group[:-1]) | ((group[1:] == group[:-1]) & (dates[1:] < dates[:-1]))).any():
        order = np.lexsort((dates, group))
        ours, group = ours[order], group[order]
    if not len(ours):
        return out
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    wanted = code * (high - low + 1) + number - low
    at = np.minimum(np.searchsorted(group[starts], wanted), len(starts) - 1)
    found = group[starts][at] == wanted
    count = news["count"].to_numpy(dtype=np.float64)[ours]
    total = np.where(found, np.add.reduceat(count, starts)[at], 0.0)
    out["news_count"] = total
    for name in ("sentiment", "relevance"):
        weighted = np.add.reduceat(news[name].to_numpy(dtype=np.float64)[ours] * count, starts)
        out[f"news_{name}"] = np.where(found, weighted[at], 0.0) / np.maximum(total, 1.0)
    return out


def _shared_codes(rows: pd.Series, others: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the tickers of two columns, int64; -1 in the second for one that the first has not."""
    if isinstance(rows.dtype, pd.CategoricalDtype) and rows.dtype == others.dtype:
        return rows.cat.codes.to_numpy(dtype=np.int64), others.cat.codes.to_numpy(dtype=np.int64)
    codes, names = pd.factorize(rows)
    return codes.astype(np.int64), pd.Index(names).get_indexer(pd.Index(others)).astype(np.int64)


def _macro_features(rows: pd.DataFrame, macro: pd.DataFrame | None) -> pd.DataFrame:
    """Latest release of each series on or before the row's date; the neutral value before the first."""
    out = pd.DataFrame(index=rows.index)
    days = rows["date"].to_numpy().astype("datetime64[D]")
    every = np.arange(days.min(), days.max() + 1) if len(days) else days  # looked up once a day, not once a row
    for column in GROUPS["macro"]:
        series = column.removeprefix("macro_")
        known = latest_release(macro, series, every)
        out[column] = MACRO_NEUTRAL[series] if known is None else known[(days - every[:1]).astype(np.int64)]
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
    if policy is None or policy.empty or rows.empty:
        return out
    policy = policy.sort_values("date", kind="stable")
    events = policy["impact"].astype(float).groupby(_period_known(policy["date"], frequency))
    number = rows[NUMBER].to_numpy()
    every = range(number.min(), number.max() + 1)
    for name, known in (("policy_event_count", events.size()), ("policy_impact_score", events.sum())):
        out[name] = known.reindex(every).fillna(0.0).to_numpy(dtype=np.float64)[number - every.start]
    return out


def _period_known(dates: pd.Series, frequency: str) -> np.ndarray:
    """The period whose last session is the first at or after each date, int64 `[N]`."""
    days = pd.DatetimeIndex(dates)
    if frequency == "daily":
        return session_numbers(days - pd.Timedelta(days=1)) + 1
    late = days.to_numpy() > last_session_of_week(days).to_numpy()
    return week_numbers(days) + late
