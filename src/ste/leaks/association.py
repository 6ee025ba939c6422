"""How well one array tells another: rank correlations within periods and over them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Association:
    """A correlation with its standard error.

    Attributes:
        value: in [-1, 1].
        error: standard error, never below the one that chance alone gives.
        series: the correlation of each period, for paired differences; NaN where there is none.
    """

    value: float
    error: float
    series: np.ndarray

    @property
    def t(self) -> float:
        """Value over error."""
        return self.value / self.error if self.error > 0 else 0.0


NOTHING = Association(0.0, 1.0, np.empty(0))


def centred_ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Ranks within each group less their mean, float64 `[N]`; ties share a rank.

    Args:
        values: finite, `[N]`.
        groups: code of each row's group, int64 `[N]`.
    """
    ranks = pd.Series(values).groupby(groups).rank().to_numpy()
    sizes = np.bincount(groups)
    return ranks - (sizes[groups] + 1) / 2


def rank_ic(x: np.ndarray, y: np.ndarray, groups: np.ndarray, overlap: int = 1) -> Association:
    """Mean rank correlation of `x` and `y` within groups: the information coefficient.

    Groups weigh by the root of their rank variances, which lets weeks of few tickers count for little.

    Args:
        x: score, float64 `[N]`; rows with NaN in either array are left out.
        y: outcome, float64 `[N]`.
        groups: code of each row's period, int64 `[N]`.
        overlap: periods that neighbouring outcomes share; the error grows by its root.
    """
    known = np.isfinite(x) & np.isfinite(y)
    count = int(groups.max()) + 1 if len(groups) else 0
    if known.sum() < 3:
        return NOTHING
    code = groups[known]
    a, b = centred_ranks(x[known], code), centred_ranks(y[known], code)
    cross, var_a, var_b = (np.bincount(code, p, minlength=count) for p in (a * b, a * a, b * b))
    weight = np.sqrt(var_a * var_b)
    good = weight > 0
    if good.sum() < 2:
        return NOTHING
    series = np.full(count, np.nan)
    series[good] = cross[good] / weight[good]
    return _mean(series, weight, np.bincount(code, minlength=count), overlap)


def _mean(series: np.ndarray, weight: np.ndarray, sizes: np.ndarray, overlap: int) -> Association:
    good = np.isfinite(series)
    ic, w = series[good], weight[good] / weight[good].sum()
    value = float(ic @ w)
    empirical = np.sqrt(np.sum(w**2 * (ic - value) ** 2))
    chance = np.sqrt(np.sum(w**2 / np.maximum(sizes[good] - 1, 1)))  # a permutation's rank correlation: 1 / (n - 1)
    return Association(value, float(max(empirical, chance) * np.sqrt(overlap)), series)


def difference(first: Association, second: Association, overlap: int = 1) -> Association:
    """How much more `first` tells than `second`, paired by period; positive in the direction of `first`."""
    both = np.isfinite(first.series) & np.isfinite(second.series) if len(first.series) == len(second.series) else None
    sign = 1.0 if first.value >= 0 else -1.0
    value = abs(first.value) - sign * second.value
    if both is None or both.sum() < 2:
        return Association(value, float(np.hypot(first.error, second.error)), np.empty(0))
    gap = sign * (first.series - second.series)[both]
    empirical = gap.std() / np.sqrt(both.sum()) * np.sqrt(overlap)
    return Association(value, float(max(empirical, first.error)), gap)


def over_time(x: np.ndarray, y: np.ndarray, groups: np.ndarray, overlap: int = 1) -> Association:
    """Rank correlation of the periods' means of `x` and `y`: for columns that all tickers share.

    Its error is that of uncorrelated outcomes, sqrt(overlap / (n - 3)); at least 20 periods.
    """
    known = np.isfinite(x) & np.isfinite(y)
    code = groups[known]
    sizes = np.bincount(code)
    there = sizes > 0
    n = int(there.sum())
    if n < 20:
        return NOTHING
    mean_x, mean_y = (np.bincount(code, v[known])[there] / sizes[there] for v in (x, y))
    one = np.zeros(n, dtype=np.int64)
    a, b = centred_ranks(mean_x, one), centred_ranks(mean_y, one)
    scale = np.sqrt((a @ a) * (b @ b))
    if scale == 0:
        return NOTHING
    return Association(float(a @ b / scale), float(np.sqrt(overlap / (n - 3))), np.empty(0))
