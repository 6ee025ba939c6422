"""How predictions are traded: the portfolio, the price of the entry, costs and the benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ste.registry import PORTFOLIOS

if TYPE_CHECKING:  # the candidates import NumPy, and the help reads this module
    from ste.config import ScoringSettings
    from ste.evaluation.portfolio.candidates import Construction

EXECUTIONS = {
    "next_open": "the next session's open",
    "next_close": "the next session's close",
    "same_close": "the close that the prediction is made at",
}
"""Price at which positions enter and leave, in words."""

SAME_CLOSE = "same_close"

BPS, BY_SPREAD = "bps", "spread"
"""Values of `TradingRules.costs` that are no file."""


@dataclass(frozen=True)
class TradingRules:
    """How predictions are traded.

    Attributes:
        kind: of the portfolio, a name of `registry.PORTFOLIOS`.
        arguments: of the kind.
        execution: of `EXECUTIONS`.
        cost_bps: costs in basis points per unit of turnover.
        costs: `bps`, `cost_bps` for every ticker; `spread`, half of each ticker's estimated spread; or a CSV file of
            ticker and basis points. `cost_bps` where a ticker has none.
        borrow: of short positions, percent of their value a year.
        benchmark: CSV or Parquet file of date and close or return; None is all tickers at equal weights.
    """

    kind: str = "long_short"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    execution: str = "next_open"
    cost_bps: float = 5.0
    costs: str = BPS
    borrow: float = 0.0
    benchmark: str | None = None

    @classmethod
    def from_settings(cls, settings: "ScoringSettings") -> "TradingRules":
        """Return the rules that the settings of the scores state."""
        return cls(
            settings.portfolio,
            settings.portfolio_arguments,
            settings.execution,
            settings.cost_bps,
            settings.costs,
            settings.borrow,
            settings.benchmark,
        )

    def construction(self, section: str = "scoring.portfolio_arguments") -> "Construction":
        """Return the way to choose the weights.

        Args:
            section: setting of the arguments, for messages.

        Raises:
            ConfigError: an unknown kind, or arguments that it does not have.
        """
        construction: Construction = PORTFOLIOS.build(self.kind, self.arguments, section)
        return construction


def costs_text(costs: str, cost_bps: float, borrow: float) -> str:
    """Costs in words, such as `5 basis points` or `half the estimated spread and 2 % a year on short positions`."""
    traded = {BPS: f"{cost_bps:g} basis points", BY_SPREAD: "half the estimated spread"}
    text = traded.get(costs, f"the basis points of {costs}")
    return f"{text} and {borrow:g} % a year on short positions" if borrow else text
