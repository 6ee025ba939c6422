"""Targets of a row: the return over the horizon after its close, and the trend class of that return.

A label method gives two thresholds per row.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ste.config import LabelSettings
from ste.labels.delisting import values_beyond_end
from ste.market.histories import history_starts, row_groups
from ste.market.ticker_groups import values_ahead
from ste.schema import DIRECTION, MOVEMENT, RETURN, ROW_CLOSE, ROW_PERIOD, FeatureSet, Trend

Terciles = tuple[float, float]


def future_returns(rows: pd.DataFrame, horizon: int, ends: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add the return and movement over the next `horizon` periods; drop rows whose future is unknown.

    Args:
        rows: output of `feature_rows`, sorted by ticker and date.
        horizon: periods ahead, at least 1.
        ends: of `delisting.close_ends`: values of tickers that ended; None knows none.

    Returns:
        The rows that have a close exactly `horizon` periods later in the same history, or a value of its end by then,
        with `stock_weekly_return` (simple
        return) and `stock_weekly_movement` (dollars).
    """
    close = rows[ROW_CLOSE].to_numpy(dtype=np.float64)
    period = rows[ROW_PERIOD].to_numpy()
    ahead = values_ahead(close, row_groups(history_starts(rows), len(rows)), period, horizon)
    if ends is not None and len(rows):
        ahead = np.where(np.isnan(ahead), values_beyond_end(ends, rows["ticker"], period, horizon), ahead)
    known = ~np.isnan(ahead)
    out = rows[known]
    out[RETURN] = (ahead / close)[known] - 1.0
    out[MOVEMENT] = (ahead - close)[known]
    return out


def closes(table: pd.DataFrame, features: FeatureSet) -> np.ndarray | None:
    """Return the close of each row, float64 `[N]`; None where the table has none.

    Args:
        table: columns of a table.
        features: its feature set.
    """
    name = features.period_bar()[ROW_CLOSE]
    return table[name].to_numpy(dtype=np.float64) if name in table else None


def horizon_agreement(
    returns: np.ndarray, close: np.ndarray, ticker: np.ndarray, period: np.ndarray, horizons: Iterable[int]
) -> dict[int, float]:
    """Return the fraction of the rows whose return equals that of their ticker's close over each horizon.

    Args:
        returns: `[N]`; rows with NaN are left out.
        close: `[N]`.
        ticker: codes `[N]`; rows are sorted by ticker and period.
        period: period index `[N]`.
        horizons: periods ahead; a negative one is the trailing return up to the row's own close.

    Returns:
        By horizon; those with fewer than 5 rows are left out.
    """
    out = {}
    for horizon in horizons:
        other = values_ahead(close, ticker, period, horizon)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = other / close if horizon > 0 else close / other
        known = np.isfinite(ratio) & np.isfinite(returns)
        if known.sum() >= 5:
            out[horizon] = float(np.isclose(ratio[known] - 1.0, returns[known], rtol=1e-3, atol=1e-5).mean())
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
        lower, upper = terciles
    else:
        lower = -settings.threshold if settings.lower is None else settings.lower
        upper = settings.threshold
    scale = volatility if settings.method == "volatility" else np.ones(len(volatility))
    return lower * scale, upper * scale


def return_terciles(returns: np.ndarray, training: np.ndarray | None = None) -> Terciles:
    """Return the two returns that cut the training rows into three classes of equal size.

    Args:
        returns: simple returns over the horizon, `[N]`.
        training: bool `[N]`, usable training rows; None takes all.
    """
    low, high = np.quantile(returns if training is None else returns[training], [1 / 3, 2 / 3])
    return float(low), float(high)


def directions(returns: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Return the trend class of each return, int64 `[N]`.

    Args:
        returns: simple returns over the horizon, `[N]`.
        low: returns below are a Downtrend, `[N]` or one for all.
        high: returns above are an Uptrend, `[N]` or one for all.
    """
    classes = np.full(len(returns), Trend.NEUTRAL, dtype=np.int64)
    classes[returns > high] = Trend.UPTREND
    classes[returns < low] = Trend.DOWNTREND
    return classes


def label(rows: pd.DataFrame, low: np.ndarray, high: np.ndarray) -> pd.DataFrame:
    """Add `stock_trend_direction` to rows with returns; `low` and `high` as in `directions`."""
    return rows.assign(**{DIRECTION: directions(rows[RETURN].to_numpy(), low, high)})
