"""The tear sheet of a report against quantstats."""

import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context

with rc_context(), warnings.catch_warnings():  # it sets a style for every figure of the process
    warnings.simplefilter("ignore")  # of the libraries that it imports
    import quantstats.stats as qs

from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.reporting.formatting import MINUS
from ste.reporting.html.tear_sheet import rolling_sharpe, worst_drawdowns


def portfolio_of(returns: pd.Series, per_year: float = 52.0) -> Portfolio:
    values = returns.to_numpy()
    dates = [f"{day:%Y-%m-%d}" for day in returns.index]
    equity = np.cumprod(1 + values).tolist()
    return Portfolio(dates, values.tolist(), equity, [0.0] * len(values), "long_short", 5.0, per_year=per_year)


def drawn(seed: int, periods: int) -> pd.Series:
    days = pd.date_range("2020-01-03", periods=periods, freq="W-FRI")
    return pd.Series(np.random.default_rng(seed).normal(0.001, 0.02, periods), days)


@pytest.mark.parametrize("seed", range(4))
def test_the_worst_drawdowns_equal_quantstats(seed: int):
    returns = drawn(seed, 150)
    returns.iloc[0] = 0.01
    found = worst_drawdowns(portfolio_of(returns))
    details = qs.drawdown_details(qs.to_drawdown_series(returns)).nsmallest(5, "max drawdown")
    assert [row.depth for row in found] == [f"{v:.1f} %".replace("-", MINUS) for v in details["max drawdown"]]
    assert [(row.start, row.lowest, row.end) for row in found] == list(
        details[["start", "valley", "end"]].itertuples(index=False, name=None)
    )


def test_the_rolling_sharpe_ratio_equals_quantstats():
    returns = drawn(7, 130)
    dates, values, window = rolling_sharpe(portfolio_of(returns))
    expected = qs.rolling_sharpe(returns, rolling_period=52, periods_per_year=52, prepare_returns=False).dropna()
    assert window == 52
    assert values == pytest.approx(expected.to_numpy(), rel=1e-9)
    assert dates == [f"{day:%Y-%m-%d}" for day in expected.index]


def test_few_entries_have_a_shorter_window_or_none():
    assert rolling_sharpe(portfolio_of(drawn(0, 20)))[2] == 10
    assert rolling_sharpe(portfolio_of(drawn(0, 11)))[:2] == ([], [])
    assert worst_drawdowns(portfolio_of(pd.Series([0.1, 0.2], pd.date_range("2020-01-03", periods=2)))) == []
