"""Trailing volatilities of a row: the inputs of the volatility-only baseline.

N rows, K volatilities.
"""

from collections.abc import Container
from typing import Any

import numpy as np
import pandas as pd

from ste.market.histories import history_starts, row_groups
from ste.schema import FeatureSet

WINDOWS = (1, 4, 12)
"""Periods over which ranges are averaged."""

MARKET = len(WINDOWS) + 1
"""Position of the mean range of all tickers, the only volatility that a ticker's own rows do not decide."""

MIN_VOLATILITY = 1e-4  # an untraded day has no range


def has_period_bar(names: Container[object], features: FeatureSet) -> bool:
    """Return whether a table has what the volatilities are computed from: high, low and close of each period.

    Args:
        names: of the table's columns.
        features: its feature set.
    """
    return all(name in names for name in features.period_bar().values())


def trailing_volatility(frame: pd.DataFrame, features: FeatureSet) -> np.ndarray:
    """Compute logs of trailing volatilities of each row, known at its close, float64 `[N, K]`.

    These are the mean range (log of high over low; Parkinson 1980) of the ticker's last 1, 4 and 12 rows, the
    standard deviation of its last 12 changes of close, none of them from an earlier history (`market.histories`), the
    mean range of all tickers in the period and, in tables with the columns of `weekly21`, the width of the Bollinger
    bands and the VIX.

    Args:
        frame: a table sorted by ticker and date.
        features: its feature set.
    """
    own, ranges = ticker_volatility(frame, features)
    means = pd.Series(ranges).groupby(frame["date"].to_numpy()).transform("mean")
    return with_market_range(own, means.to_numpy())


def ticker_volatility(frame: pd.DataFrame, features: FeatureSet) -> tuple[np.ndarray, np.ndarray]:
    """Compute the volatilities that a ticker's own rows decide: all but the mean range of all tickers.

    Args:
        frame: all rows of some tickers, sorted by ticker and date.
        features: their feature set.

    Returns:
        float64 `[N, K - 1]`, and the range of each row `[N]`; its mean by date is the missing volatility.
    """
    history = pd.Series(row_groups(history_starts(frame), len(frame)), index=frame.index)
    high, low, close = (frame[name] for name in features.period_bar().values())
    ratio, change = high / low, close / close.groupby(history).shift() - 1.0
    ranges: pd.Series = np.log(ratio)  # type: ignore[assignment]
    columns = [_rolling(ranges, history, window).mean() for window in WINDOWS]
    columns.append(_rolling(change, history, WINDOWS[-1]).std())
    if "stock_bb_upper" in frame:
        columns.append((frame["stock_bb_upper"] - frame["stock_bb_lower"]) / close)
        columns.append(frame["macro_vix"])
    values = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    logs = np.log(values.clip(min=MIN_VOLATILITY))
    # The first rows have no deviation yet: their range stands in.
    return np.where(np.isnan(logs), logs[:, :1], logs), np.asarray(ranges, dtype=np.float64)


def with_market_range(own: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Insert the mean range of all tickers into the result of `ticker_volatility`, float64 `[N, K]`.

    Args:
        own: `[N, K - 1]`.
        ranges: mean range on each row's date, `[N]`.
    """
    logs = np.log(ranges.clip(min=MIN_VOLATILITY))
    return np.insert(np.asarray(own, dtype=np.float64), MARKET, logs, axis=1)


def _rolling(values: pd.Series, history: pd.Series, window: int) -> Any:
    return values.groupby(history, sort=False).rolling(window, min_periods=min(window, 3))
