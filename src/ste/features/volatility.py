"""What a row's past says of its volatility, and of nothing else: the input of the volatility-only baseline."""

from typing import Any

import numpy as np
import pandas as pd

WINDOWS = (1, 4, 12)
"""Periods over which ranges are averaged."""

MARKET = len(WINDOWS) + 1
"""Column of the mean range of all tickers, the one that a ticker's own rows do not decide."""

TINY = 1e-4  # an untraded day has no range


def trailing_volatility(frame: pd.DataFrame) -> np.ndarray:
    """Logs of trailing volatilities of each row, known at its close, float64 `[N, K]`.

    The mean range (log of high over low; Parkinson 1980) of the ticker's last 1, 4 and 12 rows, the standard
    deviation of its last 12 changes of close, the mean range of all tickers in the period and, in tables
    that have them, the width of the Bollinger bands and the VIX.

    Args:
        frame: a table sorted by ticker and date.
    """
    columns, reach = _own(frame)
    columns.insert(MARKET, reach.groupby(frame["date"]).transform("mean"))
    return _logs(columns)


def own_volatility(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The same without the column of all tickers, which some tickers' rows alone cannot give.

    Args:
        frame: all rows of some tickers, sorted by ticker and date.

    Returns:
        float64 `[N, K - 1]`, and each row's own range `[N]`, whose mean over a date's rows is what is missing.
    """
    columns, reach = _own(frame)
    return _logs(columns), np.asarray(reach, dtype=np.float64)


def with_market(own: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """What `own_volatility` gave, with the mean range of each row's date `[N]` in its place, float64 `[N, K]`."""
    return np.insert(np.asarray(own, dtype=np.float64), MARKET, np.log(ranges.clip(min=TINY)), axis=1)


def _own(frame: pd.DataFrame) -> tuple[list[Any], pd.Series]:
    """The columns that a ticker's own rows decide, in order, and the range of each row."""
    ticker = frame["ticker"]
    if "stock_close" in frame:
        ratio, close = frame["stock_high"] / frame["stock_low"], frame["stock_close"]
        change = close / close.groupby(ticker).shift() - 1.0
    else:
        ratio = (1.0 + frame["price_high"]) / (1.0 + frame["price_low"])
        change = frame["price_adjusted_change"]
    reach: pd.Series = np.log(ratio)  # type: ignore[assignment]
    columns = [_rolling(reach, ticker, window).mean() for window in WINDOWS]
    columns.append(_rolling(change, ticker, WINDOWS[-1]).std())
    if "stock_bb_upper" in frame:
        columns.append((frame["stock_bb_upper"] - frame["stock_bb_lower"]) / frame["stock_close"])
        columns.append(frame["macro_vix"])
    return columns, reach


def _logs(columns: list[Any]) -> np.ndarray:
    out = np.log(np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1).clip(min=TINY))
    return np.where(np.isnan(out), out[:, :1], out)  # a ticker's first rows have no deviation yet: their range


def _rolling(values: pd.Series, ticker: pd.Series, window: int) -> Any:
    return values.groupby(ticker, sort=False).rolling(window, min_periods=min(window, 3))
