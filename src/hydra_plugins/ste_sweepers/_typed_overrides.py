"""Split typed overrides into fixed ones and those with several values."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hydra.core.override_parser.types import IntervalSweep, Override

from ste.errors import ConfigError
from ste.tuning.search_space import Choices, NumberRange

_Values = TypeVar("_Values", bound=Choices | NumberRange)


def split_overrides(
    overrides: Iterable[Override], values: Callable[[Override], _Values]
) -> tuple[dict[str, str], dict[str, _Values]]:
    """Split overrides into fixed and swept ones, by key; the last mention of a key counts.

    Args:
        overrides: parsed.
        values: reads the values of a swept one.

    Raises:
        ConfigError: several values of a setting that cannot be swept.
    """
    fixed: dict[str, str] = {}
    swept: dict[str, _Values] = {}
    for override in overrides:
        key = override.get_key_element()
        fixed.pop(key, None)
        swept.pop(key, None)
        if not override.is_sweep_override():
            fixed[key] = override.get_value_element_as_str()
        elif key == "sweep" or key.startswith(("sweep.", "paths.", "resume")):
            raise ConfigError(f"{override.input_line}: a sweep has one {key}. Give it one value.")
        else:
            swept[key] = values(override)
    return fixed, swept


def grid_values(override: Override) -> Choices:
    """List every value, for a grid.

    Raises:
        ConfigError: an interval, which has no list of values.
    """
    if override.is_interval_sweep():
        raise ConfigError(
            f"{override.input_line}: a grid tries every value, and an interval has infinitely many. "
            f"Try {override.get_key_element()}=range(1,5) or several values, or hydra/sweeper=ste_optuna for a search."
        )
    return Choices(tuple(override.sweep_string_iterator()))


def search_values(override: Override) -> Choices | NumberRange:
    """Values that a search samples from: the numbers of an interval or a range, else the list."""
    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        low, high = float(value.start or 0), float(value.end or 0)
        integer = {type(value.start), type(value.end)} == {int}
        return NumberRange(low, high, integer=integer, log="log" in value.tags)
    texts = tuple(override.sweep_string_iterator())
    if override.is_range_sweep():
        numbers = [round(float(text), 12) for text in texts]
        if len(numbers) > 1 and numbers[1] > numbers[0]:
            integer = all(text.lstrip("-").isdigit() for text in texts)
            return NumberRange(numbers[0], numbers[-1], integer=integer, step=round(numbers[1] - numbers[0], 12))
    return Choices(texts)
