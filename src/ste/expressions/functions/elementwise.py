"""Operators of the values of one bar or period: arithmetic, comparisons, logic and choice.

Comparisons and logic give 1.0 or 0.0; a comparison with an undefined value is false, as in Qlib. Logic on an undefined
value, and a choice by one, is undefined.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ste.expressions.history_spans import Spans
from ste.expressions.operators import Array, Operator
from ste.registry import FEATURE_FUNCTIONS


class Elementwise(Operator):
    """An operator of the values of one bar or period.

    Args:
        name: in expressions.
        inputs: number of arguments.
        function: takes float64 arrays or numbers, returns an array of their shape.
    """

    constants = True

    def __init__(self, name: str, inputs: int, function: Callable[..., Any]) -> None:
        super().__init__(name, inputs)
        self._function = function

    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Apply the function."""
        return (np.asarray(self._function(*inputs), dtype=np.float64),)

    def of_numbers(self, values: list[float]) -> float:
        """The result for plain numbers."""
        return float(self._function(*(np.float64(value) for value in values)))


def _defined(result: Any, *inputs: Any) -> Any:
    """Mark the results of undefined inputs as undefined."""
    undefined = np.isnan(inputs[0])
    for values in inputs[1:]:
        undefined = undefined | np.isnan(values)
    return np.where(undefined, np.nan, result)


def _both(left: Any, right: Any) -> Any:
    return _defined((left != 0) & (right != 0), left, right)


def _either(left: Any, right: Any) -> Any:
    return _defined((left != 0) | (right != 0), left, right)


def _invert(values: Any) -> Any:
    return _defined(values == 0, values)


def _choose(condition: Any, left: Any, right: Any) -> Any:
    return _defined(np.where(condition != 0, left, right), condition)


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{"Abs": (1, np.abs), "Sign": (1, np.sign), "Log": (1, np.log), "Neg": (1, np.negative), "Not": (1, _invert)},
    **{"Add": (2, np.add), "Sub": (2, np.subtract), "Mul": (2, np.multiply), "Div": (2, np.divide)},
    **{"Power": (2, np.power), "Greater": (2, np.maximum), "Less": (2, np.minimum)},
    **{"Gt": (2, np.greater), "Ge": (2, np.greater_equal), "Lt": (2, np.less), "Le": (2, np.less_equal)},
    **{"Eq": (2, np.equal), "Ne": (2, np.not_equal), "And": (2, _both), "Or": (2, _either), "If": (3, _choose)},
}
for _name, (_inputs, _function) in _FUNCTIONS.items():
    FEATURE_FUNCTIONS.add(_name, Elementwise(_name, _inputs, _function))
