"""What a search may choose from, and how a choice is typed."""

from dataclasses import dataclass
from typing import Any

from ste.errors import ConfigError

Value = int | float | str


@dataclass(frozen=True)
class Choice:
    """One of several values, as they are typed."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.values)


@dataclass(frozen=True)
class Span:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: least.
        high: greatest.
        whole: integers alone.
        log: drawn evenly in the logarithm.
        step: between neighbours; None for any number.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: float | None = None

    def __str__(self) -> str:
        words = [f"{self.low:g} to {self.high:g}"]
        words += ["log"] * self.log + ["whole"] * self.whole
        return ", ".join(words + ([f"step {self.step:g}"] if self.step else []))


Space = dict[str, Choice | Span]


def value_of(text: str) -> Value:
    """A typed value as a number where it is one, so that figures have a scale."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def text_of(value: Value) -> str:
    """A chosen value as it is typed."""
    return repr(round(value, 12)) if isinstance(value, float) else str(value)


def distributions(space: Space) -> dict[str, Any]:
    """Optuna's distributions of a space.

    Raises:
        ConfigError: numbers that Optuna cannot draw from.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    out: dict[str, Any] = {}
    for key, values in space.items():
        try:
            if isinstance(values, Choice):
                out[key] = CategoricalDistribution([value_of(text) for text in dict.fromkeys(values.values)])
            elif values.whole:
                out[key] = IntDistribution(
                    int(values.low), int(values.high), log=values.log, step=int(values.step or 1)
                )
            else:
                out[key] = FloatDistribution(values.low, values.high, log=values.log, step=values.step)
        except ValueError as error:
            raise ConfigError(f"{key}: {error} Try {key}=interval(0.1,1) or {key}=choice(1,2,3).") from None
    return out
