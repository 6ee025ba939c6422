"""What a value of a column may be, in words and as a test over arrays: whoever reads tables shares these."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ste.schema import Column

_PRICES = ("stock_open", "stock_high", "stock_low", "stock_close", "stock_sma_20", "stock_sma_50")


@dataclass(frozen=True)
class Rule:
    """One thing that must hold of every value.

    Attributes:
        expected: in words, as an error message says it.
        holds: float64 `[N]` to bool `[N]`; False for NaN.
    """

    expected: str
    holds: Callable[[np.ndarray], np.ndarray]


FINITE = Rule("a finite number", np.isfinite)
ABOVE_ZERO = Rule("a price above 0", lambda values: values > 0.0)


def at_least(low: float, what: str = "") -> Rule:
    """A lower bound."""
    return Rule(f"{low:g} or more{what}", lambda values: values >= low)


def at_most(high: float) -> Rule:
    """An upper bound."""
    return Rule(f"{high:g} or less", lambda values: values <= high)


def rules(column: Column) -> tuple[Rule, ...]:
    """All that the schema asks of a column's values."""
    found = [FINITE]
    if column.name in _PRICES:
        found.append(ABOVE_ZERO)
    elif column.low is not None:
        found.append(at_least(column.low))
    if column.high is not None:
        found.append(at_most(column.high))
    return tuple(found)


def below(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Where a period's high is below its low, rounding aside, bool `[N]`."""
    return high < low - 1e-6 * np.abs(low)
