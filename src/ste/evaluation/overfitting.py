"""What a portfolio's Sharpe ratio is worth after many trials: deflated ratio, probability of overfitting."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from scipy.stats import kurtosis, norm, skew

FEWEST_PERIODS = 10
"""Returns that the moments of a deflated Sharpe ratio need at least."""

_FLAT = 1e-12  # a variance below this share of the mean square is rounding
_TIE = 1e-9  # figures nearer than this are equal: sums of the same numbers differ in their last digits
_CELLS = 2_000_000  # ranked at once: many equal trials tie for the best


@dataclass(frozen=True)
class DeflatedSharpe:
    """A Sharpe ratio against the luck of the best of several trials.

    Attributes:
        sharpe: of the returns, annual, without a riskless rate.
        expected_maximum: annual Sharpe ratio that the best of the trials would show if all were worth nothing.
        probability: that the true ratio exceeds `expected_maximum`; with one trial, that it exceeds 0.
        trials: how many were counted.
        skewness, kurtosis: of the returns; the normal law has 0 and 3.
        periods: number of returns.
    """

    sharpe: float
    expected_maximum: float
    probability: float
    trials: int
    skewness: float
    kurtosis: float
    periods: int


@dataclass(frozen=True)
class Overfitting:
    """How often the trial that was best in one half of the time is no good in the other.

    Attributes:
        probability: that the best in sample ranks below the median out of sample; 0.5 is pure luck.
        loss: that the statistic of the best in sample is negative out of sample.
        trials: columns compared.
        blocks: pieces that the time was cut into.
        combinations: pairs of halves.
    """

    probability: float
    loss: float
    trials: int
    blocks: int
    combinations: int


def sharpe_probability(
    sharpe: float, benchmark: float, periods: int, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Probability that the true Sharpe ratio exceeds a benchmark.

    The probabilistic Sharpe ratio of Bailey and Lopez de Prado (2012), "The Sharpe ratio efficient frontier".

    Args:
        sharpe: observed, per period (not annual).
        benchmark: per period.
        periods: number of returns that it was observed over.
        skewness: of the returns.
        kurtosis: of the returns, 3 for the normal law.
    """
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    error = np.sqrt(max(variance, np.finfo(float).tiny) / (periods - 1))
    return float(norm.cdf((sharpe - benchmark) / error))


def expected_maximum(deviation: float, trials: int) -> float:
    """Expected best Sharpe ratio of independent trials whose true ratio is 0, in the unit of `deviation`.

    Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio", equation 1.

    Args:
        deviation: standard deviation of the ratios over trials.
        trials: how many; one has nothing to choose from, so 0.
    """
    if trials < 2:
        return 0.0
    # isf keeps its precision in the tail, where 1 - 1/trials would lose it.
    first, second = norm.isf(1.0 / trials), norm.isf(1.0 / (trials * np.e))
    return float(deviation * ((1.0 - np.euler_gamma) * first + np.euler_gamma * second))


def deflated_sharpe(
    returns: np.ndarray, trial_sharpes: Sequence[float], periods_per_year: float, trials: int | None = None
) -> DeflatedSharpe:
    """Sharpe ratio of a portfolio, deflated for the trials that it was chosen from.

    Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio". Their equations hold per period; annual
    figures come in and go out.

    Args:
        returns: `[T]`, simple, one per holding period.
        trial_sharpes: annual Sharpe ratios of the trials, this one included; their variance says how far
            apart trials lie.
        periods_per_year: holding periods in a year.
        trials: how many were made where some are not in `trial_sharpes`. With fewer than two ratios their
            variance is taken to be that of an estimate of 0, 1 / (T - 1) per period.

    Raises:
        ValueError: fewer than `FEWEST_PERIODS` returns.
    """
    returns = np.asarray(returns, dtype=np.float64)
    if len(returns) < FEWEST_PERIODS:
        raise ValueError(f"{len(returns)} returns: a deflated Sharpe ratio needs {FEWEST_PERIODS} or more")
    year = np.sqrt(periods_per_year)
    known = np.asarray(trial_sharpes, dtype=np.float64)
    known = known[np.isfinite(known)] / year
    count = max(len(known), trials or 0, 1)
    deviation = known.std(ddof=1) if len(known) > 1 else 1.0 / np.sqrt(len(returns) - 1)
    hurdle = expected_maximum(float(deviation), count)
    if returns.var() <= _FLAT * np.mean(returns**2):  # a portfolio that never moves shows nothing
        sharpe, third, fourth = 0.0, 0.0, 3.0
    else:
        sharpe = float(returns.mean() / returns.std(ddof=1))
        third, fourth = float(skew(returns)), float(kurtosis(returns, fisher=False))
    return DeflatedSharpe(
        sharpe=float(sharpe * year),
        expected_maximum=float(hurdle * year),
        probability=sharpe_probability(sharpe, hurdle, len(returns), third, fourth),
        trials=count,
        skewness=third,
        kurtosis=fourth,
        periods=len(returns),
    )


def backtest_overfitting(
    performance: np.ndarray, blocks: int = 16, statistic: Literal["sharpe", "mean"] = "sharpe"
) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    Bailey, Borwein, Lopez de Prado and Zhu (2017), "The probability of backtest overfitting". Time is cut
    into blocks; each choice of half of them is a sample to choose the best trial in, the other half says
    what it was worth. Trials that tie for the best share the choice, tied ranks are averaged, and a rank
    at the very median counts as half, so that luck alone gives 0.5 for any number of trials. A trial that
    does not move has a Sharpe ratio of 0.

    Args:
        performance: `[T, N]`, returns of N trials over the same T periods, oldest first.
        blocks: pieces of time, an even number; fewer where T has less than two periods for each.
        statistic: that chooses and ranks.

    Raises:
        ValueError: fewer than 4 periods or 2 trials, a figure that is not finite, or no even number of blocks.
    """
    performance = np.asarray(performance, dtype=np.float64)
    if performance.ndim != 2 or performance.shape[0] < 4 or performance.shape[1] < 2:
        raise ValueError(f"performance of shape {performance.shape}: expected [T, N] with T >= 4 and N >= 2")
    if not np.isfinite(performance).all():
        raise ValueError("performance holds figures that are not finite: expected dates that all trials have")
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks={blocks}: expected an even number, 2 or more")
    periods, trials = performance.shape
    blocks = min(blocks, periods // 4 * 2)
    half = np.array(list(combinations(range(blocks), blocks // 2)))
    figures = _figures(performance, half, blocks, statistic)
    # In lexicographic order the complement of a choice stands as far from the end as it from the beginning.
    outside = figures[::-1]
    best = figures.max(axis=1, keepdims=True)
    sample, chosen = np.nonzero(figures >= best - _TIE * np.maximum(np.abs(best), 1.0))
    share = 1.0 / np.bincount(sample)[sample]
    worth = outside[sample, chosen]
    step = max(1, _CELLS // trials)
    parts = [slice(start, start + step) for start in range(0, len(sample), step)]
    below = np.concatenate([_below_median(outside[sample[part]], worth[part]) for part in parts])
    return Overfitting(
        probability=float((share * below).sum() / len(half)),
        loss=float((share * (worth < 0)).sum() / len(half)),
        trials=trials,
        blocks=blocks,
        combinations=len(half),
    )


def _below_median(figures: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """1 where `worth` `[P]` lies below the median of its row of `figures` `[P, N]`, a half where at it, else 0."""
    distance = figures - worth[:, None]
    near = _TIE * np.maximum(np.abs(worth), 1.0)[:, None]
    # Of the others, as many better as worse is the median; the trial itself stands in neither count.
    lead = np.count_nonzero(distance < -near, axis=1) - np.count_nonzero(distance > near, axis=1)
    return np.where(lead < 0, 1.0, np.where(lead == 0, 0.5, 0.0))


def _figures(performance: np.ndarray, half: np.ndarray, blocks: int, statistic: str) -> np.ndarray:
    """The statistic of each trial over each choice of blocks, `[choices, N]`, from sums over blocks."""
    sizes = np.full(blocks, len(performance) // blocks)
    sizes[: len(performance) % blocks] += 1
    starts = np.append(0, sizes.cumsum()[:-1])
    picks = np.zeros((len(half), blocks))
    np.put_along_axis(picks, half, 1.0, axis=1)
    count = (picks @ sizes)[:, None]
    centre = performance.mean(axis=0)  # taken off first: squares of large means would drown the variance
    moved = performance - centre
    shift = (picks @ np.add.reduceat(moved, starts)) / count
    mean = centre + shift
    if statistic == "mean":
        return mean
    squares = picks @ np.add.reduceat(moved**2, starts)
    variance = np.maximum(squares - count * shift**2, 0.0) / (count - 1.0)
    flat = variance <= _FLAT * np.mean(performance**2, axis=0)
    return np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))
