"""Deflated Sharpe ratio and probability of backtest overfitting, against the papers and brute force."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kurtosis, norm, rankdata, skew

from ste.evaluation.overfitting import (
    backtest_overfitting,
    deflated_sharpe,
    expected_maximum,
    sharpe_probability,
)


@pytest.mark.parametrize(
    ("trials", "skewness", "fourth", "probability"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_example_of_the_paper(trials: int, skewness: float, fourth: float, probability: float):
    """Annual ratio 2.5 over five years of 250 days, variance of the trials' annual ratios 1/2."""
    hurdle = expected_maximum((0.5 / 250) ** 0.5, trials)
    found = sharpe_probability(2.5 / 250**0.5, hurdle, 1250, skewness, fourth)
    assert found == pytest.approx(probability, abs=5e-5)
    if trials == 100:
        assert hurdle == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize("trials", [5, 20, 200])
def test_the_expected_maximum_is_that_of_drawn_trials(trials: int):
    best = np.random.default_rng(0).normal(scale=0.3, size=(20_000, trials)).max(axis=1).mean()
    assert expected_maximum(0.3, trials) == pytest.approx(best, rel=0.03)


def test_one_trial_has_nothing_to_deflate():
    returns = np.random.default_rng(1).standard_t(5, size=200) * 0.02 + 0.002
    found = deflated_sharpe(returns, [1.2], 52)
    s, n = returns.mean() / returns.std(ddof=1), len(returns)
    error = np.sqrt((1 - skew(returns) * s + (kurtosis(returns, fisher=False) - 1) / 4 * s**2) / (n - 1))
    assert found.expected_maximum == 0.0
    assert found.sharpe == pytest.approx(s * np.sqrt(52))
    assert found.probability == pytest.approx(norm.cdf(s / error))


def test_annual_trials_are_compared_per_period():
    returns = np.random.default_rng(2).normal(0.002, 0.02, size=150)
    ratios = [0.3, -0.4, 1.1, 0.6]
    found = deflated_sharpe(returns, ratios, 52)
    assert found.expected_maximum == pytest.approx(expected_maximum(float(np.std(ratios, ddof=1)), 4))
    shape = float(skew(returns)), float(kurtosis(returns, fisher=False))
    direct = sharpe_probability(found.sharpe / 52**0.5, found.expected_maximum / 52**0.5, 150, *shape)
    assert found.probability == pytest.approx(direct)


def test_the_best_of_many_worthless_trials_is_seldom_called_good():
    """Deflated, the best of 50 exceeds 0.95 in about 5 % of worlds; not deflated, in most of them."""
    rng, plain, deflated = np.random.default_rng(3), [], []
    for _ in range(300):
        returns = rng.normal(0.0, 0.02, size=(104, 50))
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1) * np.sqrt(52)
        best = returns[:, ratios.argmax()]
        plain.append(deflated_sharpe(best, [float(ratios.max())], 52).probability)
        deflated.append(deflated_sharpe(best, ratios.tolist(), 52).probability)
    assert np.mean(np.array(plain) > 0.95) > 0.8
    assert np.mean(np.array(deflated) > 0.95) <= 0.08
    assert np.mean(deflated) == pytest.approx(0.5, abs=0.1)


def test_the_probability_of_one_trial_is_uniform_where_there_is_nothing():
    rng = np.random.default_rng(4)
    found = [deflated_sharpe(rng.normal(size=120), [], 252).probability for _ in range(1000)]
    assert np.quantile(found, [0.05, 0.5, 0.95]) == pytest.approx([0.05, 0.5, 0.95], abs=0.04)


def test_trials_that_are_only_counted_deflate_too():
    returns = np.random.default_rng(5).normal(0.003, 0.02, size=104)
    found = [deflated_sharpe(returns, [1.0], 52, trials) for trials in (1, 2, 10, 100)]
    assert [f.trials for f in found] == [1, 2, 10, 100]
    assert all(a.probability > b.probability for a, b in pairwise(found))
    assert found[2].expected_maximum == pytest.approx(expected_maximum((52 / 103) ** 0.5, 10))


def test_a_portfolio_that_never_moves_shows_nothing():
    found = deflated_sharpe(np.full(50, 0.001), [0.0], 52)
    assert (found.sharpe, found.probability) == (0.0, 0.5)


def brute_force(performance: np.ndarray, blocks: int) -> float:
    pieces = np.array_split(np.arange(len(performance)), blocks)
    below, count = 0.0, 0

    def figures(rows: np.ndarray) -> np.ndarray:
        mean, deviation = performance[rows].mean(axis=0), performance[rows].std(axis=0, ddof=1)
        return np.array([m / d if d > 1e-12 else 0.0 for m, d in zip(mean, deviation, strict=True)])

    for chosen in combinations(range(blocks), blocks // 2):
        inside = figures(np.concatenate([pieces[k] for k in chosen])).round(9)
        outside = figures(np.concatenate([pieces[k] for k in range(blocks) if k not in chosen])).round(9)
        share = rankdata(outside) / (performance.shape[1] + 1)
        best = np.flatnonzero(inside == inside.max())
        logit = np.log(share / (1 - share))[best].round(9)
        below += np.mean((logit < 0) + 0.5 * (logit == 0))
        count += 1
    return below / count


@pytest.mark.parametrize("kind", ["noise", "ties", "flat", "large mean"])
def test_every_choice_of_blocks_is_counted_as_by_brute_force(kind: str):
    performance = np.random.default_rng(6).normal(0.01, 0.1, size=(51, 5))
    if kind == "ties":
        performance[:, 3] = performance[:, 1]
        performance[:, 4] = performance[:, 1]
    if kind == "flat":
        performance[:, 2], performance[:24, 0] = 0.0, 0.0
    if kind == "large mean":
        performance += 100.0
    found = backtest_overfitting(performance, blocks=8)
    assert found.probability == pytest.approx(brute_force(performance, 8))
    assert found.trials == 5


@pytest.mark.parametrize("trials", [2, 3, 10])
def test_noise_is_overfitted_half_of_the_time(trials: int):
    rng = np.random.default_rng(7)
    found = [backtest_overfitting(rng.normal(size=(104, trials)), blocks=8).probability for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_a_trial_that_is_truly_better_is_not_overfitted():
    performance = np.random.default_rng(8).normal(size=(208, 20))
    performance[:, 7] += 1.0
    assert backtest_overfitting(performance).probability < 0.001


def test_the_best_of_a_half_that_is_the_worst_of_the_other_is_overfitted():
    """Trials whose returns are a fixed total, shared out over time, must lose out of sample what they won in it."""
    performance = np.random.default_rng(9).normal(size=(160, 11))
    performance -= performance.mean(axis=0)
    assert backtest_overfitting(performance).probability > 0.95


def test_equal_trials_say_nothing():
    one = np.random.default_rng(10).normal(size=(40, 1))
    assert backtest_overfitting(np.repeat(one, 4, axis=1)).probability == 0.5
    assert backtest_overfitting(np.zeros((40, 3))).probability == 0.5


@given(st.integers(4, 70), st.integers(2, 6), st.sampled_from([2, 8, 16]), st.integers(0, 99))
def test_the_order_of_the_trials_does_not_matter(periods: int, trials: int, blocks: int, seed: int):
    rng = np.random.default_rng(seed)
    performance = rng.integers(-2, 3, size=(periods, trials)).astype(float)
    found = backtest_overfitting(performance, blocks)
    assert 0.0 <= found.probability <= 1.0
    mixed = backtest_overfitting(performance[:, rng.permutation(trials)], blocks)
    assert mixed.probability == pytest.approx(found.probability)
