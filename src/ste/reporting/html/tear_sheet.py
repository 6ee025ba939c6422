"""The tear sheet of a portfolio: its figures, rolling Sharpe ratio and worst drawdowns."""

from dataclasses import dataclass

import numpy as np

from ste.evaluation.portfolio.portfolio_figures import PORTFOLIO_METRICS, drawdowns
from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.scorecard import Scorecard
from ste.reporting.formatting import cell, label, number
from ste.reporting.html.table_row import TableRow

IN_BRIEF = ("annual_return", "volatility", "sharpe", "max_drawdown", "hit_rate", "turnover")
"""Figures next to the chart; the tear sheet has all of `PORTFOLIO_METRICS`."""

_WORST = 5
_MIN_WINDOW = 6


@dataclass(frozen=True)
class DrawdownRow:
    """A drawdown: first date below the highest value, date of the lowest value, last date below, depth, periods."""

    start: str
    lowest: str
    end: str
    depth: str
    periods: int


def brief_figures(score: Scorecard) -> list[TableRow]:
    """The figures of a portfolio that stand next to its chart."""
    return _rows(score, [f"portfolio_{name}" for name in IN_BRIEF])


def all_figures(score: Scorecard) -> list[TableRow]:
    """Every figure of a portfolio that has a value."""
    return _rows(score, list(PORTFOLIO_METRICS))


def _rows(score: Scorecard, names: list[str]) -> list[TableRow]:
    return [
        TableRow(label(name), "model", [cell(score.figures[name], name)]) for name in names if name in score.figures
    ]


def worst_drawdowns(portfolio: Portfolio) -> list[DrawdownRow]:
    """The deepest drawdowns, the deepest first; one that has not ended reaches to the last date."""
    depth = drawdowns(portfolio.returns)
    below = np.concatenate([[False], depth < 0.0, [False]])
    starts, ends = np.flatnonzero(~below[:-1] & below[1:]), np.flatnonzero(below[:-1] & ~below[1:])
    spans = sorted(zip(starts.tolist(), ends.tolist(), strict=True), key=lambda span: depth[span[0] : span[1]].min())
    return [
        DrawdownRow(
            portfolio.dates[start],
            portfolio.dates[start + int(depth[start:end].argmin())],
            portfolio.dates[end - 1],
            number(float(depth[start:end].min()), "portfolio_max_drawdown"),
            end - start,
        )
        for start, end in spans[:_WORST]
    ]


def rolling_sharpe(portfolio: Portfolio) -> tuple[list[str], list[float], int]:
    """Annual Sharpe ratio of the last year's entries at each date: dates, values and entries in the window.

    The window is half of all entries where those are less than two years; empty with fewer than 12 entries.
    """
    returns = np.asarray(portfolio.returns, dtype=np.float64)
    window = min(round(portfolio.per_year), len(returns) // 2)
    if window < _MIN_WINDOW:
        return [], [], window
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    std = views.std(axis=1, ddof=1)
    moved = std > 1e-12  # without a position there is no ratio
    values = views.mean(axis=1)[moved] / std[moved] * np.sqrt(portfolio.per_year)
    dates = [date for date, there in zip(portfolio.dates[window - 1 :], moved, strict=True) if there]
    return dates, values.tolist(), window
