"""Functions of the user's own in expressions, registered by `@ste.register("feature", lookback=...)`."""

import inspect
import typing
from collections.abc import Callable

import numpy as np

from ste.errors import ConfigError, described
from ste.expressions.history_operators import HistoryOperator
from ste.expressions.operators import MAX_WINDOW, Array, Parameter


class UserFunction(HistoryOperator):
    """A function that a user registered.

    Args:
        function: takes one history's values float64 [n] per array argument, then plain numbers; returns [n].
        lookback: values that a result depends on, the current one included, or a function of the plain numbers that
            returns it.
        name: in expressions; None is the function's own.

    Raises:
        ConfigError: its arguments are not annotated as arrays, then numbers.
    """

    user_defined = True

    def __init__(
        self, function: Callable[..., Array], lookback: int | Callable[..., int], name: str | None = None
    ) -> None:
        self._function = function
        self._lookback = lookback
        name = name or function.__name__
        kinds = typing.get_type_hints(function)
        inputs: list[str] = []
        parameters = []
        for argument in inspect.signature(function).parameters.values():
            kind = kinds.get(argument.name)
            if kind in (int, float):
                default = None if argument.default is inspect.Parameter.empty else argument.default
                parameters.append(Parameter(argument.name, kind is int, -MAX_WINDOW, MAX_WINDOW, default))
            elif (typing.get_origin(kind) or kind) is np.ndarray and not parameters:
                inputs.append(argument.name)
            else:
                found = "has no type" if kind is None else f"is {getattr(kind, '__name__', kind)}"
                raise ConfigError(
                    f"feature function {name}: argument {argument.name} {found}; expected np.ndarray for each "
                    f"input, then int or float for numbers, such as def {name}(close: np.ndarray, n: int)."
                )
        if not inputs:
            raise ConfigError(f"feature function {name}: no input. Annotate it, such as x: np.ndarray.")
        self.input_names = tuple(inputs)
        super().__init__(name, len(inputs), parameters)

    def window(self, numbers: tuple[float, ...]) -> int:
        """The registered look-back.

        Raises:
            ConfigError: it is not a whole number of 1 or more.
        """
        try:
            given = self._lookback(*self._plain(numbers)) if callable(self._lookback) else self._lookback
        except Exception as error:
            numbers_of = ", ".join(one.name for one in self.parameters) or "nothing"
            raise ConfigError(
                f"feature function {self.name}: its look-back fails: {described(error)}. Expected a number, or a "
                f"function of {numbers_of}."
            ) from error
        if not isinstance(given, int | np.integer) or not 1 <= given <= MAX_WINDOW:
            raise ConfigError(
                f"feature function {self.name}: look-back {given!r}; expected a whole number from 1 to {MAX_WINDOW}."
            )
        return int(given)

    def of_history(self, inputs: list[Array], numbers: tuple[float, ...]) -> tuple[Array, ...]:
        """Call the function and check what it returns.

        A history that is shorter than the look-back has no value, and the function is not called.

        Raises:
            ConfigError: it fails, or returns something else than one number per value.
        """
        if len(inputs[0]) < self.window(numbers):
            return (np.full(len(inputs[0]), np.nan),)
        try:
            result = self._function(*(values.copy() for values in inputs), *self._plain(numbers))
        except Exception as error:
            raise ConfigError(f"feature function {self.name}: {described(error)}.") from error
        expected = f"expected numbers of shape {inputs[0].shape}"
        if not isinstance(result, np.ndarray) or result.shape != inputs[0].shape:
            found = f"shape {result.shape}" if isinstance(result, np.ndarray) else type(result).__name__
            raise ConfigError(f"feature function {self.name}: returned {found}; {expected}.")
        if result.dtype.kind not in "fiub":
            raise ConfigError(f"feature function {self.name}: returned type {result.dtype}; {expected}.")
        return (result.astype(np.float64),)

    def _plain(self, numbers: tuple[float, ...]) -> list[float]:
        return [int(value) if p.integer else value for p, value in zip(self.parameters, numbers, strict=True)]


def user_function(
    function: Callable[..., Array], name: str, lookback: int | Callable[..., int] | None = None
) -> UserFunction:
    """Return what the registry holds of a function that a user decorates with `@ste.register("feature", lookback=N)`.

    Args:
        function: takes one history's values float64 [n] per array argument, then plain numbers; returns [n].
        name: in expressions.
        lookback: values that a result depends on, the current one included; an int, or a function of the plain
            arguments.

    Raises:
        ConfigError: without a look-back, or with other arguments than arrays and numbers.
    """
    if lookback is None:
        raise ConfigError(
            f"feature function {name}: no look-back; expected the number of values that a result depends on. Try "
            '@ste.register("feature", lookback=20), or lookback=lambda n: n of an argument n.'
        )
    return UserFunction(function, lookback, name)
