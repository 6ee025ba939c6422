"""A portfolio that trades the predictions, with what its trades cost.

Positions are taken at a period's close and held for the horizon; with a horizon above one period every
horizon-th period is traded, so that no two positions overlap. Weights are shares of the equity; between
two trades they drift with the returns, and the turnover is what it takes to get from the drifted weights
to the new ones, the first entry from cash included. Cash earns nothing and borrowing shares is free. The
last positions are not closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ste.errors import ConfigError
from ste.evaluation.bootstrap import Resampling
from ste.evaluation.information_coefficient import FEWEST

KINDS = ("long_short", "long_only")
_RUIN = 1e-12  # equity that is left at least, where a logarithm is taken


@dataclass(frozen=True, eq=False)
class Trades:
    """What a portfolio did, one entry per holding period.

    Attributes:
        period: int64 `[T]`, index of the period at whose close the positions are taken.
        returns: simple net return until the next entry, costs paid.
        turnover: sum of absolute changes of weight.
        invested: bool, whether any position is held.
    """

    period: np.ndarray
    returns: np.ndarray
    turnover: np.ndarray
    invested: np.ndarray

    @property
    def equity(self) -> np.ndarray:
        """Value of 1 invested, after each entry; it stays at 0 once all is lost."""
        return np.cumprod(1.0 + self.returns)


def long_short(score: np.ndarray) -> np.ndarray:
    """Weights `[K]`: the top third of the tickers long, the bottom third short, 100 % each, equal weights.

    Tickers of equal score get equal weights: those that straddle a boundary share the places on it, so that
    nothing hangs on their order, and a period in which all scores are equal is not traded.

    Args:
        score: `[K]`, at least three.
    """
    count, third = len(score), len(score) // 3
    places = np.zeros(count)  # whole numbers: what cancels is exactly 0
    places[:third], places[count - third :] = -1.0, 1.0
    _, tied = np.unique(score, return_inverse=True)
    shared = np.bincount(tied, weights=places[np.argsort(np.argsort(score, kind="stable"), kind="stable")])
    return (shared / np.bincount(tied) / third)[tied]


def long_only(rises: np.ndarray) -> np.ndarray:
    """Equal weights `[K]` of the tickers that are predicted to rise, 100 % together; cash if there is none."""
    return rises / max(int(rises.sum()), 1)


def trade(
    chances: np.ndarray,
    returns: np.ndarray,
    period: np.ndarray,
    number: np.ndarray,
    ticker: np.ndarray,
    *,
    kind: str,
    cost_bps: float,
    horizon: int,
) -> Trades | None:
    """Trade one path of predictions.

    Args:
        chances: probabilities `[N, C]`; the last class rises, the first falls. `long_short` ranks by
            p_up - p_down, `long_only` holds the tickers whose top class is the last.
        returns: `[N]`, simple, over the horizon.
        period: int64 `[N]`, ascending index of each row's period.
        number: int64 `[P]`, calendar number of each period; neighbours differ by 1.
        ticker: int64 `[N]`, codes from 0.
        kind: `long_short` or `long_only`.
        cost_bps: basis points of the equity paid per unit of turnover.
        horizon: periods that a position is held.

    Returns:
        None where no period has three tickers.

    Raises:
        ConfigError: another kind, or a negative cost.
    """
    if kind not in KINDS:
        raise ConfigError(f"portfolio kind={kind}: not known. Expected one of {', '.join(KINDS)}.")
    if not cost_bps >= 0:
        raise ConfigError(f"portfolio cost_bps={cost_bps:g}: expected 0 or more basis points, such as 5.")
    known = np.isfinite(returns)
    chances, returns, period, ticker = chances[known], returns[known], period[known], ticker[known]
    begins = np.searchsorted(period, np.arange(len(number) + 1))
    if not (np.diff(begins) >= FEWEST).any():
        return None
    score, rises = chances[:, -1] - chances[:, 0], chances.argmax(axis=1) == chances.shape[1] - 1
    held = np.zeros(int(ticker.max()) + 1)  # weights before the trade, drifted
    entries, last = [], None
    for p in range(len(number)):
        if last is not None and number[p] < last + horizon:
            continue
        last = int(number[p])
        rows = slice(begins[p], begins[p + 1])
        weights, gains = np.zeros_like(held), np.zeros_like(held)
        if begins[p + 1] - begins[p] >= FEWEST:
            weights[ticker[rows]] = long_short(score[rows]) if kind == "long_short" else long_only(rises[rows])
            gains[ticker[rows]] = returns[rows]
        turnover = float(np.abs(weights - held).sum())
        net = max(float((weights * gains).sum()) - turnover * cost_bps / 1e4, -1.0)
        held = weights * (1.0 + gains) / (1.0 + net) if net > -1.0 else np.zeros_like(held)
        entries.append((p, net, turnover, bool(weights.any())))
    columns = [np.array(column) for column in zip(*entries, strict=True)]
    return Trades(*columns)


def together(paths: Sequence[Trades]) -> Trades:
    """One portfolio that gives each path an equal part of its money, in each period those that trade then."""
    period = np.unique(np.concatenate([path.period for path in paths]))
    at = [np.searchsorted(period, path.period) for path in paths]
    count = np.bincount(np.concatenate(at), minlength=len(period))

    def mean(values: list[np.ndarray]) -> np.ndarray:
        return np.bincount(np.concatenate(at), weights=np.concatenate(values), minlength=len(period)) / count

    returns, turnover = mean([path.returns for path in paths]), mean([path.turnover for path in paths])
    invested = mean([path.invested.astype(float) for path in paths]) > 0
    return Trades(period, returns, turnover, invested)


def trading_figures(trades: Trades, resampling: Resampling, per_year: float) -> dict[str, np.ndarray]:
    """Figures of a portfolio, `[1 + R]` by name; of the drawdown, which hangs on the order of returns, `[1]`.

    Definitions are empyrical's: annual return is the geometric mean, volatility the standard deviation
    (n - 1) times the root of the entries in a year, Sharpe the mean over the standard deviation times that
    root, without a riskless return. Hit rate is the share of entries with positions that ended above 0,
    turnover the mean per entry.

    Args:
        trades: of the portfolio.
        resampling: of the periods.
        per_year: entries in a year.
    """
    import empyrical  # takes a second to import

    net = trades.returns
    logs = np.log(np.maximum(1.0 + net, _RUIN))
    won = (net > 0) & trades.invested
    entered = np.stack([np.ones(len(net)), net, net**2, logs, trades.turnover, trades.invested, won], axis=1)
    per_period = np.zeros((resampling.units, entered.shape[1]))
    per_period[trades.period] = entered
    n, total, squares, growth, moved, invested, hits = (resampling.sums(column) for column in per_period.T)
    with np.errstate(divide="ignore", invalid="ignore"):  # resamples that hold hardly an entry
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
    exact = {
        "annual_return": empyrical.annual_return(net, annualization=per_year),
        "volatility": empyrical.annual_volatility(net, annualization=per_year),
        "sharpe": empyrical.sharpe_ratio(net, annualization=per_year),
    }
    for name, value in exact.items():
        if np.isfinite(figures[name][0]):
            figures[name][0] = value
    figures["max_drawdown"] = np.array([empyrical.max_drawdown(net)])
    return {f"portfolio_{name}": figure for name, figure in figures.items()}
