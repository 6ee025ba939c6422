"""Intervals against brute force, and the laws that resamples keep."""

from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from ste.evaluation.bootstrap import (
    MIN_BLOCKS,
    MIN_PERIODS,
    Resampling,
    binomial_interval,
    block_length,
    overlap_block,
    overlap_ratio,
)
from ste.evaluation.roc import area_under_roc


def ar1(rng: np.random.Generator, n: int, persistence: float) -> np.ndarray:
    out = rng.normal(size=n)
    for k in range(1, n):
        out[k] += persistence * out[k - 1]
    return out


@given(units=st.integers(1, 40), block=st.integers(1, 6), resamples=st.integers(0, 300), seed=st.integers(0, 9))
@settings(max_examples=40)
def test_a_resample_is_circular_blocks_of_neighbours_cut_to_the_number_of_units(units, block, resamples, seed):
    block = min(block, units)
    drawn = Resampling.draw_blocks(units, block, resamples, seed)
    starts = np.random.default_rng(seed).integers(units, size=(resamples, -(-units // block)))
    for counts, begin in zip(drawn.multiplicity[1:], starts, strict=True):
        rows = [(b + k) % units for b in begin for k in range(block)][:units]
        assert counts.tolist() == np.bincount(rows, minlength=units).tolist()
    assert (drawn.multiplicity[0] == 1).all()
    assert drawn.independent == units // block


def test_sums_are_those_of_the_gathered_units():
    rng = np.random.default_rng(0)
    drawn = Resampling.draw_blocks(50, 3, 400, seed=1)
    for statistic in (rng.integers(0, 9, (50, 2, 3)), rng.integers(0, 2**40, (50, 2)), rng.normal(size=50)):
        expected = np.einsum("ru,u...->r...", drawn.multiplicity.astype(np.float64), statistic.astype(np.float64))
        found = drawn.sums(statistic)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
        if np.issubdtype(statistic.dtype, np.integer):
            assert (found == expected).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.randoms(use_true_random=False))
@example([5e-324, 0.0, 1e-310], Random(0))
@settings(max_examples=50)
def test_no_sum_is_rounded_so_that_order_and_threads_cannot_matter(values, random):
    drawn = Resampling.draw_blocks(len(values), 1, 20, seed=0)
    shuffled = list(range(len(values)))
    random.shuffle(shuffled)
    other = Resampling(drawn.multiplicity[:, shuffled], drawn.independent)
    statistic = np.array(values)
    assert (drawn.sums(statistic) == other.sums(statistic[shuffled])).all()


def interval(drawn: Resampling, figure: np.ndarray) -> tuple[float, float]:
    low, high = drawn.intervals(figure[None])[0].tolist()
    return low, high


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(3).normal(size=30)
    drawn = Resampling.draw_blocks(30, 1, 20000, seed=0)
    low, high = interval(drawn, drawn.sums(values) / 30)
    half = t.ppf(0.975, 29) * values.std(ddof=1) / np.sqrt(30)
    assert low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_stretch_goes_to_one_with_many_units_and_is_finite_with_one():
    draws = np.concatenate([[0.0], norm.ppf((np.arange(2000) + 0.5) / 2000)])
    wide, low_high = (interval(Resampling(np.ones((1, 1)), n), draws) for n in (1, 10**6))
    assert np.isfinite(wide).all()
    assert low_high == pytest.approx((-1.96, 1.96), abs=0.01)


def test_the_number_of_resamples_makes_no_interval_narrower():
    """The 5th and the 195th of 199 resamples have one fortieth of them at or beyond."""
    draws = np.append(0.0, np.random.default_rng(0).permutation(np.arange(1.0, 200.0)))
    assert interval(Resampling(np.ones((1, 1)), 10**9), draws) == pytest.approx((5.0, 195.0), abs=1e-6)


def test_resamples_without_a_value_are_left_out_and_none_gives_no_interval():
    drawn = Resampling.draw_blocks(20, 1, 0, seed=0)
    assert np.isnan(interval(drawn, np.array([0.4]))).all()
    assert np.isnan(interval(drawn, np.array([0.4, np.nan]))).all()
    assert interval(drawn, np.array([0.4, np.nan, 0.5, 0.5])) == (0.5, 0.5)


def test_figures_together_have_the_intervals_and_p_values_that_each_has_alone():
    rng = np.random.default_rng(5)
    drawn = Resampling.draw_blocks(20, 1, 60, seed=0)
    figures = rng.normal(size=(6, 61))
    figures[1, 3:9], figures[2, 1:], figures[3, 0], figures[4] = np.nan, np.nan, np.nan, 0.0
    together = drawn.intervals(figures), drawn.p_values(figures)
    alone = [(drawn.intervals(figure[None])[0], drawn.p_values(figure[None])[0]) for figure in figures]
    np.testing.assert_array_equal(together[0], [pair[0] for pair in alone])
    np.testing.assert_array_equal(together[1], [pair[1] for pair in alone])
    assert np.isfinite(together[0]).all(axis=1).tolist() == [True, True, False, True, True, True]
    assert together[1][[2, 3, 4]].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("shift", [0.3, 2.0])
def test_the_p_value_is_students_also_far_beyond_the_number_of_resamples(shift):
    values = np.random.default_rng(1).normal(size=40) + shift
    drawn = Resampling.draw_blocks(40, 1, 20000, seed=0)
    found = drawn.p_values(drawn.sums(values)[None] / 40)[0]
    statistic = values.mean() / (values.std(ddof=1) / np.sqrt(40))
    assert t.isf(found, 39) == pytest.approx(statistic, rel=0.03)


def test_a_gain_of_zero_in_all_periods_is_no_evidence():
    drawn = Resampling.draw_blocks(12, 1, 50, seed=0)
    gains = np.stack([np.zeros(51), np.full(51, 0.2), np.full(51, -0.2)])
    assert drawn.p_values(gains).tolist() == [1.0, 0.0, 1.0]
    assert Resampling.draw_blocks(1, 1, 50, seed=0).p_values(np.linspace(0.1, 0.2, 51)[None]) == 1.0


def test_blocks_are_longer_where_the_series_depends_on_its_past():
    rng = np.random.default_rng(0)
    noise, calm = rng.normal(size=400), ar1(rng, 400, 0.8)
    assert block_length([noise], 1) < 10
    assert block_length([calm], 1) > 20
    assert block_length([noise, calm], 1) == block_length([calm], 1)
    assert block_length([noise], 17) == overlap_block(400, 17) == 34


@given(n=st.integers(1, 300), horizon=st.integers(1, 5), persistence=st.floats(0, 0.99), seed=st.integers(0, 5))
@settings(max_examples=60)
def test_a_block_is_never_shorter_than_the_horizon_and_leaves_five_blocks(n, horizon, persistence, seed):
    series = ar1(np.random.default_rng(seed), n, persistence)
    block = block_length([series, np.zeros(n)], horizon)
    assert block >= horizon
    assert block == horizon or n / block >= MIN_BLOCKS


def test_a_constant_series_needs_no_longer_block():
    assert block_length([np.zeros(100)], 3) == overlap_block(100, 3)


def test_blocks_of_overlapping_labels_are_two_to_four_horizons_where_enough_remain():
    assert [overlap_block(n, 1) for n in (5, 50, 5000)] == [1, 1, 1]
    assert [overlap_block(n, 4) for n in (12, 39, 40, 119, 120, 160, 9999)] == [4, 4, 8, 8, 12, 16, 16]


def known_covariance(units: int, horizon: int) -> np.ndarray:
    """Of units whose labels share returns: two at distance k share `horizon` - k of `horizon`."""
    shares = (np.arange(units)[:, None] <= np.arange(units + horizon - 1)) & (
        np.arange(units + horizon - 1) < np.arange(units)[:, None] + horizon
    )
    return shares.astype(float) @ shares.T / horizon


@given(units=st.integers(2, 40), block=st.integers(1, 12), horizon=st.integers(1, 12))
@settings(max_examples=60)
def test_the_ratio_of_overlap_is_that_of_the_exact_variances(units: int, block: int, horizon: int):
    def ratio(covariance: np.ndarray) -> float:
        """Variance of a sum over the expected variance of its resamples, start by start."""
        expected = 0.0
        for length in [block] * (units // block) + [units % block] * (units % block > 0):
            for begin in range(units):
                weights = np.bincount((begin + np.arange(length)) % units, minlength=units) - length / units
                expected += weights @ covariance @ weights / units
        return covariance.sum() / expected

    found = overlap_ratio(units, block, horizon)
    if block >= units:
        assert found == 1.0
    else:
        assert found == pytest.approx(ratio(known_covariance(units, horizon)) / ratio(np.eye(units)), rel=1e-9)
        assert found >= 1.0 - 1e-12


def overlapping_means(rng: np.random.Generator, series: int, units: int, horizon: int) -> np.ndarray:
    """Means of `horizon` neighbouring returns, `[units, series]`."""
    totals = np.vstack([np.zeros((1, series)), rng.normal(size=(units + horizon - 1, series)).cumsum(axis=0)])
    return (totals[horizon:] - totals[:-horizon]) / horizon


@pytest.mark.parametrize(("units", "horizon"), [(104, 1), (104, 4), (260, 13), (520, 13)])
def test_the_standard_error_of_a_mean_of_overlapping_labels_is_the_known_one(units: int, horizon: int):
    values = overlapping_means(np.random.default_rng(0), 1500, units, horizon)
    drawn = Resampling.draw_blocks(units, overlap_block(units, horizon), 300, 0, horizon)
    n = drawn.independent
    found = (drawn.sums(values)[1:] / units).var(axis=0, ddof=1).mean() * drawn.overlap * n / (n - 1)
    known = known_covariance(units, horizon).sum() / units**2 / horizon
    assert np.sqrt(found / known) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("units", "horizon"), [(12, 1), (52, 4), (260, 4), (130, 13), (260, 13), (260, 26)])
def test_intervals_and_p_values_of_overlapping_labels_hold_their_rate(units: int, horizon: int):
    assert units >= MIN_PERIODS * horizon
    values = overlapping_means(np.random.default_rng(1), 2000, units, horizon)
    drawn = Resampling.draw_blocks(units, overlap_block(units, horizon), 400, 0, horizon)
    figures = (drawn.sums(values) / units).T
    low, high = drawn.intervals(figures).T
    assert 0.015 < ((low > 0) | (high < 0)).mean() < 0.065  # three standard errors above 0.05
    assert 0.015 < (drawn.p_values(figures) < 0.05).mean() < 0.065


@pytest.mark.parametrize(("right", "n"), [(0, 12), (2, 12), (12, 12), (4, 12), (130, 300)])
def test_the_binomial_interval_is_exact(right: int, n: int):
    expected = binomtest(right, n).proportion_ci(method="exact")
    assert binomial_interval(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("values", [5, 100000])
def test_resampled_areas_are_those_of_the_gathered_rows(values: int):
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(2)
    unit = np.sort(rng.integers(40, size=4000))
    positive = rng.random(4000) < 0.4
    score = np.floor(values * (rng.normal(size=4000) + positive))
    drawn = Resampling.draw_blocks(40, 2, 20, seed=0)
    areas = area_under_roc(score, positive, unit, drawn)
    assert areas[0] == pytest.approx(roc_auc_score(positive, score), abs=1e-12)
    by_unit = [np.flatnonzero(unit == u) for u in range(40)]
    for counts, area in zip(drawn.multiplicity[1:], areas[1:], strict=True):
        rows = np.concatenate([np.tile(by_unit[u], int(n)) for u, n in enumerate(counts) if n])
        exact = roc_auc_score(positive[rows], score[rows])
        assert area == pytest.approx(exact, abs=1e-12 if values == 5 else 1e-4)


def test_an_area_of_rows_in_fewer_than_ten_units_has_no_resamples():
    drawn = Resampling.draw_blocks(12, 1, 20, seed=0)
    unit, positive = np.arange(9), np.arange(9) > 3
    areas = area_under_roc(np.arange(9.0), positive, unit, drawn)
    assert areas[0] == 1.0
    assert np.isnan(areas[1:]).all()
    assert np.isfinite(area_under_roc(np.arange(10.0), np.arange(10) > 4, np.arange(10), drawn)[1:]).any()


def test_an_area_without_one_side_has_no_value():
    drawn = Resampling.draw_blocks(3, 1, 10, seed=0)
    unit = np.array([0, 1, 2])
    assert np.isnan(area_under_roc(np.arange(3.0), np.ones(3, dtype=bool), unit, drawn)).all()
    assert np.isnan(area_under_roc(np.empty(0), np.empty(0, dtype=bool), unit[:0], drawn)).all()
