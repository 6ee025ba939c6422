"""Rank correlations of two arrays, within periods and over time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Association:
    """A correlation with its standard error.

    Attributes:
        value: in [-1, 1].
        error: standard error, at least that of independent arrays.
        series: correlation in each period, for paired differences; NaN where there is none.
    """

    value: float
    error: float
    series: np.ndarray

    @property
    def t(self) -> float:
        """Value over error."""
        return self.value / self.error if self.error > 0 else 0.0


CERTAIN = {"direction": 0.68, "size": 0.50}
"""Largest lower bound (2 standard errors below) of a legitimate rank correlation."""

EXCESS = 0.08
"""Largest excess, within periods, of the correlation with a return over that with the following return."""

EXCESS_OVER_TIME = 0.35
"""The same over time, for columns that all tickers share."""

SUDDEN = 0.5
"""Fraction of the correlation that a leak loses one period later."""

MIN_ERRORS = 5.0
"""Standard errors by which an excess must differ from zero: one in a million, for some 250 tests of a table."""

NO_ASSOCIATION = Association(0.0, 1.0, np.empty(0))
"""Of arrays with too few common values."""


def centred_ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Rank values within each group and subtract the mean rank, float64 `[N]`; ties share a rank, NaN stays NaN.

    Args:
        values: `[N]`.
        groups: int64 `[N]`, code of each row's group, from 0.
    """
    ranks = pd.Series(values).groupby(groups).rank().to_numpy()
    sizes = np.bincount(groups, ~np.isnan(ranks))
    return ranks - (sizes[groups] + 1) / 2


def rank_ic(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Association:
    """Mean rank correlation of `x` and `y` within groups: the information coefficient.

    Args:
        x: score, float64 `[N]`; rows with NaN in either array are ignored.
        y: result, float64 `[N]`.
        groups: int64 `[N]`, code of each row's period, from 0.
    """
    return ic_of_ranks(centred_ranks(x, groups), centred_ranks(y, groups), groups)


def ic_of_ranks(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Association:
    """As `rank_ic`, of `centred_ranks`, so that an array that is used often is ranked once.

    The weight of a group is the root of its rank variances, which is small in weeks of few tickers.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    if known.sum() < 3:
        return NO_ASSOCIATION
    count, code = int(groups.max()) + 1, groups[known]
    size = np.bincount(code, minlength=count)
    # Dropped rows change the mean of the others, so both are centred again.
    a, b = (v - (np.bincount(code, v, minlength=count) / np.maximum(size, 1))[code] for v in (x[known], y[known]))
    cross, var_a, var_b = (np.bincount(code, p, minlength=count) for p in (a * b, a * a, b * b))
    weight = np.sqrt(var_a * var_b)
    good = weight > 1e-9
    if good.sum() < 2:
        return NO_ASSOCIATION
    series = np.full(count, np.nan)
    series[good] = ic = cross[good] / weight[good]
    w = weight[good] / weight[good].sum()
    value = float(ic @ w)
    empirical = np.sqrt(np.sum(w**2 * (ic - value) ** 2))
    # A random rank correlation has the variance 1 / (n - 1).
    independent = np.sqrt(np.sum(w**2 / np.maximum(size[good] - 1, 1)))
    return Association(value, float(max(empirical, independent)), series)


def difference(first: Association, second: Association) -> Association:
    """Excess of `first` over `second` in the direction of `first`, paired by period."""
    sign = 1.0 if first.value >= 0 else -1.0
    value = abs(first.value) - sign * second.value
    if len(first.series) != len(second.series) or not len(first.series):
        return Association(value, float(np.hypot(first.error, second.error)), np.empty(0))
    gap = sign * (first.series - second.series)
    gap = gap[np.isfinite(gap)]
    empirical = gap.std() / np.sqrt(len(gap)) if len(gap) > 1 else np.inf
    return Association(value, float(max(empirical, first.error)), gap)


def over_time(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Association:
    """Rank correlation over time of the period means of `x` and `y`, for columns that all tickers share.

    The error is that of independent periods, 1 / sqrt(n - 3). Below 20 periods there is no association.
    """
    known = np.isfinite(x) & np.isfinite(y)
    means = pd.DataFrame({"x": x, "y": y})[known].groupby(groups[known]).mean()
    if len(means) < 20 or (means.nunique() == 1).any():
        return NO_ASSOCIATION
    value = means["x"].corr(means["y"], method="spearman")
    return Association(float(value), float(1 / np.sqrt(len(means) - 3)), np.empty(0))


def predicts_too_well(now: Association, excess: Association, what: str, *, shared: bool) -> bool:
    """Return whether a column knows a coming return: more than any forecast, or much more than the return after it.

    Args:
        now: correlation with a coming return, or its size.
        excess: over that with the return after it (`difference`).
        what: `direction` or `size`.
        shared: the column has one value for all tickers of a period.
    """
    lower = abs(now.value) - 2 * now.error
    certain = lower > CERTAIN[what] and not (shared and what == "size")
    max_excess = EXCESS_OVER_TIME if shared else EXCESS
    sudden = excess.value > max(max_excess, SUDDEN * abs(now.value))
    return bool(certain or (sudden and abs(now.value) > max_excess and excess.t > MIN_ERRORS))
