"""Information coefficients: how well scores order the tickers of a period (Grinold and Kahn 2000)."""

import numpy as np
import pandas as pd

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.classification import Figures
from ste.evaluation.metrics.base import Metric, divide

MIN_TICKERS = 3
"""Tickers that a period needs to be ranked, or traded."""

_RANKED = {"ic": False, "rank_ic": True}

RANKING_METRICS = {
    metric.name: metric
    for prefix in _RANKED
    for metric in (
        Metric(f"{prefix}_mean", -1.0, 1.0),
        Metric(f"{prefix}_std", 0.0, higher_is_better=False),
        Metric(f"{prefix}_ir"),
        Metric(f"{prefix}_t"),
    )
}
"""Mean, standard deviation, information ratio and t of both coefficients."""


def ranking_figures(
    score: np.ndarray,
    returns: np.ndarray,
    period: np.ndarray,
    path: np.ndarray,
    resampling: Resampling,
    horizon: int = 1,
) -> Figures:
    """Every metric of `RANKING_METRICS` that has a value.

    Args:
        score: `[N]`.
        returns: `[N]`, finite.
        period: int64 `[N]`, ascending, the units of `resampling`.
        path: `[N]`, ascending within a period.
        resampling: of the periods.
        horizon: periods that a return looks ahead.
    """
    figures: Figures = {}
    for prefix, ranked in _RANKED.items():
        series = coefficient_series(score, returns, period, path, resampling.units, ranked=ranked)
        figures |= _summary(series, resampling, prefix, horizon)
    return figures


def coefficient_series(
    score: np.ndarray, returns: np.ndarray, period: np.ndarray, path: np.ndarray, periods: int, *, ranked: bool
) -> np.ndarray:
    """Coefficient of each period, the mean over paths, float64 `[periods]`; NaN where there is none.

    Args:
        score: `[N]`.
        returns: `[N]`, finite.
        period: int64 `[N]`, ascending, 0 to `periods` - 1.
        path: `[N]`, ascending within a period.
        periods: number of periods.
        ranked: use Spearman's.
    """
    begins = np.append(True, (period[1:] != period[:-1]) | (path[1:] != path[:-1]))[: len(period)]
    values = coefficients(score, returns, np.cumsum(begins) - 1, ranked=ranked)
    there = np.isfinite(values)
    of_period = period[begins][there]
    totals = np.bincount(of_period, weights=values[there], minlength=periods)
    return divide(totals, np.bincount(of_period, minlength=periods), empty=np.nan)


def coefficients(score: np.ndarray, returns: np.ndarray, group: np.ndarray, *, ranked: bool) -> np.ndarray:
    """Correlation of score and return across the rows of each group, float64 `[G]`.

    Pearson's, or Spearman's (Pearson's of ranks, ties at their mean). NaN with fewer than three rows, or where
    all scores or all returns are equal.

    Args:
        score: `[N]`.
        returns: `[N]`.
        group: int64 `[N]`, ascending, 0 to G - 1 without gaps.
        ranked: use Spearman's.
    """
    if not len(group):
        return np.empty(0)
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    sizes = np.diff(np.append(begins, len(group)))
    varied = sizes >= MIN_TICKERS
    for values in (score, returns):
        varied &= np.maximum.reduceat(values, begins) > np.minimum.reduceat(values, begins)
    if ranked:
        score, returns = (pd.Series(values).groupby(group).rank().to_numpy() for values in (score, returns))
    x, y = (_centre(values, begins, sizes) for values in (score, returns))
    xy, xx, yy = (np.add.reduceat(product, begins) for product in (x * y, x * x, y * y))
    scale = np.sqrt(xx * yy)
    varied &= scale > 0
    return np.clip(np.divide(xy, scale, out=np.full(len(begins), np.nan), where=varied), -1.0, 1.0)


def _summary(series: np.ndarray, resampling: Resampling, prefix: str, horizon: int) -> Figures:
    """Mean, standard deviation (n - 1), IR (mean / std), `[1 + R]` by name, and t `[1]`.

    t is the IR times the root of the number of coefficients whose returns do not overlap.

    Args:
        series: coefficient of each period, NaN where there is none.
        resampling: of the periods.
        prefix: `ic` or `rank_ic`.
        horizon: periods that a return looks ahead.
    """
    there = np.isfinite(series)
    series = np.where(there, series, 0.0)
    n = resampling.sums(there.astype(np.int64))
    total, squares = resampling.sums(np.stack([series, series**2], axis=1)).T
    with np.errstate(divide="ignore", invalid="ignore"):  # resamples with no or one period
        mean = total / n
        std = np.sqrt(np.maximum(squares - total * mean, 0.0) / (n - 1))
        std = np.where((n > 1) & (std > 1e-12), std, np.nan)
        ratio = mean / std
    names = {"mean": mean, "std": std, "ir": ratio, "t": ratio[:1] * np.sqrt(n[:1] / horizon)}
    return {f"{prefix}_{name}": values for name, values in names.items() if np.isfinite(values[0])}


def _centre(values: np.ndarray, begins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Values less the mean of their group, `[N]`."""
    return values - np.repeat(np.add.reduceat(values, begins) / sizes, sizes)
