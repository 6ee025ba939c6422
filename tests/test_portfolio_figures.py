"""The figures of a portfolio against quantstats and empyrical."""

import warnings

import empyrical
import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context

with rc_context(), warnings.catch_warnings():  # it sets a style for every figure of the process
    warnings.simplefilter("ignore")  # of the libraries that it imports
    import quantstats.stats as qs

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.portfolio.ledger import Trades, trade_weights
from ste.evaluation.portfolio.portfolio_figures import (
    PORTFOLIO_METRICS,
    drawdowns,
    portfolio_figures,
    return_figures,
)


def drawn(seed: int = 0, periods: int = 156) -> tuple[pd.Series, pd.Series]:
    """Returns of a portfolio and of a benchmark that it follows in part."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2020-01-03", periods=periods, freq="W-FRI")
    market = pd.Series(rng.normal(0.001, 0.02, periods), days)
    return 0.4 * market + rng.normal(0.0005, 0.015, periods), market


def of_quantstats(returns: pd.Series, market: pd.Series, per_year: int) -> dict[str, float]:
    greeks = qs.greeks(returns, market, periods=per_year, prepare_returns=False)
    plain = {"prepare_returns": False}
    return {
        "annual_return": qs.cagr(returns, periods=per_year),
        "volatility": qs.volatility(returns, periods=per_year, **plain),
        "sharpe": qs.sharpe(returns, periods=per_year),
        "sortino": qs.sortino(returns, periods=per_year),
        "calmar": qs.calmar(returns, periods=per_year, **plain),
        "max_drawdown": qs.max_drawdown(returns),
        "value_at_risk": qs.value_at_risk(returns, **plain),
        "expected_shortfall": qs.conditional_value_at_risk(returns, **plain),
        "hit_rate": qs.win_rate(returns, **plain),
        "profit_factor": qs.profit_factor(returns, **plain),
        "alpha": greeks["alpha"],
        "beta": greeks["beta"],
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_year", [52, 252, 12])
def test_every_figure_equals_quantstats(seed: int, per_year: int):
    returns, market = drawn(seed)
    returns.iloc[[7, 20]] = 0.0  # in cash
    figures = return_figures(returns.to_numpy(), per_year, market.to_numpy())
    expected = of_quantstats(returns, market, per_year)
    for name, value in expected.items():
        assert figures[f"portfolio_{name}"] == pytest.approx(value, rel=1e-9, abs=1e-12), name
    in_market = figures["portfolio_time_in_market"]
    assert np.ceil(in_market * 100) / 100 == qs.exposure(returns, prepare_returns=False)
    assert {f"portfolio_{name}" for name in expected} | {"portfolio_time_in_market"} == set(figures)


def test_drawdowns_equal_quantstats_from_the_first_loss_on():
    returns, _ = drawn(3)
    returns.iloc[0] = -0.08
    assert drawdowns(returns.to_numpy()) == pytest.approx(qs.to_drawdown_series(returns).to_numpy(), abs=1e-12)


def test_resamples_are_the_figures_of_the_gathered_returns():
    returns, market = drawn(1, 60)
    weights = np.ones((60, 1))
    trades = trade_weights(weights, returns.to_numpy()[:, None])
    resampling = Resampling.draw_blocks(60, 2, 25, seed=0)
    figures = portfolio_figures(trades, resampling, 52, market.to_numpy())
    for i, counts in enumerate(resampling.multiplicity[1:], start=1):
        at = np.repeat(np.arange(60), counts.astype(int))
        gathered = return_figures(trades.returns[at], 52, market.to_numpy()[at])
        for name, values in figures.items():
            if len(values) > 1 and name in gathered:
                assert values[i] == pytest.approx(gathered[name], rel=1e-8, abs=1e-12), name
    single = {"portfolio_max_drawdown", "portfolio_calmar"}  # they depend on the order
    assert {name for name, values in figures.items() if len(values) == 1} == single
    assert set(figures) == set(PORTFOLIO_METRICS)


def test_figures_equal_empyrical_too():
    returns, market = drawn(2)
    figures = return_figures(returns.to_numpy(), 52, market.to_numpy())
    assert figures["portfolio_annual_return"] == pytest.approx(empyrical.annual_return(returns, "weekly"))
    assert figures["portfolio_sharpe"] == pytest.approx(empyrical.sharpe_ratio(returns, period="weekly"))
    assert figures["portfolio_sortino"] == pytest.approx(empyrical.sortino_ratio(returns, period="weekly"))
    assert figures["portfolio_beta"] == pytest.approx(empyrical.beta(returns, market))


def test_turnover_and_exposure_are_means_of_the_entries():
    weights = np.array([[1.0, 0.0], [0.0, -0.5], [0.0, 0.0]])
    trades = trade_weights(weights, np.zeros((3, 2)))
    figures = portfolio_figures(trades, Resampling.draw_blocks(3, 1, 0, 0), 52)
    assert figures["portfolio_turnover"][0] == pytest.approx((1.0 + 1.5 + 0.5) / 3)
    assert figures["portfolio_exposure"][0] == pytest.approx(0.5)
    assert figures["portfolio_time_in_market"][0] == pytest.approx(2 / 3)


def test_a_portfolio_that_never_loses_and_one_in_cash():
    rising = return_figures(np.full(20, 0.01) + np.arange(20) * 1e-4, 52)
    for name in ("sortino", "calmar", "profit_factor", "alpha", "beta"):
        assert f"portfolio_{name}" not in rising
    nothing = np.zeros(20)
    cash = Trades(np.arange(20), nothing, nothing, nothing > 0, nothing, nothing, nothing)
    figures = portfolio_figures(cash, Resampling.draw_blocks(20, 1, 10, 0), 52, nothing)
    assert "portfolio_sharpe" not in figures
    assert "portfolio_beta" not in figures
    assert figures["portfolio_annual_return"][0] == 0.0
