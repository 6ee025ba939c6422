"""Targets of a row: the return over the horizon after its close, and the trend class of that return.

A label method gives two thresholds per row; each method has a module of its own.
"""

import numpy as np
import pandas as pd

from ste.config import LabelSettings
from ste.labels import fixed_thresholds, tercile_thresholds, volatility_thresholds
from ste.schema import DIRECTION, MOVEMENT, RETURN, ROW_CLOSE, ROW_PERIOD, Trend

Terciles = tuple[float, float]


def future_returns(rows: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Add the return and movement over the next `horizon` periods; drop rows whose future is unknown.

    Args:
        rows: output of `feature_rows`, sorted by ticker and date.
        horizon: periods ahead, at least 1.

    Returns:
        The rows that have a close exactly `horizon` periods later, with `stock_weekly_return` (simple
        return) and `stock_weekly_movement` (dollars).
    """
    codes = pd.factorize(rows["ticker"])[0].astype(np.int64)
    period = rows[ROW_PERIOD].to_numpy() - rows[ROW_PERIOD].min()  # from 0: weeks before 1970 are negative
    span = int(period.max()) + horizon + 1 if len(rows) else 1
    key = codes * span + period
    at = np.minimum(np.searchsorted(key, key + horizon), max(len(key) - 1, 0))
    known = key[at] == key + horizon
    close = rows[ROW_CLOSE].to_numpy()
    out = rows[known]
    out[RETURN] = (close[at] / close)[known] - 1.0
    out[MOVEMENT] = (close[at] - close)[known]
    return out


def thresholds(
    volatility: np.ndarray, settings: LabelSettings, terciles: Terciles | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the thresholds below which a row is a Downtrend and above which it is an Uptrend, float64 `[N]` each.

    Args:
        volatility: standard deviation of the log return over a period, `[N]`.
        settings: the label method and its parameters.
        terciles: of the training rows' returns (`return_terciles`); required by `balanced` labels.
    """
    if settings.method == "balanced":
        assert terciles is not None
        return tercile_thresholds.thresholds(len(volatility), terciles)
    lower = -settings.threshold if settings.lower is None else settings.lower
    if settings.method == "volatility":
        return volatility_thresholds.thresholds(volatility, lower, settings.threshold)
    return fixed_thresholds.thresholds(len(volatility), lower, settings.threshold)


def return_terciles(returns: np.ndarray, training: np.ndarray | None = None) -> Terciles:
    """Return the two returns that cut the training rows into three classes of equal size.

    Args:
        returns: simple returns over the horizon, `[N]`.
        training: bool `[N]`, usable training rows; None takes all.
    """
    low, high = np.quantile(returns if training is None else returns[training], [1 / 3, 2 / 3])
    return float(low), float(high)


def directions(returns: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the trend class of each return, int64 `[N]`.

    Args:
        returns: simple returns over the horizon, `[N]`.
        low: returns below are a Downtrend, `[N]`.
        high: returns above are an Uptrend, `[N]`.
    """
    classes = np.full(len(returns), Trend.NEUTRAL, dtype=np.int64)
    classes[returns > high] = Trend.UPTREND
    classes[returns < low] = Trend.DOWNTREND
    return classes


def label(rows: pd.DataFrame, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    """Add `stock_trend_direction` to rows with returns; `low` and `high` as in `directions`."""
    return rows.assign(**{DIRECTION: directions(rows[RETURN].to_numpy(), low, high)})
