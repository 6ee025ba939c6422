"""A portfolio as a scorecard holds it."""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from ste.evaluation.portfolio.rules import EXECUTIONS, SAME_CLOSE, costs_text


@dataclass(frozen=True)
class Portfolio:
    """A portfolio that trades the predictions: one entry per holding period, oldest first.

    Attributes:
        dates: ISO, the close at which the positions are chosen.
        returns: simple return over the holding period, after costs.
        equity: value of 1 invested, after each holding period.
        turnover: sum of absolute changes of weight at each date.
        kind: name of the construction, such as `long_short`.
        cost_bps: costs per unit of turnover, basis points.
        benchmark: value of 1 invested in the benchmark, before costs, after each holding period.
        execution: price at which positions enter and leave, of `EXECUTIONS`.
        costs: `bps`, `spread` or a file, see `TradingRules`.
        borrow: of short positions, percent of their value a year.
        arguments: of the kind.
        benchmark_file: file of the benchmark; None is all tickers at equal weights.
        same_close_sharpe: annual Sharpe ratio of the same rules with entry at the close that the predictions are made
            at; None where that is the execution, or where it has no value.
        positions: weights other than 0 after the last entry, by ticker.
        notes: what was assumed, in sentences.
        per_year: entries in a year.
    """

    dates: list[str]
    returns: list[float]
    equity: list[float]
    turnover: list[float]
    kind: str
    cost_bps: float
    benchmark: list[float] = field(default_factory=list)
    execution: str = SAME_CLOSE
    costs: str = "bps"
    borrow: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)
    benchmark_file: str | None = None
    same_close_sharpe: float | None = None
    positions: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    per_year: float = 52.0

    @property
    def drawdown(self) -> list[float]:
        """Fraction lost since the highest value so far, 0 to 1, after each holding period."""
        peaks = accumulate(self.equity, max, initial=1.0)
        return [1.0 - value / max(peak, value) for value, peak in zip(self.equity, peaks, strict=False)]

    @property
    def name(self) -> str:
        """Kind in words, such as `long-short`."""
        return {"topk": f"top-{self.arguments.get('k', 10)}"}.get(self.kind, self.kind.replace("_", "-"))

    @property
    def entry(self) -> str:
        """Price of the entry in words: `the next session's open`."""
        return EXECUTIONS[self.execution]

    @property
    def costs_text(self) -> str:
        """Costs in words."""
        return costs_text(self.costs, self.cost_bps, self.borrow)
