"""Figures of a portfolio after costs, by the definitions of quantstats."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.classification import Figures
from ste.evaluation.metrics.base import Metric
from ste.evaluation.portfolio.ledger import Trades

PORTFOLIO_METRICS = {
    metric.name: metric
    for metric in (
        Metric("portfolio_annual_return", -1.0),
        Metric("portfolio_volatility", 0.0, higher_is_better=False),
        Metric("portfolio_sharpe"),
        Metric("portfolio_sortino"),
        Metric("portfolio_calmar"),
        Metric("portfolio_max_drawdown", -1.0, 0.0),
        Metric("portfolio_value_at_risk"),
        Metric("portfolio_expected_shortfall"),
        Metric("portfolio_hit_rate", 0.0, 1.0),
        Metric("portfolio_profit_factor", 0.0),
        Metric("portfolio_time_in_market", 0.0, 1.0),
        Metric("portfolio_exposure", 0.0),
        Metric("portfolio_turnover", 0.0, higher_is_better=False),
        Metric("portfolio_alpha"),
        Metric("portfolio_beta"),
    )
}
"""Metrics of a portfolio after costs."""

CONFIDENCE = 0.95
"""Of value at risk and expected shortfall."""

_MIN_EQUITY = 1e-300  # lower bound inside a logarithm
_FLAT = 1e-12  # a smaller deviation is rounding


def portfolio_figures(
    trades: Trades, resampling: Resampling, per_year: float, benchmark: np.ndarray | None = None
) -> Figures:
    """Every metric of `PORTFOLIO_METRICS` that has a value, `[1 + R]`; `[1]` of those that depend on the order.

    Definitions are those of quantstats: the annual return (CAGR) is the geometric mean; Sharpe and Sortino ratio are
    the mean over the standard deviation (n - 1) and over the root of the mean square of the losses, times the root of
    the entries in a year, without a riskless return; Calmar is the annual return over the largest drawdown; value at
    risk and expected shortfall are those of a normal distribution at 95 %, of one holding period; the hit rate is the
    fraction of gains among the returns other than 0, the profit factor the sum of gains over that of losses. Beta is
    the slope on the benchmark, alpha the intercept times the entries in a year. Exposure is the mean sum of absolute
    weights, turnover the mean sum of their absolute changes at an entry.

    Args:
        trades: of the portfolio.
        resampling: of the periods.
        per_year: entries in a year.
        benchmark: return of each holding period `[T]`; None leaves out alpha and beta.
    """
    net = trades.returns
    other = np.zeros(len(net)) if benchmark is None else benchmark
    columns = {
        "n": np.ones(len(net)),
        "total": net,
        "squares": net**2,
        "growth": np.log(np.maximum(1.0 + net, _MIN_EQUITY)),
        "losses": np.minimum(net, 0.0),
        "squared_losses": np.minimum(net, 0.0) ** 2,
        "gains": np.maximum(net, 0.0),
        "won": net > 0,
        "moved": net != 0,
        "invested": trades.invested,
        "exposure": trades.exposure,
        "turnover": trades.turnover,
        "other": other,
        "other_squares": other**2,
        "products": net * other,
    }
    per_period = np.zeros((resampling.units, len(columns)))
    per_period[trades.period] = np.stack([np.asarray(column, dtype=np.float64) for column in columns.values()], axis=1)
    sums = dict(zip(columns, (resampling.sums(column) for column in per_period.T), strict=True))
    figures = _figures_of_sums(sums, per_year)
    if benchmark is None:
        del figures["alpha"], figures["beta"]
    drawdown = np.array([drawdowns(net).min(initial=0.0)])
    figures["max_drawdown"] = drawdown
    if drawdown[0] < 0.0:
        figures["calmar"] = figures["annual_return"][:1] / -drawdown
    return {
        name: figures[short]
        for name in PORTFOLIO_METRICS
        if (short := name.removeprefix("portfolio_")) in figures and np.isfinite(figures[short][0])
    }


def _figures_of_sums(sums: Figures, per_year: float) -> Figures:
    """Figures of the sums over periods of each resample; NaN where one has no value."""
    n, total, year = sums["n"], sums["total"], np.sqrt(per_year)
    with np.errstate(divide="ignore", invalid="ignore"):  # resamples with no or one entry
        mean = total / n
        std = np.sqrt(np.maximum(sums["squares"] - total * mean, 0.0) / (n - 1))
        std = np.where((n > 1) & (std > _FLAT), std, np.nan)
        downside = np.sqrt(sums["squared_losses"] / n)
        spread = sums["other_squares"] - sums["other"] ** 2 / n
        beta = (sums["products"] - total * sums["other"] / n) / np.where(spread > _FLAT**2, spread, np.nan)
        tail = ndtri(1 - CONFIDENCE)
        density = np.exp(-(tail**2) / 2) / np.sqrt(2 * np.pi)
        return {
            "annual_return": np.expm1(sums["growth"] / n * per_year),
            "volatility": std * year,
            "sharpe": mean / std * year,
            "sortino": mean / np.where(downside > _FLAT, downside, np.nan) * year,
            "value_at_risk": mean + tail * std,
            "expected_shortfall": mean - std * density / (1 - CONFIDENCE),
            "hit_rate": sums["won"] / sums["moved"],
            "profit_factor": sums["gains"] / np.where(sums["losses"] < 0, -sums["losses"], np.nan),
            "time_in_market": sums["invested"] / n,
            "exposure": sums["exposure"] / n,
            "turnover": sums["turnover"] / n,
            "alpha": (mean - beta * sums["other"] / n) * per_year,
            "beta": beta,
        }


def drawdowns(returns: Sequence[float] | np.ndarray) -> np.ndarray:
    """Fraction lost since the highest value so far, 0 or less, after each return `[T]`."""
    equity = np.cumprod(1.0 + np.asarray(returns, dtype=np.float64))
    peaks = np.maximum.accumulate(np.append(1.0, equity))[1:]
    return equity / peaks - 1.0


def return_figures(returns: np.ndarray, per_year: float, benchmark: np.ndarray | None = None) -> dict[str, float]:
    """Figures of a series of returns that are already after costs, by name, without intervals.

    Args:
        returns: simple, of each holding period `[T]`, oldest first.
        per_year: holding periods in a year.
        benchmark: return of each holding period `[T]`, or None.
    """
    count, nothing = len(returns), np.zeros(len(returns))
    trades = Trades(np.arange(count), returns, nothing, returns != 0, nothing, nothing, nothing)
    figures = portfolio_figures(trades, Resampling.draw_blocks(count, 1, 0, 0), per_year, benchmark)
    without = ("portfolio_exposure", "portfolio_turnover")
    return {name: float(values[0]) for name, values in figures.items() if name not in without}
