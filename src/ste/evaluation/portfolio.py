"""A portfolio that trades the predictions and pays transaction costs.

Positions are taken at the close of a period and held for the horizon. With a horizon above one period, only every
horizon-th period is traded, so that positions do not overlap. Weights are fractions of the equity. Between two trades
they drift with the returns; the turnover is the distance from the drifted weights to the new ones, including the first
entry from cash. Cash earns nothing, and borrowing shares is free. The last positions are not closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ste.evaluation.bootstrap import Resampling
from ste.evaluation.classification import Figures
from ste.evaluation.information_coefficient import MIN_TICKERS
from ste.evaluation.metrics.base import Metric, divide
from ste.schema import falling, rising

PORTFOLIO_METRICS = {
    metric.name: metric
    for metric in (
        Metric("portfolio_annual_return", -1.0),
        Metric("portfolio_volatility", 0.0, higher_is_better=False),
        Metric("portfolio_sharpe"),
        Metric("portfolio_max_drawdown", -1.0, 0.0),
        Metric("portfolio_turnover", 0.0, higher_is_better=False),
        Metric("portfolio_hit_rate", 0.0, 1.0),
    )
}
"""Metrics of a portfolio after costs."""

_MIN_EQUITY = 1e-300  # lower bound inside a logarithm


@dataclass(frozen=True, eq=False)
class Trades:
    """Entries of a portfolio, one per holding period.

    Attributes:
        period: int64 `[T]`, index of the period at whose close the positions are taken.
        returns: float64 `[T]`, simple return until the next entry, after costs.
        turnover: float64 `[T]`, sum of absolute changes of weight.
        invested: bool `[T]`, whether any position is held.
    """

    period: np.ndarray
    returns: np.ndarray
    turnover: np.ndarray
    invested: np.ndarray

    @property
    def equity(self) -> np.ndarray:
        """Value of 1 invested, after each entry `[T]`; it stays at 0 after a total loss."""
        return np.cumprod(1.0 + self.returns)


def lean(probs: np.ndarray) -> np.ndarray:
    """Return the probability of a rise less that of a fall, `[N]`, of class probabilities `[N, C]`."""
    classes = probs.shape[1]
    return probs[:, rising(classes)].sum(axis=1) - probs[:, falling(classes)].sum(axis=1)


def long_short(score: np.ndarray) -> np.ndarray:
    """Weights `[K]`: the top third of the tickers long, the bottom third short, 100 % each, equal weights.

    Tickers of equal score get equal weights: those at the boundary of a third share its positions, so that the order
    of tickers has no effect. A period in which all scores are equal is not traded.

    Args:
        score: `[K]`, at least three.
    """
    count, third = len(score), len(score) // 3
    positions = np.zeros(count)  # integers, so that long and short cancel exactly
    positions[:third], positions[count - third :] = -1.0, 1.0
    _, tied = np.unique(score, return_inverse=True)
    shared = np.bincount(tied, weights=positions[np.argsort(np.argsort(score, kind="stable"), kind="stable")])
    return (shared / np.bincount(tied) / third)[tied]


def long_only(rises: np.ndarray) -> np.ndarray:
    """Equal weights `[K]` of the tickers that are predicted to rise, 100 % in total; cash if there is none."""
    return rises / max(int(rises.sum()), 1)


def trade(
    probs: np.ndarray,
    returns: np.ndarray,
    period: np.ndarray,
    period_index: np.ndarray,
    ticker: np.ndarray,
    *,
    kind: str,
    cost_bps: float,
    horizon: int,
) -> Trades | None:
    """Trade one path of predictions.

    Args:
        probs: `[N, C]`. `long_short` ranks by the probability of a rise less that of a fall (`lean`), `long_only`
            holds the tickers whose most probable class is a rise.
        returns: `[N]`, simple, over the horizon.
        period: int64 `[N]`, ascending index of each row's period.
        period_index: int64 `[P]`, calendar number of each period; consecutive periods differ by 1.
        ticker: int64 `[N]`, codes from 0.
        kind: `long_short` or `long_only`.
        cost_bps: costs per unit of turnover, basis points of the equity.
        horizon: periods that a position is held.

    Returns:
        None where no period has three tickers.
    """
    known = np.isfinite(returns)
    probs, returns, period, ticker = probs[known], returns[known], period[known], ticker[known]
    begins = np.searchsorted(period, np.arange(len(period_index) + 1))
    if not (np.diff(begins) >= MIN_TICKERS).any():
        return None
    score, rises = lean(probs), probs.argmax(axis=1) >= (probs.shape[1] + 1) // 2
    drifted = np.zeros(int(ticker.max()) + 1)  # weights before the trade
    entries, last = [], None
    for p in range(len(period_index)):
        if last is not None and period_index[p] < last + horizon:
            continue
        last = int(period_index[p])
        rows = slice(begins[p], begins[p + 1])
        weights, gains = np.zeros_like(drifted), np.zeros_like(drifted)
        if begins[p + 1] - begins[p] >= MIN_TICKERS:
            weights[ticker[rows]] = long_short(score[rows]) if kind == "long_short" else long_only(rises[rows])
            gains[ticker[rows]] = returns[rows]
        turnover = float(np.abs(weights - drifted).sum())
        net = max(float((weights * gains).sum()) - turnover * cost_bps / 1e4, -1.0)
        drifted = weights * (1.0 + gains) / (1.0 + net) if net > -1.0 else np.zeros_like(drifted)
        entries.append((p, net, turnover, bool(weights.any())))
    columns = [np.array(column) for column in zip(*entries, strict=True)]
    return Trades(*columns)


def average_paths(paths: Sequence[Trades]) -> Trades:
    """One portfolio that splits its equity equally among the paths that trade in a period."""
    period = np.unique(np.concatenate([path.period for path in paths]))
    at = [np.searchsorted(period, path.period) for path in paths]
    count = np.bincount(np.concatenate(at), minlength=len(period))

    def mean(values: list[np.ndarray]) -> np.ndarray:
        return np.bincount(np.concatenate(at), weights=np.concatenate(values), minlength=len(period)) / count

    returns, turnover = mean([path.returns for path in paths]), mean([path.turnover for path in paths])
    invested = mean([path.invested.astype(float) for path in paths]) > 0
    return Trades(period, returns, turnover, invested)


def hold_all(returns: np.ndarray, period: np.ndarray, traded: np.ndarray) -> np.ndarray:
    """Return of all tickers at equal weights over each holding period, before costs, float64 `[T]`.

    It is the benchmark of a portfolio: the tickers of the predictions, bought at the same closes and held as long,
    without any prediction. Weights are equal again at each of these closes. A period without a known return earns 0.

    Args:
        returns: `[N]`, simple, over the horizon; those that are not finite are left out.
        period: int64 `[N]`, index of each row's period.
        traded: int64 `[T]`, periods at whose close positions are taken (`Trades.period`).
    """
    known = np.isfinite(returns)
    count = int(traded.max(initial=-1)) + 1
    total = np.bincount(period[known], weights=returns[known], minlength=count)
    return divide(total, np.bincount(period[known], minlength=count))[traded]


def portfolio_figures(trades: Trades, resampling: Resampling, per_year: float) -> Figures:
    """Every metric of `PORTFOLIO_METRICS` that has a value, `[1 + R]`; `[1]` of the drawdown, which depends on order.

    Definitions are those of empyrical: annual return is the geometric mean, volatility the standard deviation
    (n - 1) times the root of the entries in a year, Sharpe the mean over the standard deviation times that
    root, without a riskless return. The hit rate is the fraction of entries with positions that ended above 0, the
    turnover the mean per entry.

    Args:
        trades: of the portfolio.
        resampling: of the periods.
        per_year: entries in a year.
    """
    net = trades.returns
    logs = np.log(np.maximum(1.0 + net, _MIN_EQUITY))
    won = (net > 0) & trades.invested
    entered = np.stack([np.ones(len(net)), net, net**2, logs, trades.turnover, trades.invested, won], axis=1)
    per_period = np.zeros((resampling.units, entered.shape[1]))
    per_period[trades.period] = entered
    n, total, squares, growth, moved, invested, hits = (resampling.sums(column) for column in per_period.T)
    with np.errstate(divide="ignore", invalid="ignore"):  # resamples with no or one entry
        mean = total / n
        std = np.sqrt(np.maximum(squares - total * mean, 0.0) / (n - 1))
        std = np.where((n > 1) & (std > 1e-12), std, np.nan)
        figures = {
            "annual_return": np.expm1(growth / n * per_year),
            "volatility": std * np.sqrt(per_year),
            "sharpe": mean / std * np.sqrt(per_year),
            "hit_rate": hits / invested,
            "turnover": moved / n,
        }
    peaks = np.maximum.accumulate(np.append(1.0, trades.equity))[1:]
    figures["max_drawdown"] = np.array([(trades.equity / peaks - 1.0).min(initial=0.0)])
    return {f"portfolio_{name}": values for name, values in figures.items() if np.isfinite(values[0])}
