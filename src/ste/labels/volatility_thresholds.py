"""`data.labels.method=volatility`: the thresholds are multiples of the ticker's trailing volatility."""

import numpy as np


def thresholds(volatility: np.ndarray, lower: float, upper: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the thresholds of Downtrend and Uptrend, float64 `[N]` each.

    Args:
        volatility: standard deviation of the log return over a period, `[N]`.
        lower: multiple below which a row is a Downtrend.
        upper: multiple above which a row is an Uptrend.
    """
    return lower * volatility, upper * volatility
