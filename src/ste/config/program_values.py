"""Compose the configuration of a command from a program's values instead of a command line."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from ste.config.config_files import group_choices
from ste.config.load import compose_command, to_dict
from ste.errors import check_name


def compose_values(command: str, choices: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Compose the defaults of a command with choices of its groups and values of its settings.

    Nothing is written, and a program that uses Hydra itself is left alone.

    Args:
        command: such as `train`.
        choices: file of a group by the group's name, as `{"model": "gru"}`.
        values: by dotted name, as `{"optimizer.lr": 0.003}`; a mapping is merged into its settings.

    Returns:
        Dicts, lists and scalars; not validated yet (`ste.config.load.load_settings`).

    Raises:
        ConfigError: a choice that does not exist.
    """
    for group, choice in choices.items():
        check_name(group, choice, group_choices(command, group))
    config = compose_command(command, [f"{group}={choice}" for group, choice in choices.items()])
    OmegaConf.set_struct(config, False)  # settings are validated by their classes, which name near ones
    for key, value in values.items():
        OmegaConf.update(config, key, plain_value(value), merge=True)
    return to_dict(config)


def split_choices(command: str, given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Divide a program's values into choices of a command's groups, which are names, and values of settings."""
    choices = {key: value for key, value in given.items() if isinstance(value, str) and group_choices(command, key)}
    return choices, {key: value for key, value in given.items() if key not in choices}


def plain_value(value: Any) -> Any:
    """Return a value as plain data: paths as text, NumPy's numbers as Python's, tuples as lists, dates as ISO text."""
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain_value(one) for one in value]
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "strftime"):
        return value.strftime("%Y-%m-%d")
    return value
