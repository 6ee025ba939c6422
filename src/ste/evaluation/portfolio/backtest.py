"""The portfolio of one split's predictions, from its rules."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.evaluation.portfolio.benchmark import file_returns, hold_all
from ste.evaluation.portfolio.costs import trading_costs
from ste.evaluation.portfolio.execution import traded_returns
from ste.evaluation.portfolio.ledger import Trades
from ste.evaluation.portfolio.past_returns import PastReturns
from ste.evaluation.portfolio.portfolio_figures import return_figures
from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.portfolio.rules import SAME_CLOSE, TradingRules
from ste.evaluation.portfolio.trading import TradedRows, trade_paths
from ste.evaluation.predictions import Predictions
from ste.evaluation.scored_rows import ScoredRows
from ste.labels.targets import end_dates
from ste.market.intraday import IntradayPeriods
from ste.schema import SPREAD, neutral_class

_PERCENT = 100.0


@dataclass(frozen=True, eq=False)
class Backtest:
    """A portfolio and what it is compared with.

    Attributes:
        trades: of the portfolio.
        benchmark: return over each holding period `[T]`.
        portfolio: as the scorecard holds it.
    """

    trades: Trades
    benchmark: np.ndarray
    portfolio: Portfolio


def backtest(
    predictions: Predictions, rows: ScoredRows, rules: TradingRules, history: Predictions | None = None
) -> Backtest | None:
    """Trade the predictions of a split.

    Without a class Neutral there is no portfolio: rows between the thresholds are left out by their future return, so
    that the remaining rows could not have been chosen in time.

    Args:
        predictions: rows of one split.
        rows: of the same predictions.
        rules: of the portfolio.
        history: earlier rows out of sample, whose returns a portfolio that weighs risks may know; None has none.

    Returns:
        None where there is no portfolio.

    Raises:
        DataError: a file of costs or of a benchmark that cannot be used.
    """
    if neutral_class(len(predictions.classes)) is None:
        return None
    frame = predictions.frame.iloc[rows.order]
    ticker, found = pd.factorize(frame["ticker"], sort=True)
    names = np.asarray(found, dtype=object)
    spread = frame[SPREAD].to_numpy(dtype=np.float64) if SPREAD in frame else None
    costs, without_cost = trading_costs(rules, names[ticker], spread)
    per_year = predictions.row_periods.per_year / predictions.horizon
    past = _LazyPast(predictions, history, names)
    construction = rules.construction()

    def trade(returns: np.ndarray) -> Trades | None:
        return trade_paths(
            TradedRows(predictions.probs[rows.order], returns, costs, rows.period, ticker),
            rows.path,
            rows.period_index,
            construction,
            horizon=predictions.horizon,
            borrow=rules.borrow / _PERCENT / per_year,
            past=past,
        )

    returns, execution = traded_returns(frame, rules.execution)
    trades = trade(returns)
    if trades is None:
        return None
    dates = [rows.dates[p] for p in trades.period]
    if rules.benchmark is None:
        other = hold_all(returns, rows.period, trades.period)
    else:
        if isinstance(predictions.row_periods, IntradayPeriods):
            raise DataError(f"scoring.benchmark={rules.benchmark}: is of days, and the predictions are intraday.")
        ends = rows.period_index[trades.period] + predictions.horizon
        last = end_dates(pd.Series(pd.to_datetime(dates)), ends, predictions.row_periods)
        other = file_returns(Path(rules.benchmark).expanduser(), dates, last, execution)
    notes = [without_cost] if without_cost else []
    if execution != rules.execution:
        notes.append(f"{rules.execution} needs a table built from bars: positions enter at the same close")
    return Backtest(
        trades,
        other,
        Portfolio(
            dates=dates,
            returns=trades.returns.tolist(),
            equity=trades.equity.tolist(),
            turnover=trades.turnover.tolist(),
            kind=rules.kind,
            cost_bps=rules.cost_bps,
            benchmark=np.cumprod(1.0 + other).tolist(),
            execution=execution,
            costs=rules.costs,
            borrow=rules.borrow,
            arguments=dict(rules.arguments),
            benchmark_file=rules.benchmark,
            same_close_sharpe=_sharpe(trade(traded_returns(frame, SAME_CLOSE)[0]), per_year)
            if execution != SAME_CLOSE
            else None,
            positions={str(names[at]): float(trades.last[at]) for at in np.flatnonzero(trades.last)},
            notes=notes,
            per_year=per_year,
        ),
    )


def _sharpe(trades: Trades | None, per_year: float) -> float | None:
    return None if trades is None else return_figures(trades.returns, per_year).get("portfolio_sharpe")


class _LazyPast:
    """Returns from close to close of the split's rows and of earlier ones, gathered when they are first asked for.

    Args:
        predictions: of the split.
        history: earlier rows, or None.
        names: of the split's tickers, in the order of their codes.
    """

    def __init__(self, predictions: Predictions, history: Predictions | None, names: np.ndarray) -> None:
        self._parts = [each for each in (history, predictions) if each is not None]
        self._names, self._horizon = pd.Index(names), predictions.horizon

    def __call__(self, now: int, periods: int, tickers: np.ndarray) -> np.ndarray:
        """See `PastReturns`."""
        return self._known(now, periods, tickers)

    @cached_property
    def _known(self) -> PastReturns:
        period, ticker, returns = [], [], []
        for each in self._parts:
            code = self._names.get_indexer(each.frame["ticker"])
            own = code >= 0
            period.append(each.periods[own])
            ticker.append(code[own])
            returns.append(traded_returns(each.frame, SAME_CLOSE)[0][own])
        return PastReturns(np.concatenate(period), np.concatenate(ticker), np.concatenate(returns), self._horizon)
