"""Targets: what the `horizon` periods after a row's close brought."""

import numpy as np
import pandas as pd

from ste.config import LabelSettings
from ste.features.feature_rows import CLOSE, NUMBER, VOLATILITY
from ste.schema import DIRECTION, MOVEMENT, RETURN, Trend


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
    number = rows[NUMBER].to_numpy() - rows[NUMBER].min()  # from 0: weeks before 1970 are negative
    span = int(number.max()) + horizon + 1 if len(rows) else 1
    key = codes * span + number
    at = np.minimum(np.searchsorted(key, key + horizon), max(len(key) - 1, 0))
    known = key[at] == key + horizon
    close = rows[CLOSE].to_numpy()
    out = rows[known]
    out[RETURN] = (close[at] / close)[known] - 1.0
    out[MOVEMENT] = (close[at] - close)[known]
    return out


def thresholds(rows: pd.DataFrame, training: np.ndarray, settings: LabelSettings) -> tuple[np.ndarray, np.ndarray]:
    """Returns below which a row is a Downtrend and above which it is an Uptrend, float64 `[N]` each.

    Args:
        rows: rows with their future returns.
        training: bool `[N]`, the rows that may be learnt from.
        settings: `fixed` is the thresholds as they are; `volatility` scales them by the ticker's
            trailing volatility over a period; `balanced` takes the training rows' terciles.
    """
    thirds = terciles(rows[RETURN].to_numpy()[training]) if settings.method == "balanced" else None
    return thresholds_given(rows, thirds, settings)


def thresholds_given(
    rows: pd.DataFrame, thirds: tuple[float, float] | None, settings: LabelSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The same where the training rows' terciles are known already; None unless the method is `balanced`."""
    n = len(rows)
    if thirds is not None:
        return np.full(n, thirds[0]), np.full(n, thirds[1])
    lower = -settings.threshold if settings.lower is None else settings.lower
    scale = rows[VOLATILITY].to_numpy() if settings.method == "volatility" else np.ones(n)
    return lower * scale, settings.threshold * scale


def terciles(returns: np.ndarray) -> tuple[float, float]:
    """Returns that cut the given ones into thirds."""
    low, high = np.quantile(returns, [1 / 3, 2 / 3])
    return float(low), float(high)


def directions(returns: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Trend class of each return against its thresholds, int64 `[N]`."""
    classes = np.full(len(returns), Trend.NEUTRAL, dtype=np.int64)
    classes[returns > high] = Trend.UPTREND
    classes[returns < low] = Trend.DOWNTREND
    return classes


def label(rows: pd.DataFrame, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    """Add `stock_trend_direction`."""
    return rows.assign(**{DIRECTION: directions(rows[RETURN].to_numpy(), low, high)})
