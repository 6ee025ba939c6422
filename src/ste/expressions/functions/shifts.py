"""Earlier values of a column: `Ref` and `Delta`."""

import numpy as np

from ste.expressions.history_spans import Spans
from ste.expressions.operators import WINDOW, Array, Operator
from ste.registry import FEATURE_FUNCTIONS


def _earlier(values: Array, n: int, spans: Spans) -> Array:
    """The values of n bars or periods ago; undefined where the history is younger."""
    result = np.full(len(values), np.nan)
    result[n:] = values[: max(len(values) - n, 0)]
    result[spans.age < n] = np.nan
    return result


class Shift(Operator):
    """An earlier value, or the change since then.

    Args:
        name: in expressions.
        change: whether it is the change.
    """

    def __init__(self, name: str, change: bool) -> None:
        super().__init__(name, 1, [WINDOW])
        self._change = change

    def window(self, numbers: tuple[float, ...]) -> int:
        """The current value and N before it."""
        return int(numbers[0]) + 1

    def problem(self, numbers: tuple[float, ...]) -> tuple[int, str, str] | None:
        """Refuse future values by name."""
        if numbers[0] < 0:
            ahead = f"{-numbers[0]:g} period{'s' if numbers[0] != -1 else ''}"
            return 0, f"{self.name} that looks ahead {ahead}", "expected N of 1 or more: features use the past alone"
        return super().problem(numbers)

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Shift within each history."""
        earlier = _earlier(inputs[0], int(numbers[0]), spans)
        return (inputs[0] - earlier if self._change else earlier,)


FEATURE_FUNCTIONS.add("Ref", Shift("Ref", change=False))
FEATURE_FUNCTIONS.add("Delta", Shift("Delta", change=True))
