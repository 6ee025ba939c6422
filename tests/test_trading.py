"""Portfolios of predictions against figures worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.errors import ConfigError
from ste.evaluation.bootstrap import Resampling
from ste.evaluation.portfolio.benchmark import hold_all
from ste.evaluation.portfolio.candidates import Candidates, no_past
from ste.evaluation.portfolio.ledger import average_paths
from ste.evaluation.portfolio.past_returns import PastReturns
from ste.evaluation.portfolio.portfolio_figures import portfolio_figures
from ste.evaluation.portfolio.rules import TradingRules
from ste.evaluation.portfolio.trading import TradedRows, trade


def probabilities(score: list[float]) -> np.ndarray:
    """Probabilities whose p_up - p_down is the score."""
    s = np.array(score)
    return np.stack([(1 - s) / 3, np.full(len(s), 1 / 3), (1 + s) / 3], axis=1)


def weights(probs: np.ndarray, kind: str = "long_short", past=no_past, held=None, **arguments) -> np.ndarray:
    held = np.zeros(len(probs)) if held is None else held
    return TradingRules(kind, arguments).construction()(Candidates(probs, held, past))


def long_short(score: np.ndarray) -> np.ndarray:
    return weights(probabilities(score / max(np.abs(score).max(initial=0.0), 1.0)))


def traded(probs, returns, period, number=None, ticker=None, kind="long_short", cost_bps=10.0, horizon=1, **more):
    period, returns = np.array(period), np.array(returns)
    number = np.arange(period.max() + 1) if number is None else np.array(number)
    ticker = np.tile(np.arange(3), len(period))[: len(period)] if ticker is None else np.array(ticker)
    rows = TradedRows(probs, returns, np.full(len(period), cost_bps * 1e-4), period, ticker)
    return trade(rows, number, TradingRules(kind).construction(), horizon=horizon, **more)


def book(score, *args, **named):
    return traded(probabilities(score), *args, **named)


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
    trades = traded(claims, returns, period, kind="long_only", cost_bps=0.0)
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
    falling = np.tile([0.8, 0.1, 0.1], (4, 1))
    assert weights(falling, "long_only").tolist() == [0.0] * 4
    assert weights(falling, "topk", k=2).tolist() == [0.0] * 4


@pytest.mark.parametrize("count", [3, 7, 20, 50, 88])
def test_equal_scores_are_cash_exactly(count: int):
    assert (long_short(np.full(count, 0.3)) == 0.0).all()
    claims = np.tile([0.3, 0.4, 0.3], (2 * count, 1))
    returns, period = np.random.default_rng(0).normal(size=2 * count), np.repeat([0, 1], count)
    trades = traded(claims, returns, period, ticker=np.tile(np.arange(count), 2))
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


def test_positions_before_a_missing_period_are_closed_at_the_end_of_their_horizon():
    score, returns = [-0.5, 0.0, 0.5] * 2, [0.0, 0.0, 0.10] * 2
    through = book(score, returns, [0, 0, 0, 1, 1, 1], number=[4, 5])
    over_gap = book(score, returns, [0, 0, 0, 1, 1, 1], number=[4, 6])
    net = 0.10 - 0.002
    assert through.turnover[1] == pytest.approx(abs(1 - 1.10 / (1 + net)) + abs(-1 + 1.0 / (1 + net)))
    assert over_gap.turnover[1] == pytest.approx(2.0 + (1.10 + 1.0) / (1 + net))  # closed, and entered again


def test_short_positions_pay_borrow_and_a_ticker_that_left_its_own_costs():
    free, paid = (book([-0.5, 0.0, 0.5], [0.0, 0.0, 0.1], [0, 0, 0], borrow=rate) for rate in (0.0, 0.001))
    assert free.returns[0] - paid.returns[0] == pytest.approx(0.001)
    assert paid.borrow.tolist() == [0.001]
    # Ticker 2 has no row in period 1: it is sold at its own cost, 30 basis points.
    period, ticker = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 3])
    costs = np.array([0.0, 0.0, 0.003, 0.0, 0.0, 0.0])
    rows = TradedRows(np.tile([0.8, 0.1, 0.1], (6, 1)), np.zeros(6), costs, period, ticker)
    rows.probs[2] = [0.1, 0.1, 0.8]
    trades = trade(rows, np.arange(2), TradingRules("long_only").construction())
    assert trades.costs == pytest.approx([0.003, 0.003 / (1 - 0.003)])


def test_top_k_holds_the_k_highest_scores_and_ties_share_the_last_position():
    assert weights(probabilities([0.1, 0.4, -0.2, 0.3]), "topk", k=2).tolist() == [0.0, 0.5, 0.0, 0.5]
    assert weights(probabilities([0.1, 0.4, 0.1, -0.3]), "topk", k=2) == pytest.approx([0.25, 0.5, 0.25, 0.0])
    assert weights(probabilities([0.1, 0.4, -0.2]), "topk", k=9) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("topk", {"k": 0}, r"scoring.portfolio_arguments.k=0: expected a whole number, 1 or more"),
        ("topk", {"kk": 3}, r"scoring.portfolio_arguments.*unexpected keyword argument 'kk'"),
        ("optimized", {"max_weight": 2.0}, r"max_weight=2.0: expected a number above 0 to 1"),
        ("optimized", {"lookback": 3}, r"lookback=3: expected a whole number, 20 or more"),
        ("optimised", {}, r"scoring.portfolio=optimised.*optimized"),
    ],
)
def test_an_argument_that_cannot_be_used_is_an_error(kind: str, arguments: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        TradingRules(kind, arguments).construction()


def market_past(periods: int = 60, tickers: int = 12):
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 0.04, (periods, tickers)) + rng.normal(0.0, 0.02, (periods, 1))
    return lambda wanted: values[-wanted:]


@settings(max_examples=15)
@given(st.integers(0, 2**16), st.floats(0.05, 0.5), st.floats(0.02, 0.3))
def test_optimized_weights_keep_their_limits(seed: int, max_weight: float, max_turnover: float):
    rng = np.random.default_rng(seed)
    held = rng.dirichlet(np.ones(12)) * rng.uniform(0, 1)
    chosen = weights(
        rng.dirichlet(np.ones(3), 12),
        "optimized",
        market_past(),
        held,
        max_weight=max_weight,
        max_turnover=max_turnover,
    )
    assert chosen.min() >= 0.0
    assert (chosen <= np.maximum(max_weight, held - max_turnover) + 1e-5).all()
    assert (np.abs(chosen - held) <= max_turnover + 1e-5).all()
    assert chosen.sum() <= max(1.0, np.maximum(held - max_turnover, 0.0).sum()) + 1e-5


def test_optimized_weights_are_the_ones_of_the_closed_form_where_no_limit_binds():
    probs, past = probabilities(np.linspace(-0.3, 0.3, 4).tolist()), market_past(60, 4)
    chosen = weights(probs, "optimized", past, max_weight=1.0, max_turnover=1.0, risk_aversion=20.0)
    from sklearn.covariance import LedoitWolf

    values = past(60)
    score = probs[:, 2] - probs[:, 0]
    expected = 0.05 * values.std(axis=0, ddof=1) * (score - score.mean()) / score.std()
    covariance = LedoitWolf().fit(values).covariance_
    held = np.flatnonzero(chosen)
    assert 0 < len(held) < 4
    assert 0.0 < chosen.sum() < 1.0
    # First-order conditions of the maximum of w'm - 20 w'Cw with w >= 0.
    slope = expected - 40.0 * covariance @ chosen
    assert slope[held] == pytest.approx(np.zeros(len(held)), abs=1e-5)
    assert (slope <= 1e-5).all()


def test_optimized_is_in_cash_without_a_past_and_for_equal_scores():
    rising = probabilities([0.1, 0.2, 0.3])
    assert weights(rising, "optimized").tolist() == [0.0] * 3
    assert weights(rising, "optimized", market_past(19, 3)).tolist() == [0.0] * 3
    assert weights(probabilities([0.1] * 3), "optimized", market_past(60, 3)).tolist() == [0.0] * 3


@given(st.integers(1, 4), st.integers(0, 12), st.integers(1, 8))
def test_the_past_of_a_period_has_ended_by_its_close(horizon: int, now: int, wanted: int):
    period, ticker = np.repeat(np.arange(12), 2), np.tile([0, 1], 12)
    past = PastReturns(period, ticker, period * 10.0 + ticker, horizon)
    found = past(now, wanted, np.array([1, 0]))
    known = [p for p in range(12) if p + horizon <= now][-wanted:]
    assert found.tolist() == [[p * 10.0 + 1, p * 10.0] for p in known]


def test_later_returns_do_not_change_earlier_weights():
    """A portfolio that weighs risks, whose returns after a period are changed, has the same weights up to it."""
    rng = np.random.default_rng(1)
    periods, count, cut = 40, 5, 30
    period, ticker = np.repeat(np.arange(periods), count), np.tile(np.arange(count), periods)
    probs, returns = rng.dirichlet(np.ones(3), periods * count), rng.normal(0, 0.03, periods * count)
    changed = np.where(period >= cut, rng.normal(0, 0.3, periods * count), returns)
    trades = []
    for own in (returns, changed):
        rows = TradedRows(probs, own, np.zeros(len(own)), period, ticker)
        rules = TradingRules("optimized", {"max_weight": 0.5, "max_turnover": 0.5})
        past = PastReturns(period, ticker, own, 1)
        trades.append(trade(rows, np.arange(periods), rules.construction(), past=past))
    assert trades[0].exposure[: cut + 1].tolist() == trades[1].exposure[: cut + 1].tolist()
    assert trades[0].returns[:cut].tolist() == trades[1].returns[:cut].tolist()
    assert trades[0].exposure[20:cut].max() > 0.0
    assert trades[0].exposure.tolist() != trades[1].exposure.tolist()
