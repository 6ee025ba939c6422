"""Trade predictions: choose weights at the end of each holding period, and keep the ledger.

Positions are held for the label's horizon. With a horizon above one period only every horizon-th period is traded, so
that positions do not overlap and each return counts once. Where a period is missing, positions are closed at the end
of their horizon and cash is held until the next entry.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ste.evaluation.information_coefficient import MIN_TICKERS
from ste.evaluation.portfolio.candidates import Candidates, Construction, no_past
from ste.evaluation.portfolio.ledger import Ledger, Trades, average_paths

Past = Callable[[int, int, np.ndarray], np.ndarray]
"""See `past_returns.PastReturns`."""


@dataclass(frozen=True, eq=False)
class TradedRows:
    """Rows of one path of predictions, in the order of their periods.

    Attributes:
        probs: `[N, C]`.
        returns: `[N]`, simple, over the holding period; a row whose return is not finite is not traded.
        costs: `[N]`, per unit of turnover.
        period: int64 `[N]`, ascending index of each row's period.
        ticker: int64 `[N]`, codes from 0.
    """

    probs: np.ndarray
    returns: np.ndarray
    costs: np.ndarray
    period: np.ndarray
    ticker: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "TradedRows":
        """The rows of a mask or an index."""
        return TradedRows(self.probs[rows], self.returns[rows], self.costs[rows], self.period[rows], self.ticker[rows])


def trade(
    rows: TradedRows,
    period_index: np.ndarray,
    construction: Construction,
    *,
    horizon: int = 1,
    borrow: float = 0.0,
    past: Past | None = None,
) -> Trades | None:
    """Trade one path of predictions.

    Args:
        rows: of the path.
        period_index: int64 `[P]`, calendar number of each period; consecutive periods differ by 1.
        construction: chooses the weights; a period with fewer than three tickers is not traded.
        horizon: periods that a position is held.
        borrow: cost of a short position over a holding period, a fraction of its value.
        past: returns that had ended by a period; None: the construction needs none.

    Returns:
        None where no period has three tickers.
    """
    rows = rows[np.isfinite(rows.returns)]
    begins = np.searchsorted(rows.period, np.arange(len(period_index) + 1))
    if not (np.diff(begins) >= MIN_TICKERS).any():
        return None
    count = int(rows.ticker.max()) + 1
    ledger, last = Ledger(count, borrow), None
    for p, now in enumerate(period_index.tolist()):
        if last is not None and now < last + horizon:
            continue
        own = slice(begins[p], begins[p + 1])
        at = rows.ticker[own]
        weights, gains, costs = np.zeros(count), np.zeros(count), np.full(count, np.nan)
        costs[at] = rows.costs[own]
        if len(at) >= MIN_TICKERS:
            known = no_past if past is None else partial(_past_of, past, now, at)
            weights[at] = construction(Candidates(rows.probs[own], ledger.held[at], known))
            gains[at] = rows.returns[own]
        ledger.trade(p, weights, gains, costs, after_gap=last is not None and now > last + horizon)
        last = now
    return ledger.trades()


def _past_of(past: Past, now: int, tickers: np.ndarray, periods: int) -> np.ndarray:
    return past(now, periods, tickers)


def trade_paths(
    rows: TradedRows,
    path: np.ndarray,
    period_index: np.ndarray,
    construction: Construction,
    *,
    horizon: int = 1,
    borrow: float = 0.0,
    past: Past | None = None,
) -> Trades | None:
    """Trade each path of predictions, and split the equity equally among them.

    Args:
        rows: of all paths; ascending periods within each path.
        path: of each row `[N]`.
        period_index: of the periods of all paths, see `trade`.
        construction: chooses the weights.
        horizon: periods that a position is held.
        borrow: cost of a short position over a holding period, a fraction of its value.
        past: returns that had ended by a period.

    Returns:
        None where no path is traded, or where paths would trade on different days.
    """
    spans, out = set(), []
    for each in np.unique(path):
        own = rows[path == each]
        first, last = int(own.period.min()), int(own.period.max())
        spans.add((first, last))
        trades = trade(
            replace(own, period=own.period - first),
            period_index[first : last + 1],
            construction,
            horizon=horizon,
            borrow=borrow,
            past=past,
        )
        out += [replace(trades, period=trades.period + first)] if trades else []
    if not out or (horizon > 1 and len(spans) > 1):
        return None
    return out[0] if len(out) == 1 else average_paths(out)
