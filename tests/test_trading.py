"""The book against figures worked out by hand and against empyrical."""

from dataclasses import replace

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.portfolio import average_paths, hold_all, long_only, long_short, portfolio_figures, trade

TICKERS = np.tile([0, 1, 2], 2)


def probabilities(score: list[float]) -> np.ndarray:
    """Probabilities whose p_up - p_down is the score."""
    s = np.array(score)
    return np.stack([(1 - s) / 3, np.full(len(s), 1 / 3), (1 + s) / 3], axis=1)


def book(score, returns, period, number=None, ticker=None, kind="long_short", cost_bps=10.0, horizon=1):
    period = np.array(period)
    number = np.arange(period.max() + 1) if number is None else np.array(number)
    ticker = np.tile(np.arange(3), len(period))[: len(period)] if ticker is None else np.array(ticker)
    return trade(
        probabilities(score), np.array(returns), period, number, ticker, kind=kind, cost_bps=cost_bps, horizon=horizon
    )


def test_two_periods_by_hand_with_costs_and_drift():
    # Period 0: long ticker 2, short ticker 0. Turnover 2 from cash, cost 2 * 10 bps = 0.002.
    # Gain: 0.10 - (-0.05) = 0.15 net of it 0.148. Drifted: long 1.10 / 1.148, short -0.95 / 1.148.
    # Period 1: long ticker 0, short ticker 2: turnover |1 + 0.95 / 1.148| + |-1 - 1.10 / 1.148|.
    trades = book([-0.5, 0.0, 0.5, 0.9, 0.0, -0.9], [-0.05, 0.5, 0.10, 0.02, 0.0, 0.01], [0, 0, 0, 1, 1, 1])
    second = (1 + 0.95 / 1.148) + (1 + 1.10 / 1.148)
    assert trades.turnover == pytest.approx([2.0, second])
    assert trades.returns == pytest.approx([0.148, 0.02 - 0.01 - second * 0.001])
    assert trades.equity == pytest.approx([1.148, 1.148 * (1.01 - second * 0.001)])


def test_the_benchmark_holds_every_ticker_with_a_known_return_at_equal_weights():
    returns = np.array([0.1, -0.2, 0.4, 0.02, np.nan, 0.04, 0.9, np.nan])
    period = np.array([0, 0, 0, 1, 1, 1, 2, 3])
    assert hold_all(returns, period, np.array([0, 1, 3])) == pytest.approx([0.1, 0.03, 0.0])
    assert hold_all(returns, period, np.array([], dtype=int)).tolist() == []


def test_the_same_position_held_costs_only_its_drift():
    trades = book([-0.5, 0.0, 0.5] * 2, [0.0, 0.0, 0.10] * 2, [0, 0, 0, 1, 1, 1])
    net = 0.10 - 0.002
    drift = abs(1 - 1.10 / (1 + net)) + abs(-1 + 1.0 / (1 + net))
    assert trades.turnover == pytest.approx([2.0, drift])


def test_long_only_holds_what_is_predicted_to_rise_else_cash():
    claims = np.array([[0.1, 0.2, 0.7], [0.1, 0.3, 0.6], [0.8, 0.1, 0.1]] + [[0.8, 0.1, 0.1]] * 3)
    returns = np.array([0.1, 0.3, -0.5, 0.2, 0.2, 0.2])
    period = np.array([0, 0, 0, 1, 1, 1])
    trades = trade(claims, returns, period, np.arange(2), TICKERS, kind="long_only", cost_bps=0.0, horizon=1)
    assert trades.returns == pytest.approx([0.2, 0.0])
    assert trades.turnover == pytest.approx([1.0, 1.0])
    assert trades.invested.tolist() == [True, False]


def test_every_horizonth_period_is_traded_by_the_calendar_and_not_by_the_row():
    score, returns = [-0.5, 0.0, 0.5] * 5, [0.0, 0.0, 0.01] * 5
    period = np.repeat(np.arange(5), 3)
    assert book(score, returns, period, horizon=2).period.tolist() == [0, 2, 4]
    assert book(score, returns, period, number=[7, 8, 12, 13, 14], horizon=2).period.tolist() == [0, 2, 4]
    assert book(score, returns, period, number=[7, 9, 10, 13, 14], horizon=2).period.tolist() == [0, 1, 3]


def test_a_period_of_two_tickers_is_not_traded_and_none_at_all_gives_no_book():
    trades = book([-0.5, 0.0, 0.5, 0.5, -0.5], [0.0, 0.0, 0.01, 0.5, 0.5], [0, 0, 0, 1, 1], ticker=[0, 1, 2, 0, 1])
    assert trades.invested.tolist() == [True, False]
    assert trades.returns[1] == pytest.approx(-trades.turnover[1] * 0.001)
    assert book([0.5, -0.5], [0.1, 0.1], [0, 0], ticker=[0, 1]) is None


def test_a_loss_of_everything_stays_one():
    trades = book([-0.5, 0.0, 0.5] * 2, [3.0, 0.0, -0.5, 0.0, 0.0, 0.1], [0, 0, 0, 1, 1, 1])
    assert trades.equity.tolist() == [0.0, 0.0]


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=40), st.randoms(use_true_random=False))
def test_long_short_is_balanced_and_blind_to_the_order_of_tickers(scores, random):
    score = np.array(scores, dtype=np.float64)
    weights = long_short(score)
    assert weights.sum() == pytest.approx(0.0, abs=1e-12)
    assert np.abs(weights).sum() <= 2.0 + 1e-12
    order = list(range(len(score)))
    random.shuffle(order)
    assert long_short(score[order]) == pytest.approx(weights[order], abs=1e-15)
    if len(set(scores)) == len(scores):
        third, ranked = len(score) // 3, np.argsort(score)
        assert weights[ranked[-third:]] == pytest.approx(np.full(third, 1 / third))
        assert weights[ranked[:third]] == pytest.approx(np.full(third, -1 / third))


def test_equal_scores_are_no_opinion():
    assert np.abs(long_short(np.ones(7))).max() < 1e-15
    assert long_only(np.zeros(4, dtype=bool)).tolist() == [0.0] * 4


@pytest.mark.parametrize(("per_year", "period"), [(52, "weekly"), (252, "daily")])
def test_figures_are_empyricals_and_resamples_are_those_of_the_gathered_returns(per_year: int, period: str):
    rng = np.random.default_rng(0)
    rows = 60 * 6
    trades = trade(
        probabilities(list(rng.uniform(-1, 1, rows))),
        rng.normal(0.001, 0.02, rows),
        np.repeat(np.arange(60), 6),
        np.arange(60),
        np.tile(np.arange(6), 60),
        kind="long_short",
        cost_bps=5.0,
        horizon=1,
    )
    drawn = Resampling.draw_blocks(60, 2, 30, seed=0)
    figures = portfolio_figures(trades, drawn, per_year)
    expected = {
        "portfolio_annual_return": empyrical.annual_return,
        "portfolio_volatility": empyrical.annual_volatility,
        "portfolio_sharpe": empyrical.sharpe_ratio,
    }
    for name, function in expected.items():
        assert figures[name][0] == pytest.approx(function(trades.returns, period=period), rel=1e-12)
        for counts, figure in zip(drawn.multiplicity[1:], figures[name][1:], strict=True):
            gathered = np.repeat(trades.returns, counts.astype(int))
            assert figure == pytest.approx(function(gathered, period=period), rel=1e-8)
    assert figures["portfolio_max_drawdown"] == pytest.approx([empyrical.max_drawdown(trades.returns)])
    assert figures["portfolio_hit_rate"][0] == pytest.approx((trades.returns > 0).mean())
    assert figures["portfolio_turnover"][0] == pytest.approx(trades.turnover.mean())


@pytest.mark.parametrize("count", [3, 7, 20, 50, 88])
def test_equal_scores_are_cash_exactly(count: int):
    assert (long_short(np.full(count, 0.3)) == 0.0).all()
    claims = np.tile([0.3, 0.4, 0.3], (2 * count, 1))
    trades = trade(
        claims,
        np.random.default_rng(0).normal(size=2 * count),
        np.repeat([0, 1], count),
        np.arange(2),
        np.tile(np.arange(count), 2),
        kind="long_short",
        cost_bps=5.0,
        horizon=1,
    )
    assert not trades.invested.any()
    figures = portfolio_figures(trades, Resampling.draw_blocks(2, 1, 20, seed=0), 52)
    assert "portfolio_sharpe" not in figures


def test_several_paths_are_their_mean_in_the_periods_they_share():
    one = book([-0.5, 0.0, 0.5] * 2, [0.0, 0.0, 0.10] * 2, [0, 0, 0, 1, 1, 1])
    other = replace(one, period=one.period + 1, returns=one.returns * 3, turnover=one.turnover * 3)
    both = average_paths([one, other])
    assert both.period.tolist() == [0, 1, 2]
    shared = (one.returns[1] + other.returns[0]) / 2
    assert both.returns == pytest.approx([one.returns[0], shared, other.returns[1]])
    assert both.turnover == pytest.approx(
        [one.turnover[0], (one.turnover[1] + other.turnover[0]) / 2, other.turnover[1]]
    )
