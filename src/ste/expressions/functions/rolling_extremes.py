"""`Max`, `Min` and their positions `IdxMax`, `IdxMin`: 1 for the oldest value of a window."""

import numpy as np

from ste.expressions.history_spans import Spans
from ste.expressions.operators import Array
from ste.expressions.rolling import Rolling, State, merge_windows
from ste.registry import FEATURE_FUNCTIONS


def _max(values: Array, window: int) -> Array:
    """Maximum of two windows of a power of 2, which may overlap."""
    result, size = np.where(np.isnan(values), -np.inf, values), 1
    while 2 * size <= window:
        result = np.maximum(result[size:], result[:-size])
        size *= 2
    rest = window - size
    if rest:
        result = np.maximum(result[rest:], result[:-rest])
    return np.where(np.isneginf(result), np.nan, result)


def _min(values: Array, window: int) -> Array:
    return -_max(-values, window)


def _older_or_newer(newer: State, older: State, lag: int) -> State:
    """The larger value and its age; the older of equal ones, as argmax does."""
    from_older = older[0] >= newer[0]
    return np.where(from_older, older[0], newer[0]), np.where(from_older, older[1] + lag, newer[1])


def _age_of_max(values: Array, window: int) -> Array:
    state = (np.where(np.isnan(values), -np.inf, values), np.zeros(len(values)))
    largest, age = merge_windows(state, window, _older_or_newer)
    return np.where(np.isneginf(largest), np.nan, age)


def _age_of_min(values: Array, window: int) -> Array:
    return _age_of_max(-values, window)


class Position(Rolling):
    """The position of an extreme among a window's values, from 1 for the oldest."""

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Count from the oldest value that there is."""
        (age,) = super().compute(inputs, numbers, spans)
        return (np.minimum(spans.age + 1, int(numbers[0])) - age,)


FEATURE_FUNCTIONS.add("Max", Rolling("Max", _max))
FEATURE_FUNCTIONS.add("Min", Rolling("Min", _min))
FEATURE_FUNCTIONS.add("IdxMax", Position("IdxMax", _age_of_max))
FEATURE_FUNCTIONS.add("IdxMin", Position("IdxMin", _age_of_min))
