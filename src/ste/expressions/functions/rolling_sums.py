"""`Sum`, `Mean`, `Count` and `WMA`."""

import numpy as np

from ste.expressions.history_spans import Spans
from ste.expressions.operators import Array
from ste.expressions.rolling import Rolling, State, means, merge_windows, sums
from ste.registry import FEATURE_FUNCTIONS


def _sum(values: Array, window: int) -> Array:
    total, count = sums(values, window)
    return np.where(count > 0, total, np.nan)


def _mean(values: Array, window: int) -> Array:
    return means(values, window)[0]


def _count(values: Array, window: int) -> Array:
    return sums(values, window)[1]


def _merge_weighted(newer: State, older: State, lag: int) -> State:
    """Merge the sums of the values and of the values times their age."""
    return newer[0] + older[0], newer[1] + older[1] + lag * older[0], newer[2] + older[2]


def _weighted_sums(values: Array, window: int) -> State:
    """Sum, sum of value times age, and number of the defined values."""
    defined = ~np.isnan(values)
    state = (np.where(defined, values, 0.0), np.zeros(len(values)), defined.astype(np.float64))
    return merge_windows(state, window, _merge_weighted)


class WeightedMean(Rolling):
    """Qlib's `WMA`: the mean of the values times weights that rise linearly and sum to 1.

    As in Qlib this is the weighted mean divided by the number of defined values.
    """

    def __init__(self) -> None:
        super().__init__("WMA", _mean)

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Weigh the values that there are: 1 to L at the L-th value of a history."""
        window = int(numbers[0])
        total, aged, count = spans.roll(inputs, window, _weighted_sums, outputs=3)
        length = np.minimum(spans.age + 1, window)
        return ((length * total - aged) / (length * (length + 1) / 2) / count,)


FEATURE_FUNCTIONS.add("Sum", Rolling("Sum", _sum))
FEATURE_FUNCTIONS.add("Mean", Rolling("Mean", _mean))
FEATURE_FUNCTIONS.add("Count", Rolling("Count", _count))
FEATURE_FUNCTIONS.add("WMA", WeightedMean())
