"""Aggregates of the bars of a period, up to its close: a week's first open, highest high, total volume."""

from collections.abc import Callable

import numpy as np

from ste.expressions.history_spans import Integers, Spans
from ste.expressions.operators import Array, Operator
from ste.registry import FEATURE_FUNCTIONS


def _reduce(function: np.ufunc, values: Array, segments: Integers) -> Array:
    """Reduce each segment, its last value included."""
    first, last = segments[:, 0], segments[:, 1]
    if not len(first):
        return np.empty(0)
    if first[0] == 0 and last[-1] == len(values) - 1 and np.array_equal(first[1:], last[:-1] + 1):
        return np.asarray(function.reduceat(values, first), dtype=np.float64)
    # Periods that leave bars between them: every second segment is such a rest. The appended value closes the last.
    bounds = np.stack([first, last + 1], axis=1).ravel()
    return np.asarray(function.reduceat(np.append(values, 0.0), bounds)[::2], dtype=np.float64)


def _count(values: Array, segments: Integers) -> Array:
    return _reduce(np.add, (~np.isnan(values)).astype(np.float64), segments)


def _mean(values: Array, segments: Integers) -> Array:
    return _reduce(np.add, values, segments) / (segments[:, 1] - segments[:, 0] + 1)


class PeriodAggregate(Operator):
    """An aggregate of a period's bars. An undefined bar makes it undefined, except a count.

    Args:
        name: in expressions.
        function: takes the bars' values float64 [n] and the segments int64 [P, 2], returns float64 [P].
    """

    aggregates = True

    def __init__(self, name: str, function: Callable[[Array, Integers], Array]) -> None:
        super().__init__(name, 1)
        self._function = function

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Aggregate each period."""
        assert spans.segments is not None
        return (self._function(inputs[0], spans.segments),)


_FUNCTIONS: dict[str, Callable[[Array, Integers], Array]] = {
    "PFirst": lambda values, segments: values[segments[:, 0]],
    "PLast": lambda values, segments: values[segments[:, 1]],
    "PMax": lambda values, segments: _reduce(np.maximum, values, segments),
    "PMin": lambda values, segments: _reduce(np.minimum, values, segments),
    "PSum": lambda values, segments: _reduce(np.add, values, segments),
    "PMean": _mean,
    "PCount": _count,
}
for _name, _function in _FUNCTIONS.items():
    FEATURE_FUNCTIONS.add(_name, PeriodAggregate(_name, _function))
