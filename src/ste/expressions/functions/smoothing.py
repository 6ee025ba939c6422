"""Exponentially weighted means, which run from a history's first value."""

import pandas as pd

from ste.expressions.history_operators import HistoryOperator
from ste.expressions.operators import MAX_WINDOW, Array, Parameter, exponential_memory
from ste.registry import FEATURE_FUNCTIONS


class ExponentialMean(HistoryOperator):
    """Qlib's `EMA(x, N)`: span N for a whole number, weight N of the newest value for 0 < N < 1."""

    def __init__(self) -> None:
        super().__init__("EMA", 1, [Parameter("N", integer=False, minimum=0)])

    def problem(self, numbers: tuple[float, ...]) -> tuple[int, str, str] | None:
        """Accept a fraction or a whole number."""
        n = numbers[0]
        if not (0 < n < 1 or (n >= 1 and n == int(n) and n <= MAX_WINDOW)):
            return 0, f"EMA with N={n:g}", "expected a whole number of 1 or more, or a weight between 0 and 1"
        return None

    def memory(self, numbers: tuple[float, ...]) -> int:
        """Values until the start's weight is below 0.5 %."""
        return exponential_memory(numbers[0] if numbers[0] < 1 else 2 / (1 + numbers[0]))

    def of_history(self, inputs: list[Array], numbers: tuple[float, ...]) -> tuple[Array, ...]:
        """Run pandas' exponentially weighted mean."""
        series, n = pd.Series(inputs[0]), numbers[0]
        windows = series.ewm(alpha=n, min_periods=1) if n < 1 else series.ewm(span=n, min_periods=1)
        return (windows.mean().to_numpy(),)


FEATURE_FUNCTIONS.add("EMA", ExponentialMean())
