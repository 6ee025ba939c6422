"""Sharpe ratios after many trials: the deflated ratio, and the probability of backtest overfitting."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtr, ndtri  # scipy.stats takes half a second to import

MIN_RETURNS = 10
"""Number of returns that a deflated Sharpe ratio needs."""

_FLAT = 1e-12  # a variance below this fraction of the mean square is rounding
_DIGITS = 9  # of a ratio: sums of the same numbers differ in their last digits


@dataclass(frozen=True)
class DeflatedSharpe:
    """A Sharpe ratio compared with the expected best of several trials without skill.

    Attributes:
        sharpe: of the returns, annual, without a riskless rate.
        expected_maximum: expected annual Sharpe ratio of the best of the trials if none had skill.
        probability: that the true ratio exceeds `expected_maximum`; with one trial, that it exceeds 0.
        trials: number of trials.
    """

    sharpe: float
    expected_maximum: float
    probability: float
    trials: int


@dataclass(frozen=True)
class Overfitting:
    """How often the trial that is best in one half of the periods ranks low in the other half.

    Attributes:
        probability: that the best in sample ranks below the median out of sample; 0.5 without skill.
        trials: number of trials compared.
    """

    probability: float
    trials: int


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
        kurtosis: of the returns, 3 for a normal distribution.
    """
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    error = np.sqrt(max(variance, np.finfo(float).tiny) / (periods - 1))
    return float(ndtr((sharpe - benchmark) / error))


def expected_maximum(deviation: float, trials: int) -> float:
    """Expected best Sharpe ratio of independent trials whose true ratio is 0, in the unit of `deviation`.

    Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio", equation 1.

    Args:
        deviation: standard deviation of the ratios over trials.
        trials: number of trials; the result of one trial is 0.
    """
    if trials < 2:
        return 0.0
    # The lower tail is precise where 1 - 1/trials is not.
    first, second = -ndtri(1.0 / trials), -ndtri(1.0 / (trials * np.e))
    return float(deviation * ((1.0 - np.euler_gamma) * first + np.euler_gamma * second))


def deflated_sharpe(
    returns: np.ndarray, trial_sharpes: Sequence[float], periods_per_year: float, trials: int | None = None
) -> DeflatedSharpe:
    """Sharpe ratio of a portfolio, deflated for the trials that it was selected from.

    Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio". Their equations are per period; arguments and
    result are annual.

    Args:
        returns: `[T]`, simple, one per holding period, `MIN_RETURNS` or more.
        trial_sharpes: annual Sharpe ratios of the trials, including this one; only their variance is used.
        periods_per_year: holding periods in a year.
        trials: number of trials, where some are not in `trial_sharpes`. With fewer than two ratios, their
            variance is that of an estimate of 0, 1 / (T - 1) per period.
    """
    returns = np.asarray(returns, dtype=np.float64)
    year = np.sqrt(periods_per_year)
    known = np.asarray(trial_sharpes, dtype=np.float64)
    known = known[np.isfinite(known)] / year
    count = max(len(known), trials or 0, 1)
    deviation = known.std(ddof=1) if len(known) > 1 else 1.0 / np.sqrt(len(returns) - 1)
    hurdle = expected_maximum(float(deviation), count)
    if returns.var() <= _FLAT * np.mean(returns**2):  # a portfolio that never moves
        sharpe, third, fourth = 0.0, 0.0, 3.0
    else:
        sharpe = float(returns.mean() / returns.std(ddof=1))
        third, fourth = _standardized_moment(returns, 3), _standardized_moment(returns, 4)
    return DeflatedSharpe(
        sharpe=float(sharpe * year),
        expected_maximum=float(hurdle * year),
        probability=sharpe_probability(sharpe, hurdle, len(returns), third, fourth),
        trials=count,
    )


def backtest_overfitting(performance: np.ndarray, blocks: int = 16) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    Bailey, Borwein, Lopez de Prado and Zhu (2017), "The probability of backtest overfitting". Time is cut
    into blocks. Each choice of half of them is a sample in which the best trial is selected; the other half measures
    it. Trials that tie for the best share the selection, tied ranks are averaged, and a rank equal to the median
    counts as half, so that the result is 0.5 without skill for any number of trials. A trial whose returns are
    constant has a Sharpe ratio of 0.

    Args:
        performance: `[T, N]`, finite returns of N trials, 2 or more, over the same T periods, 4 or more, oldest first.
        blocks: number of blocks, even; fewer where T has less than two periods for each.
    """
    from scipy.stats import rankdata

    periods, trials = performance.shape
    blocks = min(blocks, periods // 4 * 2)
    half = np.array(list(combinations(range(blocks), blocks // 2)))
    inside = np.round(_sharpes(performance, half, blocks), _DIGITS)
    # In lexicographic order, reversing the choices maps each to its complement.
    outside = inside[::-1]
    best = inside == inside.max(axis=1, keepdims=True)
    weight = best / best.sum(axis=1, keepdims=True)
    above_median = np.sign(rankdata(outside, axis=1) - (trials + 1) / 2)
    return Overfitting(float((weight * (1.0 - above_median) / 2).sum() / len(half)), trials)


def _standardized_moment(values: np.ndarray, order: int) -> float:
    """Return the mean of the deviations from the mean in standard deviations, to a power: 3 is the skewness."""
    deviations = values - values.mean()
    return float(np.mean(deviations**order) / np.mean(deviations**2) ** (order / 2))


def _sharpes(performance: np.ndarray, half: np.ndarray, blocks: int) -> np.ndarray:
    """The Sharpe ratio of each trial over each choice of blocks, `[choices, N]`, from sums over blocks."""
    sizes = np.full(blocks, len(performance) // blocks)
    sizes[: len(performance) % blocks] += 1
    starts = np.append(0, sizes.cumsum()[:-1])
    picks = np.zeros((len(half), blocks))
    np.put_along_axis(picks, half, 1.0, axis=1)
    count = (picks @ sizes)[:, None]
    centre = performance.mean(axis=0)  # subtracted first: squares of large means would swamp the variance
    moved = performance - centre
    shift = (picks @ np.add.reduceat(moved, starts)) / count
    mean = centre + shift
    squares = picks @ np.add.reduceat(moved**2, starts)
    variance = np.maximum(squares - count * shift**2, 0.0) / (count - 1.0)
    flat = variance <= _FLAT * np.mean(performance**2, axis=0)
    return np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))
