"""Operators over the tickers of a day: `CSRank`, `CSZScore`, `CSDemean`.

A ticker counts where its value is defined and its windows are full; the evaluator removes the others.
"""

from collections.abc import Callable

import numpy as np

from ste.expressions.history_spans import Integers, Spans
from ste.expressions.operators import Array, Operator
from ste.registry import FEATURE_FUNCTIONS


def _demean(values: Array, starts: Integers, sizes: Integers) -> Array:
    return values - np.repeat(np.add.reduceat(values, starts) / sizes, sizes)


def _zscore(values: Array, starts: Integers, sizes: Integers) -> Array:
    """Distance from the day's mean in its standard deviations (n - 1); undefined where all values are equal."""
    centered = _demean(values, starts, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(np.add.reduceat(centered * centered, starts) / (sizes - 1))
        equal = np.maximum.reduceat(values, starts) == np.minimum.reduceat(values, starts)
        return centered / np.repeat(np.where(equal, np.nan, deviation), sizes)


def _rank(values: Array, starts: Integers, sizes: Integers) -> Array:
    """Mean rank of equal values over the day's count, in (0, 1]."""
    day = np.repeat(np.arange(len(starts)), sizes)
    order = np.lexsort((values, day))
    ordered, ordered_day = values[order], day[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]) | (ordered_day[1:] != ordered_day[:-1]))
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(order)) - 1
    group = np.cumsum(new) - 1
    rank = ((first + last) / 2 - starts[ordered_day[first]] + 1)[group] / sizes[ordered_day]
    result = np.empty(len(values))
    result[order] = rank
    return result


class CrossSection(Operator):
    """An operator over the tickers of a day.

    Args:
        name: in expressions.
        function: takes the defined values of whole days float64 [m], each day's first index and its size.
    """

    cross_sectional = True

    def __init__(self, name: str, function: Callable[[Array, Integers, Integers], Array]) -> None:
        super().__init__(name, 1)
        self._function = function

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Compare the defined values of each day."""
        result = np.full(spans.size, np.nan)
        defined = np.flatnonzero(~np.isnan(inputs[0]))
        if len(defined):
            # Stable: the tickers of a day stay in order.
            order = defined[np.argsort(spans.days[defined], kind="stable")]
            _, starts, sizes = np.unique(spans.days[order], return_index=True, return_counts=True)
            result[order] = self._function(inputs[0][order], starts, sizes)
        return (result,)


FEATURE_FUNCTIONS.add("CSRank", CrossSection("CSRank", _rank))
FEATURE_FUNCTIONS.add("CSZScore", CrossSection("CSZScore", _zscore))
FEATURE_FUNCTIONS.add("CSDemean", CrossSection("CSDemean", _demean))
