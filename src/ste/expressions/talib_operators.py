"""The functions of TA-Lib as operators: `TA.NAME(inputs, parameters)`, in TA-Lib's own order and with its defaults."""

import math
from functools import cache
from typing import Any

import numpy as np

from ste.expressions.history_operators import HistoryOperator
from ste.expressions.operators import MAX_WINDOW, Array, Parameter

_ACCUMULATING = frozenset({"AD", "CUMSUM", "NVI", "OBV", "PVI", "PVT", "VWAP", "WAD"})
_INDEXING = frozenset({"MAXINDEX", "MININDEX", "MINMAXINDEX"})
# Recursions without TA-Lib's flag for them: exponential means inside, or states that follow the price.
_RECURSIVE = frozenset(
    {*("ADOSC", "ADXR", "CVI", "DEMA", "EFI", "ERI", "KC", "MACD", "MACDFIX", "MASSI", "SMI", "STOCHRSI", "SUPERTREND")}
    | {*("TEMA", "TRIX", "TSI", "ZLEMA")}
)
# Parabolic stops forget their start at a reversal; TA-Lib's own look-back of 1 does not cover it.
_REVERSAL_MEMORY = {"SAR": 250, "SAREXT": 250}
_FINITE_AVERAGES = frozenset({0, 2, 5})  # simple, weighted, triangular
_MEMORY = 5.3  # of a mean with weight 1/n for the newest value: (1 - 1/n) ** 5.3 n is 0.5 %


class TalibOperator(HistoryOperator):
    """One function of TA-Lib.

    Args:
        name: of the function.

    Raises:
        ValueError: its values depend on all bars before, whose number is not limited.
    """

    def __init__(self, name: str) -> None:
        import talib

        if name in _ACCUMULATING:
            raise ValueError("accumulates from the first bar on; expected a finite look-back, such as Sum of its steps")
        if name in _INDEXING:
            raise ValueError("is a position since the first bar; expected IdxMax or IdxMin")
        info = _abstract(name).info
        inputs = sum(len(names) if isinstance(names, list | tuple) else 1 for names in info["input_names"].values())
        parameters = [
            Parameter(key, isinstance(default, int), -MAX_WINDOW, MAX_WINDOW, default)
            for key, default in info["parameters"].items()
        ]
        super().__init__(f"TA.{name}", inputs, parameters)
        self.outputs = tuple(info["output_names"])
        self._name = name
        self._function = getattr(talib, name)
        self._unstable = any("unstable" in flag for flag in info["function_flags"] or ())

    def window(self, numbers: tuple[float, ...]) -> int:
        """TA-Lib's look-back and the current value."""
        return self._lookback(numbers) + 1

    def memory(self, numbers: tuple[float, ...]) -> int:
        """Values until a recursion's start has lost its weight."""
        if self._name in _REVERSAL_MEMORY:
            return _REVERSAL_MEMORY[self._name]
        averages = {value for p, value in zip(self.parameters, numbers, strict=True) if p.name.endswith("matype")}
        if self._unstable or self._name in _RECURSIVE or averages - _FINITE_AVERAGES:
            return math.ceil(_MEMORY * self.window(numbers))
        return 0

    def problem(self, numbers: tuple[float, ...]) -> tuple[int, str, str] | None:
        """Check the parameters by TA-Lib's own bounds."""
        problem = super().problem(numbers)
        if problem is None and self._lookback(numbers) < 0:
            given = ", ".join(f"{p.name}={value:g}" for p, value in zip(self.parameters, numbers, strict=True))
            return 0, f"{self.name} with {given}", "expected parameters that TA-Lib accepts"
        return problem

    def of_history(self, inputs: list[Array], numbers: tuple[float, ...]) -> tuple[Array, ...]:
        """Run the function; values before its look-back is filled are undefined, also those of integer outputs."""
        if not len(inputs[0]):
            return tuple(np.empty(0) for _ in self.outputs)
        results = self._function(*inputs, **self._arguments(numbers))
        results = results if isinstance(results, tuple) else (results,)
        undefined = np.isnan(inputs[0])
        for values in inputs[1:]:
            undefined = undefined | np.isnan(values)
        # TA-Lib starts at the first defined value.
        start = int(np.argmin(undefined)) if not undefined.all() else len(undefined)
        columns = tuple(np.array(values, dtype=np.float64) for values in results)
        for values in columns:
            values[: start + self._lookback(numbers)] = np.nan
        return columns

    def _arguments(self, numbers: tuple[float, ...]) -> dict[str, float]:
        return {p.name: int(v) if p.integer else v for p, v in zip(self.parameters, numbers, strict=True)}

    def _lookback(self, numbers: tuple[float, ...]) -> int:
        return _lookback(self._name, tuple(self._arguments(numbers).items()))


def _abstract(name: str) -> Any:
    from talib import abstract

    return abstract.Function(name)  # type: ignore[attr-defined]  # a class of its compiled module


@cache
def _lookback(name: str, arguments: tuple[tuple[str, float], ...]) -> int:
    function = _abstract(name)
    if arguments:
        function.parameters = dict(arguments)
    return int(function.lookback)


@cache
def talib_names() -> tuple[str, ...]:
    """Names of TA-Lib's functions."""
    import talib

    return tuple(talib.get_functions())


@cache
def talib_operator(name: str) -> TalibOperator:
    """The operator of a function of TA-Lib."""
    return TalibOperator(name)
