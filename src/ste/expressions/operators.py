"""What every operator of the expression language declares: its arguments, its look-back and its computation."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ste.expressions.history_spans import Spans

Array = NDArray[np.float64]

MAX_WINDOW = 100_000
"""Bars or periods of one window."""


@dataclass(frozen=True)
class Parameter:
    """A plain number after an operator's inputs.

    Args:
        name: for keyword arguments and messages.
        integer: whether it must be an integer.
        minimum: smallest value.
        maximum: largest value.
        default: value if it is not given; None: required.
    """

    name: str
    integer: bool = True
    minimum: float = 1
    maximum: float = MAX_WINDOW
    default: float | None = None

    def check(self, value: float) -> str | None:
        """What is expected instead of this value; None if it is accepted."""
        if not np.isfinite(value) or (self.integer and value != int(value)):
            return f"a whole number for {self.name}" if self.integer else f"a finite number for {self.name}"
        if not self.minimum <= value <= self.maximum:
            return f"{self.name} from {self.minimum:g} to {self.maximum:g}"
        return None


WINDOW = Parameter("N")
"""The number of bars or periods that a rolling operator looks at."""


class Operator(ABC):
    """An operator or function.

    Attributes:
        name: in expressions.
        inputs: number of leading arguments that are expressions.
        parameters: the plain numbers after them.
        outputs: names of what it returns; several are chosen by `.name`.
        constants: whether an input may be a plain number.
        aggregates: whether it turns bar values into period values.
        cross_sectional: whether it looks at the other tickers of a day.
        user_defined: whether a user registered it.
    """

    outputs: tuple[str, ...] = ("real",)
    constants = False
    aggregates = False
    cross_sectional = False
    user_defined = False

    def __init__(self, name: str, inputs: int, parameters: Sequence[Parameter] = ()) -> None:
        self.name = name
        self.inputs = inputs
        self.parameters = tuple(parameters)

    def window(self, numbers: tuple[float, ...]) -> int:
        """Values of the inputs that a finite window needs, the current one included."""
        return 1

    def memory(self, numbers: tuple[float, ...]) -> int:
        """Values after which the weight of a recursion's start is below 0.5 %; 0 for finite windows."""
        return 0

    def problem(self, numbers: tuple[float, ...]) -> tuple[int, str, str] | None:
        """A mistake in the parameters: index of the parameter, what was found, what was expected."""
        for index, (parameter, value) in enumerate(zip(self.parameters, numbers, strict=True)):
            expected = parameter.check(value)
            if expected:
                return index, f"{self.name} with {parameter.name}={value:g}", f"expected {expected}"
        return None

    @abstractmethod
    def compute(self, inputs: list[Array], numbers: tuple[float, ...], spans: Spans) -> tuple[Array, ...]:
        """Compute every output.

        Args:
            inputs: float64 [n] each, or a float where `constants` allows it.
            numbers: the parameters.
            spans: the histories of these n values, which nothing crosses.

        Returns:
            One float64 array per output: [n], or [number of periods] for an aggregate.
        """

    def describe(self) -> str:
        """Its form, such as `Quantile(x, N, q)`."""
        names = ["x", "y", "z", "u", "v"][: self.inputs] if self.inputs <= 5 else [f"x{i}" for i in range(self.inputs)]
        given = [p.name if p.default is None else f"{p.name}={p.default:g}" for p in self.parameters]
        return f"{self.name}({', '.join(names + given)})"


def exponential_memory(alpha: float) -> int:
    """Values until the weight of an exponential mean's start is below 0.5 %."""
    return 1 if alpha >= 1 else math.ceil(math.log(0.005) / math.log(1 - alpha))
