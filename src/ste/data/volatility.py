"""What a row's past says of its volatility, and of nothing else: the input of the volatility-only baseline."""

from typing import Any

import numpy as np
import pandas as pd

WINDOWS = (1, 4, 12)
"""Periods over which ranges are averaged."""

TINY = 1e-4  # an untraded day has no range


def trailing_volatility(frame: pd.DataFrame) -> np.ndarray:
    """Logs of trailing volatilities of each row, known at its close, float64 `[N, K]`.

    The mean range (log of high over low; Parkinson 1980) of the ticker's last 1, 4 and 12 rows, the standard
    deviation of its last 12 changes of close, the mean range of all tickers in the period and, in tables
    that have them, the width of the Bollinger bands and the VIX.

    Args:
        frame: a table sorted by ticker and date.
    """
    ticker = frame["ticker"]
    if "stock_close" in frame:
        ratio, close = frame["stock_high"] / frame["stock_low"], frame["stock_close"]
        change = close / close.groupby(ticker).shift() - 1.0
    else:
        ratio = (1.0 + frame["price_high"]) / (1.0 + frame["price_low"])
        change = frame["price_adjusted_change"]
    reach = ratio.map(np.log)
    columns = [_rolling(reach, ticker, window).mean() for window in WINDOWS]
    columns.append(_rolling(change, ticker, WINDOWS[-1]).std())
    columns.append(reach.groupby(frame["date"]).transform("mean"))
    if "stock_bb_upper" in frame:
        columns.append((frame["stock_bb_upper"] - frame["stock_bb_lower"]) / frame["stock_close"])
        columns.append(frame["macro_vix"])
    out = np.log(np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1).clip(min=TINY))
    return np.where(np.isnan(out), out[:, :1], out)  # a ticker's first rows have no deviation yet: their range


def _rolling(values: pd.Series, ticker: pd.Series, window: int) -> Any:
    return values.groupby(ticker, sort=False).rolling(window, min_periods=min(window, 3))
