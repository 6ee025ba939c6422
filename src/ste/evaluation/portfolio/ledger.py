"""The ledger of a portfolio: weights, returns and costs of each holding period.

Weights are fractions of the equity before the trade. Between two trades they drift with the returns; what is bought and
sold is the distance from the drifted weights to the new ones, the first entry from cash included, and costs are paid on
it. Cash earns nothing. The last positions are not closed.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Trades:
    """Entries of a portfolio, one per holding period.

    Attributes:
        period: int64 `[T]`, index of the period at whose end the positions are chosen.
        returns: float64 `[T]`, simple return until the next entry, after costs.
        turnover: float64 `[T]`, sum of absolute changes of weight.
        invested: bool `[T]`, whether any position is held.
        costs: float64 `[T]`, of trading, fractions of the equity.
        borrow: float64 `[T]`, cost of short positions, fractions of the equity.
        exposure: float64 `[T]`, sum of absolute weights after the trade.
        last: weights of the last entry `[K]`, by code of the ticker; empty of paths that end apart.
    """

    period: np.ndarray
    returns: np.ndarray
    turnover: np.ndarray
    invested: np.ndarray
    costs: np.ndarray
    borrow: np.ndarray
    exposure: np.ndarray
    last: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def equity(self) -> np.ndarray:
        """Value of 1 invested, after each entry `[T]`; it stays at 0 after a total loss."""
        return np.cumprod(1.0 + self.returns)


class Ledger:
    """Keeps a portfolio's weights from trade to trade.

    Args:
        tickers: number of tickers, K.
        borrow: cost of a short position over a holding period, a fraction of its value.
    """

    def __init__(self, tickers: int, borrow: float = 0.0) -> None:
        self.held = np.zeros(tickers)
        """Weights before the next trade, as they have drifted, `[K]`."""
        self._borrow = borrow
        self._costs = np.zeros(tickers)
        self._entries: list[tuple[int, float, float, bool, float, float, float]] = []
        self._last = np.zeros(tickers)

    def trade(
        self, period: int, weights: np.ndarray, returns: np.ndarray, costs: np.ndarray, *, after_gap: bool = False
    ) -> None:
        """Change to new weights and hold them for a period.

        Args:
            period: index of the period at whose end the weights are chosen.
            weights: `[K]`.
            returns: simple, over the holding period `[K]`; 0 where nothing is held.
            costs: per unit of turnover `[K]`; NaN is the ticker's last known cost.
            after_gap: the last holding period ended before this trade: its positions were closed then.
        """
        self._costs = np.where(np.isfinite(costs), costs, self._costs)
        moved = np.abs(weights) + np.abs(self.held) if after_gap else np.abs(weights - self.held)
        paid = float((moved * self._costs).sum())
        borrowed = float(-np.minimum(weights, 0.0).sum() * self._borrow)
        net = max(float((weights * returns).sum()) - paid - borrowed, -1.0)
        self.held = weights * (1.0 + returns) / (1.0 + net) if net > -1.0 else np.zeros_like(weights)
        exposure = float(np.abs(weights).sum())
        self._entries.append((period, net, float(moved.sum()), exposure > 0.0, paid, borrowed, exposure))
        self._last = weights

    def trades(self) -> Trades:
        """Return the entries so far, one or more."""
        period, net, moved, invested, paid, borrowed, exposure = map(np.array, zip(*self._entries, strict=True))
        return Trades(period, net, moved, invested, paid, borrowed, exposure, self._last)


def trade_weights(
    weights: np.ndarray, returns: np.ndarray, costs: np.ndarray | float = 0.0, borrow: float = 0.0
) -> Trades:
    """Hold given weights, one row after another.

    Args:
        weights: `[T, K]`, fractions of the equity before each trade.
        returns: simple, over each holding period `[T, K]`.
        costs: per unit of turnover, a fraction, one for all or `[K]` or `[T, K]`.
        borrow: cost of a short position over a holding period, a fraction of its value.
    """
    ledger = Ledger(weights.shape[1], borrow)
    for t, each in enumerate(np.broadcast_to(np.asarray(costs, dtype=np.float64), weights.shape)):
        ledger.trade(t, weights[t], returns[t], each)
    return ledger.trades()


def average_paths(paths: list[Trades]) -> Trades:
    """One portfolio that splits its equity equally among the paths that trade in a period."""
    period = np.unique(np.concatenate([path.period for path in paths]))
    at = np.concatenate([np.searchsorted(period, path.period) for path in paths])
    count = np.bincount(at, minlength=len(period))

    def mean(name: str) -> np.ndarray:
        values = np.concatenate([getattr(path, name) for path in paths]).astype(np.float64)
        return np.bincount(at, weights=values, minlength=len(period)) / count

    last = np.empty(0)
    if len({int(path.period[-1]) for path in paths}) == 1:
        size = max(len(path.last) for path in paths)
        last = np.mean([np.pad(path.last, (0, size - len(path.last))) for path in paths], axis=0)
    return Trades(
        period,
        mean("returns"),
        mean("turnover"),
        mean("invested") > 0,
        mean("costs"),
        mean("borrow"),
        mean("exposure"),
        last,
    )
