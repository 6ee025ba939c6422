"""The `prices` feature set: the 11 price ratios of Feng et al. (IJCAI 2019), table 1."""

import numpy as np
import pandas as pd
import talib

from ste.market.sources import RAW_CLOSE
from ste.schema import FEATURE_SETS, ROW_VOLATILITY


def price_features(bars: pd.DataFrame, starts: np.ndarray, last: np.ndarray, lookback: int) -> dict[str, np.ndarray]:
    """Compute the 11 price ratios and the volatility of the bars `last`, each `[len(last)]`.

    Ratios within a day are equal on the adjusted scale and as traded; `price_change` is as traded where the bars
    have `RAW_CLOSE`.

    Args:
        bars: sorted by ticker and date, N bars.
        starts: first bar of each history.
        last: bars that have a row.
        lookback: bars of a history that a row needs.
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
    return {name: values[last] for name, values in zip((*names, ROW_VOLATILITY), daily, strict=True)}
