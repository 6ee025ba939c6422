"""What a value of a column may be, in words and as a test over arrays: whoever reads tables shares these."""

from collections.abc import Callable, Container
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ste.errors import DataError
from ste.schema import FEATURE_SETS, MOVEMENT, RETURN, Column

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


def numeric_columns(features: str) -> tuple[Column, ...]:
    """Every column of a table that holds any number: a feature set's, the return and the movement."""
    return (*FEATURE_SETS[features].columns, Column(RETURN, "", low=-1.0), Column(MOVEMENT, ""))


def high_and_low(names: Container[str]) -> tuple[str, str]:
    """Columns of a table's highs and lows, which it has as prices or as ratios."""
    return ("stock_high", "stock_low") if "stock_high" in names else ("price_high", "price_low")


def below(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Where a period's high is below its low, rounding aside, bool `[N]`."""
    return high < low - 1e-6 * np.abs(low)


def check_rows(rows: pd.DataFrame, features: str) -> None:
    """Raise unless every number of a table's rows is what the schema asks for.

    Args:
        rows: of `schema.table_columns`.
        features: name of the feature set.
    """
    for column in numeric_columns(features):
        values = rows[column.name].to_numpy()
        for rule in rules(column):
            holds = rule.holds(values)
            if not holds.all():
                _tell(rows, ~holds, column.name, rule.expected)
    high, low = high_and_low(rows)
    off = below(rows[high].to_numpy(), rows[low].to_numpy())
    if off.any():
        _tell(rows, off, high, f"{low} or more")


def _tell(rows: pd.DataFrame, off: np.ndarray, column: str, expected: str) -> None:
    row = rows.iloc[int(np.flatnonzero(off)[0])]
    raise DataError(
        f"data: {row['ticker']} on {row['date']:%Y-%m-%d} has {column}={row[column]:g}, expected {expected} "
        f"({off.sum()} such rows beside it). Mend the ticker's bars, or leave it out with data.tickers=[…]."
    )
