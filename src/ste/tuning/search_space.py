"""Search spaces: the values that a sweep tries, as typed and as Optuna samples them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ste.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = int | float | str


@dataclass(frozen=True)
class Choices:
    """Several values, as typed."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.values)


@dataclass(frozen=True)
class NumberRange:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: smallest number.
        high: largest number.
        integer: integers only.
        log: sample uniformly in the logarithm.
        step: distance of neighbours; None allows any number.
    """

    low: float
    high: float
    integer: bool = False
    log: bool = False
    step: float | None = None

    def __str__(self) -> str:
        words = [f"{self.low:g} to {self.high:g}"]
        words += ["log"] * self.log + ["integer"] * self.integer
        return ", ".join(words + ([f"step {self.step:g}"] if self.step else []))


Space = dict[str, Choices | NumberRange]
"""Values by override key."""


def value_of(text: str) -> Value:
    """Convert a typed value to a number if it is one, so that figures have a numeric axis."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def text_of(value: Value) -> str:
    """Convert a sampled value to text as typed on the command line."""
    return repr(round(value, 12)) if isinstance(value, float) else str(value)


def distributions(space: Space) -> "dict[str, BaseDistribution]":
    """Convert a search space to Optuna's distributions.

    Raises:
        ConfigError: numbers that Optuna cannot sample.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    converted: dict[str, BaseDistribution] = {}
    for key, values in space.items():
        try:
            if isinstance(values, Choices):
                converted[key] = CategoricalDistribution([value_of(text) for text in dict.fromkeys(values.values)])
            elif values.integer:
                converted[key] = IntDistribution(
                    int(values.low), int(values.high), log=values.log, step=int(values.step or 1)
                )
            else:
                converted[key] = FloatDistribution(values.low, values.high, log=values.log, step=values.step)
        except ValueError as error:
            raise ConfigError(f"{key}: {error} Try {key}=interval(0.1,1) or {key}=choice(1,2,3).") from None
    return converted
