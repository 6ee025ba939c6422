"""How sure a figure is, when the examples of one period move together.

Whole periods are resampled in circular blocks (Politis and Romano 1992). Every figure is a function of sums
over periods, so that a resample is a row of how often each period was drawn, and all resamples of all
figures are products of one matrix with the periods' sums. The first row of that matrix is the data as it
came: a figure and its resamples come from the same formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from math import ceil, frexp, ldexp, sqrt

import numpy as np
from scipy.special import betaincinv, ndtri, stdtr, stdtrit

RESAMPLES = 2000
CONFIDENCE = 0.95
FEW_PERIODS = 10
"""With fewer periods (times the horizon) a bootstrap over them says little: the exact binomial interval is
given instead."""

LEAST_BLOCKS = 5
"""With fewer, an interval says no more; with more, it is too narrow where regimes last for months (see
`studies.coverage`)."""

_SHORTEST = 16  # periods from which on autocorrelations can be looked at
_NOISE = 1e-9  # rows; less is rounding
_ROUNDING = 1e-12  # of a figure
_CHUNK = 256  # resamples that are multiplied at once in float64
_EXACT = 24  # bits: whole numbers up to 2^24 are exact in float32
_MANTISSA = 52
_LEAST = -1074  # exponent of the smallest number above 0: a finer grid would be 0
_CUTS = ((1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2)


def block_length(series: Sequence[np.ndarray], horizon: int) -> int:
    """Periods in a block: the label's horizon, or more where a series is seen to depend on its past.

    The automatic choice of Politis and White (2004), corrected by Patton, Politis and White (2009), makes the
    error of the variance smallest and grows as T^(1/3). Intervals cover best with blocks that grow as T^(1/2)
    (Sun, Phillips and Jin 2008, Econometrica 76(1)): the choice is therefore multiplied by T^(1/6). At most a
    fifth of the periods, so that five blocks are left.

    Args:
        series: values by period `[T]`, such as rows right; the largest choice counts.
        horizon: periods that a label looks ahead: neighbours' labels overlap.
    """
    periods = len(series[0])
    longest = max(periods // LEAST_BLOCKS, horizon)
    varied = [values for values in series if np.ptp(values) > _NOISE]
    if periods < _SHORTEST or longest == horizon or not varied:
        return horizon
    from arch.bootstrap import optimal_block_length  # takes half a second to import

    chosen = optimal_block_length(np.stack(varied, axis=1))["circular"].to_numpy()
    best = float(np.nanmax(chosen, initial=1.0)) * periods ** (1 / 6)
    return min(max(horizon, round(best)), longest)


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each unit (period, or group of rows) stands in each resample.

    Attributes:
        multiplicity: float32 `[1 + R, U]`, whole numbers; the first row is ones: the data as it came.
        independent: observations that can be taken for independent: whole blocks in the data.
    """

    multiplicity: np.ndarray
    independent: int

    @classmethod
    @lru_cache(maxsize=4)  # every trial of a sweep draws the same
    def blocks(cls, units: int, block: int, resamples: int, seed: int) -> "Resampling":
        """Circular blocks of `block` neighbouring units each; the last block of a resample is cut to fit.

        Args:
            units: U.
            block: 1 is the ordinary bootstrap.
            resamples: R.
            seed: of the draw.
        """
        starts = np.random.default_rng(seed).integers(units, size=(resamples, ceil(units / block)))
        out = np.ones((1 + resamples, units), dtype=np.float32)
        for first in range(0, resamples, _CHUNK):
            part = starts[first : first + _CHUNK]
            drawn = (part[:, :, None] + np.arange(block)).reshape(len(part), -1)[:, :units] % units
            cells = drawn + units * np.arange(len(part))[:, None]
            counts = np.bincount(cells.ravel(), minlength=len(part) * units)
            out[1 + first : 1 + first + len(part)] = counts.reshape(len(part), units)
        out.flags.writeable = False
        return cls(out, units // block)

    @cached_property
    def digest(self) -> str:
        """Of the resamples."""
        return blake2b(np.ascontiguousarray(self.multiplicity).data, digest_size=16).hexdigest()

    @property
    def units(self) -> int:
        """How many units are drawn from."""
        return self.multiplicity.shape[1]

    def sums(self, statistic: np.ndarray) -> np.ndarray:
        """Sums over units of each resample, float64 `[1 + R, ...]`, the same on any number of threads.

        A product's last digits depend on the order of its sums, and that on the number of threads. Here no
        sum is ever rounded, in any order: whole numbers fit the mantissa, others are cut to a grid on which
        they do (pre-rounding, Demmel and Nguyen 2013), at a relative error of 2^-52 per unit.

        Args:
            statistic: `[U, ...]`, counts (whole numbers, 0 or more) or floats.
        """
        flat = statistic.reshape(self.units, -1)
        whole = np.issubdtype(flat.dtype, np.integer)
        narrow = whole and self._most * int(flat.max(initial=0)) < 2**_EXACT
        exact = flat.astype(np.float32 if narrow else np.float64) if whole else self._on_grid(flat)
        out = np.empty((len(self.multiplicity), flat.shape[1]))
        for first in range(0, len(out), _CHUNK):
            rows = slice(first, first + _CHUNK)
            out[rows] = self.multiplicity[rows].astype(exact.dtype) @ exact
        return out.reshape(-1, *statistic.shape[1:])

    @cached_property
    def _most(self) -> int:
        """Units in the largest resample."""
        return int(self.multiplicity.sum(axis=1, dtype=np.float64).max())

    def _on_grid(self, values: np.ndarray) -> np.ndarray:
        _, exponent = frexp(self._most * float(np.abs(values).max(initial=0.0)))
        grid = ldexp(1.0, max(exponent - _MANTISSA, _LEAST))
        return np.rint(values / grid) * grid

    def intervals(self, figures: np.ndarray) -> np.ndarray:
        """95 % interval of each figure, float64 `[K, 2]`; NaN without any resample that has a value.

        Percentiles are too narrow by what a normal interval is against Student's, and by the missing
        n / (n - 1) (Hesterberg 2015, The American Statistician 69(4), section 5.3). He takes percentiles
        further out; with few blocks those end where the resamples end, so that here the distances from the
        median are stretched, by sqrt(n / (n - 1)) t / z.

        Args:
            figures: `[K, 1 + R]`; resamples without a value are left out.
        """
        draws = figures[:, 1:]
        known = np.isfinite(draws)
        whole = known.all(axis=1)
        cuts = np.full((len(figures), len(_CUTS)), np.nan)
        if draws.shape[1]:
            cuts[whole] = np.quantile(draws[whole], _CUTS, axis=1).T
        for i in np.flatnonzero(~whole & known.any(axis=1)):
            cuts[i] = np.quantile(draws[i, known[i]], _CUTS)
        low, middle, high = cuts.T
        return np.stack([middle - (middle - low) * self._stretch, middle + (high - middle) * self._stretch], axis=1)

    @cached_property
    def _stretch(self) -> float:
        n = max(self.independent, 2)
        quantile = (1 + CONFIDENCE) / 2
        return sqrt(n / (n - 1)) * float(stdtrit(n - 1, quantile) / ndtri(quantile))

    def p_values(self, gains: np.ndarray, independent: int | None = None) -> np.ndarray:
        """One-sided p-value of "the true gain is not above 0" of each gain, float64 `[K]`.

        Student's t of the gain over its bootstrap standard error, so that it is resolved far beyond one in the
        number of resamples; 1 for a gain of zero in every resample, and where fewer than two units are
        independent.

        Args:
            gains: `[K, 1 + R]`.
            independent: observations that can be taken for independent; None is the resampling's own.
        """
        n = self.independent if independent is None else independent
        known = np.isfinite(gains)
        out = np.ones(len(gains))
        for i in np.flatnonzero(known[:, 0] & (known[:, 1:].sum(axis=1) > 1) & (n > 1)):
            gain = gains[i, 0]
            error = float(gains[i, 1:][known[i, 1:]].std(ddof=1)) * sqrt(n / (n - 1))
            if error < _ROUNDING:
                out[i] = 0.0 if gain > _ROUNDING else 1.0
            else:
                out[i] = stdtr(n - 1, -gain / error)
        return out


def binomial_interval(right: float, examples: float) -> tuple[float, float]:
    """Exact 95 % interval of a share (Clopper and Pearson 1934).

    Args:
        right: successes; a mean over repeated predictions of the same examples need not be whole.
        examples: trials, above 0.
    """
    alpha = 1 - CONFIDENCE
    low = float(betaincinv(right, examples - right + 1, alpha / 2)) if right > 0 else 0.0
    high = float(betaincinv(right + 1, examples - right, 1 - alpha / 2)) if right < examples else 1.0
    return low, high
