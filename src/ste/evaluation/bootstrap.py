"""Confidence intervals by a block bootstrap over periods, since the examples of one period move together.

Whole periods are resampled in circular blocks (Politis and Romano 1992). Every metric is a function of sums over
periods. A resample is therefore one row of counts, how often each period is drawn, and all resamples of all metrics
are products of one matrix with the sums of the periods. The first row of that matrix is all ones, the data itself, so
that a metric and its resamples come from the same formula.

Labels over h periods overlap: those of two periods at distance k share h - k of h returns, so that their
autocorrelation is 1 - k/h (Hansen and Hodrick 1980, Journal of Political Economy 88(5)). Blocks of b periods give it
the weight 1 - k/b (the Bartlett kernel), and their variance is too small however many periods there are: by a third
with b = h. Since the autocorrelation is known, so is the ratio by which it is too small, and the spread of the
resamples is corrected by it (`Resampling.overlap`). The ratio is that of a predictor that never changes its mind;
intervals of one that does are a little too wide, the less the longer the blocks (`overlap_block`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, frexp, ldexp, sqrt
from typing import Literal

import numpy as np
from scipy.special import betaincinv, ndtri, stdtr, stdtrit

RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_PERIODS = 10
"""Periods (times the horizon) that a bootstrap over periods needs; with fewer, the exact binomial interval is used."""

_BLOCK_HORIZONS = (2, 4)  # fewest and most label horizons in a block

MIN_BLOCKS = 5
"""Blocks that the data must hold at least: with fewer, an interval is meaningless; requiring more makes it too narrow
where regimes last for months (see `studies.regimes`)."""

_MIN_FOR_AUTOCORRELATION = 16  # periods
_NOISE = 1e-9  # rows; less is rounding
_ROUNDING = 1e-12  # of a metric
_CHUNK = 256  # resamples that are multiplied at once in float64
_EXACT_BITS = 24  # integers up to 2^24 are exact in float32
_MANTISSA = 52
_MIN_EXPONENT = -1074  # of the smallest number above 0; a finer grid would be 0
_METHOD: Literal["weibull"] = "weibull"  # the k-th of R resamples is the quantile k / (R + 1): unbiased for any R
_QUANTILES = ((1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2)


def overlap_block(periods: int, horizon: int) -> int:
    """Number of periods in a block for labels that overlap; 1 for labels of one period.

    Two horizons, and up to four where ten blocks remain. With fewer than `MIN_PERIODS` times the horizon, one horizon.

    Args:
        periods: number of periods.
        horizon: periods that a label looks ahead.
    """
    if horizon == 1 or periods < MIN_PERIODS * horizon:
        return horizon
    fewest, most = _BLOCK_HORIZONS
    return horizon * min(max(periods // (MIN_PERIODS * horizon), fewest), most)


def block_length(series: Sequence[np.ndarray], horizon: int) -> int:
    """Choose the number of periods in a block: that of `overlap_block`, or more where a series is autocorrelated.

    The automatic choice of Politis and White (2004), corrected by Patton, Politis and White (2009), minimizes the
    error of the variance and grows as T^(1/3). Intervals cover best with blocks that grow as T^(1/2)
    (Sun, Phillips and Jin 2008, Econometrica 76(1)), so the choice is multiplied by T^(1/6). The result is at most a
    fifth of the periods, which leaves five blocks.

    Args:
        series: values by period `[T]`, such as the number of correct rows; the largest choice is taken.
        horizon: periods that a label looks ahead; labels of neighbouring periods overlap.
    """
    periods = len(series[0])
    min_length = overlap_block(periods, horizon)
    max_length = max(periods // MIN_BLOCKS, min_length)
    varied = [values for values in series if np.ptp(values) > _NOISE]
    if periods < _MIN_FOR_AUTOCORRELATION or max_length == min_length or not varied:
        return min_length
    from arch.bootstrap import optimal_block_length  # takes half a second to import

    chosen = optimal_block_length(np.stack(varied, axis=1))["circular"].to_numpy()
    best = float(np.nanmax(chosen, initial=1.0)) * periods ** (1 / 6)
    return min(max(min_length, round(best)), max_length)


def overlap_ratio(units: int, block: int, horizon: int) -> float:
    """Ratio of the true variance of a mean to that of its resamples, over the same ratio of independent units.

    Both variances are exact for units whose autocorrelation is 1 - k / `horizon`: that of the mean, and the expected
    one of the mean of circular blocks, the last one cut to fit.

    Args:
        units: number of units.
        block: units in a block.
        horizon: units that share a part of their label; 1 gives 1.
    """
    return _true_over_resampled(units, block, horizon) / _true_over_resampled(units, block, 1)


def _true_over_resampled(units: int, block: int, horizon: int) -> float:
    if block >= units:
        return 1.0  # every resample is the data
    lag = np.arange(units)
    shared = np.maximum(1.0 - lag / horizon, 0.0)
    circular = ((units - lag) * shared + lag * np.append(0.0, shared[:0:-1])) / units
    of_sum = units + 2.0 * float(((units - lag) * shared)[1:].sum())

    def of_block(length: int) -> float:
        """Expected variance of the sum of `length` neighbours around `length` times the mean."""
        inside = length * circular[0] + 2.0 * float(((length - lag) * circular)[1:length].sum())
        return inside - (length / units) ** 2 * of_sum if length else 0.0

    return of_sum / (units // block * of_block(block) + of_block(units % block))


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each unit (period, or group of rows) is drawn in each resample.

    Attributes:
        multiplicity: float32 `[1 + R, U]`, integers; the first row is ones, the data itself.
        independent: number of independent observations: complete blocks in the data.
        overlap: variance of a metric over that of its resamples, because of labels that overlap (`overlap_ratio`).
    """

    multiplicity: np.ndarray
    independent: int
    overlap: float = 1.0

    @classmethod
    def draw_blocks(cls, units: int, block: int, resamples: int, seed: int, horizon: int = 1) -> "Resampling":
        """Draw circular blocks of `block` neighbouring units each; the last block of a resample is cut to fit.

        Args:
            units: number of units, U.
            block: units in a block; 1 is the ordinary bootstrap.
            resamples: R.
            seed: of the random generator.
            horizon: units that a label looks ahead.
        """
        starts = np.random.default_rng(seed).integers(units, size=(resamples, ceil(units / block)))
        out = np.ones((1 + resamples, units), dtype=np.float32)
        for first in range(0, resamples, _CHUNK):
            part = starts[first : first + _CHUNK]
            drawn = (part[:, :, None] + np.arange(block)).reshape(len(part), -1)[:, :units] % units
            cells = drawn + units * np.arange(len(part))[:, None]
            counts = np.bincount(cells.ravel(), minlength=len(part) * units)
            out[1 + first : 1 + first + len(part)] = counts.reshape(len(part), units)
        return cls(out, units // block, overlap_ratio(units, block, horizon))

    @property
    def units(self) -> int:
        """Number of units, U."""
        return self.multiplicity.shape[1]

    def sums(self, statistic: np.ndarray) -> np.ndarray:
        """Sum a statistic over the units of each resample, float64 `[1 + R, ...]`.

        The result is the same for any number of threads. The last digits of a matrix product depend on the order of
        its sums, which depends on the number of threads. Here no sum is rounded in any order: integers fit the
        mantissa, other values are rounded to a grid on which they do (pre-rounding, Demmel and Nguyen 2013), with a
        relative error of 2^-52 per unit.

        Args:
            statistic: `[U, ...]`, counts (integers, 0 or more) or floats.
        """
        flat = statistic.reshape(self.units, -1)
        integer = np.issubdtype(flat.dtype, np.integer)
        narrow = integer and self._max_units * int(flat.max(initial=0)) < 2**_EXACT_BITS
        exact = flat.astype(np.float32 if narrow else np.float64) if integer else self._round_to_grid(flat)
        out = np.empty((len(self.multiplicity), flat.shape[1]))
        for first in range(0, len(out), _CHUNK):
            rows = slice(first, first + _CHUNK)
            out[rows] = self.multiplicity[rows].astype(exact.dtype) @ exact
        return out.reshape(-1, *statistic.shape[1:])

    @cached_property
    def _max_units(self) -> int:
        """Number of units in the largest resample."""
        return int(self.multiplicity.sum(axis=1, dtype=np.float64).max())

    def _round_to_grid(self, values: np.ndarray) -> np.ndarray:
        _, exponent = frexp(self._max_units * float(np.abs(values).max(initial=0.0)))
        grid = ldexp(1.0, max(exponent - _MANTISSA, _MIN_EXPONENT))
        return np.rint(values / grid) * grid

    def intervals(self, figures: np.ndarray) -> np.ndarray:
        """95 % interval of each metric, float64 `[K, 2]`; NaN without any resample that has a value.

        Percentile intervals are too narrow by the ratio of a normal to a Student interval and by the missing factor
        n / (n - 1) (Hesterberg 2015, The American Statistician 69(4), section 5.3). Hesterberg takes percentiles
        further out, which with few blocks end at the most extreme resamples. Here the distances from the median are
        stretched instead, by sqrt(n / (n - 1)) t / z, and by the root of the overlap's ratio.

        Args:
            figures: `[K, 1 + R]`, of K metrics; resamples without a value are left out.
        """
        draws = figures[:, 1:]
        known = np.isfinite(draws)
        complete = known.all(axis=1)
        cuts = np.full((len(figures), len(_QUANTILES)), np.nan)
        if draws.shape[1]:
            cuts[complete] = np.quantile(draws[complete], _QUANTILES, axis=1, method=_METHOD).T
        for i in np.flatnonzero(~complete & known.any(axis=1)):
            cuts[i] = np.quantile(draws[i, known[i]], _QUANTILES, method=_METHOD)
        low, middle, high = cuts.T
        return np.stack([middle - (middle - low) * self._stretch, middle + (high - middle) * self._stretch], axis=1)

    @cached_property
    def _stretch(self) -> float:
        n = max(self.independent, 2)
        quantile = (1 + CONFIDENCE) / 2
        return sqrt(self.overlap * n / (n - 1)) * float(stdtrit(n - 1, quantile) / ndtri(quantile))

    def p_values(self, gains: np.ndarray, independent: int | None = None) -> np.ndarray:
        """One-sided p-value of the hypothesis that the true gain is not above 0, float64 `[K]`.

        Student's t of the gain over its bootstrap standard error, which also gives p-values far below one over the
        number of resamples. The p-value is 1 for a gain of zero in every resample, and with fewer than two
        independent observations.

        Args:
            gains: `[K, 1 + R]`.
            independent: number of independent observations; None is that of the resampling.
        """
        n = self.independent if independent is None else independent
        known = np.isfinite(gains)
        out = np.ones(len(gains))
        for i in np.flatnonzero(known[:, 0] & (known[:, 1:].sum(axis=1) > 1) & (n > 1)):
            gain = gains[i, 0]
            error = float(gains[i, 1:][known[i, 1:]].std(ddof=1)) * sqrt(self.overlap * n / (n - 1))
            if error < _ROUNDING:
                out[i] = 0.0 if gain > _ROUNDING else 1.0
            else:
                out[i] = stdtr(n - 1, -gain / error)
        return out


def binomial_interval(right: float, examples: float) -> tuple[float, float]:
    """Exact 95 % interval of a fraction (Clopper and Pearson 1934).

    Args:
        right: successes; a mean over repeated predictions of the same examples need not be an integer.
        examples: trials, above 0.
    """
    alpha = 1 - CONFIDENCE
    low = float(betaincinv(right, examples - right + 1, alpha / 2)) if right > 0 else 0.0
    high = float(betaincinv(right + 1, examples - right, 1 - alpha / 2)) if right < examples else 1.0
    return low, high
