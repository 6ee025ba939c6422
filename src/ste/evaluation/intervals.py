"""How sure a score is, when the examples of one week move together."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 2000
FEW_WEEKS = 10
"""Below this many weeks a bootstrap over them says little, and the exact binomial interval is given instead."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval and how it was made.

    `weeks` is a bootstrap over weeks; `binomial` is exact, but takes the examples for independent and
    is too narrow where they are not.
    """

    low: float
    high: float
    method: str


def mean_interval(values: np.ndarray, weeks: np.ndarray, block: int = 1, seed: int = 0) -> Interval:
    """Interval of the mean of per-example values by resampling whole weeks.

    Circular blocks of consecutive weeks (Politis and Romano 1992), since labels that look `block` weeks ahead
    overlap with their neighbours'; a block of 1 is the ordinary bootstrap over weeks.

    Args:
        values: `[N]`, such as 1 where a prediction was right.
        weeks: `[N]`, anything that says which examples belong together.
        block: weeks that a label looks ahead.
        seed: of the resampling.
    """
    _, group = np.unique(weeks, return_inverse=True)
    n = group.max() + 1
    if n < FEW_WEEKS * block and np.isin(values, (0.0, 1.0)).all():
        return binomial_interval(int(values.sum()), len(values))
    totals = _circular_sums(np.bincount(group, weights=values, minlength=n), block)
    sizes = _circular_sums(np.bincount(group, minlength=n).astype(float), block)
    rng = np.random.default_rng(seed)
    draws = np.concatenate(
        [
            _resampled(rng, totals, sizes, -(-n // block), RESAMPLES // 20) for _ in range(20)
        ]  # in parts: memory stays small
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high), "weeks")


def _circular_sums(weekly: np.ndarray, block: int) -> np.ndarray:
    """Sum of each week and the `block` - 1 after it, the end followed by the beginning."""
    return np.sum([np.roll(weekly, -k) for k in range(block)], axis=0)


def _resampled(rng: np.random.Generator, totals: np.ndarray, sizes: np.ndarray, blocks: int, times: int) -> np.ndarray:
    n = len(totals)
    picks = rng.multinomial(blocks, np.full(n, 1.0 / n), size=times)
    return (picks @ totals) / (picks @ sizes)


def binomial_interval(right: int, n: int) -> Interval:
    """Exact interval of a share (Clopper and Pearson 1934)."""
    interval = binomtest(right, n).proportion_ci(method="exact")
    return Interval(float(interval.low), float(interval.high), "binomial")
