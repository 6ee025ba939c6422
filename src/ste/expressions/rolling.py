"""Rolling operators: a kernel over windows, and the merging of windows of doubled length.

A window's value is built from its halves, those from theirs: log2(N) passes over a column instead of N. The order of
the operations depends on the window's length alone, so equal windows give equal bits wherever a column starts; running
sums would not.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ste.expressions.history_spans import Spans
from ste.expressions.operators import WINDOW, Array, Operator, Parameter

State = tuple[Array, ...]


def merge_windows(values: State, window: int, merge: Callable[[State, State, int], State]) -> State:
    """Combine single values to windows.

    Args:
        values: state of each single value, arrays [m + window - 1].
        window: values of a window.
        merge: combines the states of a newer and the older part next to it; takes the newer part's length too.

    Returns:
        State of each window, arrays [m].
    """
    length, size = len(values[0]), 1
    powers, done, covered = values, None, 0
    while True:
        if window & size:
            count = length - covered - size + 1
            older = _slice(powers, 0, count)
            done = powers if done is None else merge(_slice(done, size, count), older, covered)
            covered += size
            if covered == window:
                return done
        count = length - 2 * size + 1
        powers = merge(_slice(powers, size, count), _slice(powers, 0, count), size)
        size *= 2


def _slice(state: State, start: int, count: int) -> State:
    return tuple(values[start : start + count] for values in state)


def _add(newer: State, older: State, lag: int) -> State:
    return tuple(a + b for a, b in zip(newer, older, strict=True))


def sums(values: Array, window: int) -> tuple[Array, Array]:
    """Sum and number of the defined values of each window."""
    defined = ~np.isnan(values)
    total, count = merge_windows((np.where(defined, values, 0.0), defined.astype(np.float64)), window, _add)
    return total, count


def means(values: Array, window: int) -> tuple[Array, Array]:
    """Mean and number of the defined values of each window."""
    total, count = sums(values, window)
    return total / count, count


def each_value(values: Array, window: int) -> list[Array]:
    """The values of each window as views, the newest first: `window` arrays [m]."""
    size = len(values) - window + 1
    return [values[start : start + size] for start in range(window - 1, -1, -1)]


class Rolling(Operator):
    """An operator of windows of N bars or periods. Undefined and infinite values in a window are left out.

    Args:
        name: in expressions.
        kernel: see `Spans.roll`; takes the further parameters after the window.
        inputs: number of columns.
        minimum: smallest N.
        parameters: after N.
    """

    def __init__(
        self,
        name: str,
        kernel: Callable[..., Array],
        inputs: int = 1,
        minimum: int = 1,
        parameters: Sequence[Parameter] = (),
    ) -> None:
        window = Parameter("N", minimum=minimum) if minimum > 1 else WINDOW
        super().__init__(name, inputs, [window, *parameters])
        self._kernel = kernel

    def window(self, numbers: tuple[float, ...]) -> int:
        """N."""
        return int(numbers[0])

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Apply the kernel to each window."""
        further = numbers[1:]

        def kernel(*arguments: Array) -> Array:
            return self._kernel(*arguments, *further)

        return spans.roll(inputs, int(numbers[0]), kernel)
