"""Feature sets that a program states: names, files, `FeatureSet`s, or columns by name."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any

from ste.errors import ConfigError
from ste.schema import FeatureSet

OWN = "own"
"""Name of a set of columns that a program states."""

Features = str | PathLike[str] | FeatureSet | Mapping[str, Any]
"""A feature set: its name, its YAML file, its definitions, or expressions (or settings) of columns by name."""


def feature_settings(given: Features | Sequence[Features]) -> list[str | dict[str, Any]]:
    """Return the setting `features` of what a program states.

    Args:
        given: one feature set, or several that are joined.

    Raises:
        ConfigError: something that is no feature set.
    """
    several = [given] if isinstance(given, str | PathLike | FeatureSet | Mapping) else given
    return [_setting(each) for each in several]


def _setting(given: Features) -> str | dict[str, Any]:
    if isinstance(given, FeatureSet):
        return given.to_dict()
    if isinstance(given, str | PathLike):
        return fspath(given)
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"features: found {type(given).__name__}. Expected a name such as weekly21, a YAML file, or columns by "
            'name, such as {"momentum": "$close/Ref($close, 60) - 1"}.'
        )
    if isinstance(given.get("columns"), list):
        return {"name": OWN, **given}
    columns = [
        {"name": name, **definition} if isinstance(definition, Mapping) else {"name": name, "expr": str(definition)}
        for name, definition in given.items()
    ]
    return {"name": OWN, "columns": [{"group": OWN, **column} for column in columns]}
