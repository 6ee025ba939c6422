"""Technical indicators of the `full` feature set: TA-Lib's definitions on the bars of each history."""

import numpy as np
import pandas as pd
import talib

from ste.schema import GROUPS, ROW_VOLATILITY

RSI_SESSIONS = 14
NO_CHANGE_RSI = 50.0
"""RSI of a price that has not changed: neither gains nor losses prevail."""


def stock_features(
    bars: pd.DataFrame, starts: np.ndarray, first: np.ndarray, last: np.ndarray, complete: np.ndarray, lookback: int
) -> dict[str, np.ndarray]:
    """Compute the 11 stock columns and the volatility of the complete periods, each `[number of rows]`.

    Args:
        bars: sorted by ticker and date, N bars.
        starts: first bar of each history.
        first: first bar of each period and ticker.
        last: last bar of each period and ticker.
        complete: bool, the periods that have a row.
        lookback: bars of a history that a row needs.
    """
    close = np.ascontiguousarray(bars["close"], dtype=np.float64)
    daily = np.full((7, len(bars)), np.nan)
    for a, b in zip(starts, np.append(starts[1:], len(bars)), strict=True):
        if b - a >= lookback:
            daily[:, a:b] = _indicators(close[a:b])
    names = (*GROUPS["stock"][5:], ROW_VOLATILITY)
    return {
        "stock_open": bars["open"].to_numpy(dtype=np.float64)[first[complete]],
        "stock_high": np.maximum.reduceat(bars["high"].to_numpy(dtype=np.float64), first)[complete],
        "stock_low": np.minimum.reduceat(bars["low"].to_numpy(dtype=np.float64), first)[complete],
        "stock_close": close[last[complete]],
        "stock_volume": np.add.reduceat(bars["volume"].to_numpy(dtype=np.float64), first)[complete],
        **{name: values[last[complete]] for name, values in zip(names, daily, strict=True)},
    }


def _indicators(close: np.ndarray) -> np.ndarray:
    """Return SMA 20, SMA 50, RSI, MACD, upper and lower band and daily volatility, float64 `[7, N]`."""
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    macd, _, _ = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    returns = np.diff(np.log(close), prepend=np.nan)
    volatility = np.full_like(close, np.nan)
    volatility[1:] = talib.STDDEV(returns[1:], timeperiod=20)
    return np.stack([middle, talib.SMA(close, 50), _rsi(close), macd, upper, lower, volatility])


def _rsi(close: np.ndarray) -> np.ndarray:
    """Return Wilder's relative strength index, float64 `[N]`; 50 of a constant price, for which TA-Lib gives 0.

    TA-Lib's 0 stands for falling prices too. The RSI of the mirrored prices is 100 then, and 0 of a constant price.
    """
    rsi = talib.RSI(close, RSI_SESSIONS)
    if (rsi == 0.0).any():
        rsi[(rsi == 0.0) & (talib.RSI(-close, RSI_SESSIONS) == 0.0)] = NO_CHANGE_RSI
    return rsi
