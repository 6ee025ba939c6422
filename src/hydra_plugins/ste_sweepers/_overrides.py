"""From overrides as they are typed to fixed ones and those with several values."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hydra.core.override_parser.types import IntervalSweep, Override

from ste.errors import ConfigError
from ste.tuning.search_space import Choice, Span

_Values = TypeVar("_Values", bound=Choice | Span)


def split(
    overrides: Iterable[Override], values: Callable[[Override], _Values]
) -> tuple[dict[str, str], dict[str, _Values]]:
    """Fixed overrides by key, and those that are swept; a key's last mention counts.

    Args:
        overrides: parsed.
        values: reads a swept one.

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


def listed(override: Override) -> Choice:
    """Every value, for a grid.

    Raises:
        ConfigError: an interval, which has no list of values.
    """
    if override.is_interval_sweep():
        raise ConfigError(
            f"{override.input_line}: a grid tries every value, and an interval has no end of them. "
            f"Try {override.get_key_element()}=range(1,5) or several values, or hydra/sweeper=ste_optuna for a search."
        )
    return Choice(tuple(override.sweep_string_iterator()))


def drawn(override: Override) -> Choice | Span:
    """What a search draws from: numbers of an interval or a range, else the values."""
    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        low, high = float(value.start or 0), float(value.end or 0)
        whole = {type(value.start), type(value.end)} == {int}
        return Span(low, high, whole=whole, log="log" in value.tags)
    texts = tuple(override.sweep_string_iterator())
    if override.is_range_sweep():
        numbers = [round(float(text), 12) for text in texts]
        if len(numbers) > 1 and numbers[1] > numbers[0]:
            whole = all(text.lstrip("-").isdigit() for text in texts)
            return Span(numbers[0], numbers[-1], whole=whole, step=round(numbers[1] - numbers[0], 12))
    return Choice(texts)
