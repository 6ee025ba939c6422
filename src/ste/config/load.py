"""Compose configurations, and convert them, or those stored with a run, to validated settings.

A configuration is data: its values become the dataclasses of `ste.config`, and nothing in it names code to run.
"""

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ste.config.config_files import MODEL_GROUP, config_root, group_files
from ste.config.data_settings import SOURCES, DataSettings
from ste.config.input_checks import check_input_files
from ste.config.plugin_record import ORIGINS, check_imported, check_recorded
from ste.config.typed_plugins import check_plugins
from ste.config.validation import Settings, validate_value
from ste.errors import ConfigError, check_name
from ste.registry import KINDS

SettingsType = TypeVar("SettingsType", bound=Settings)

_composing = Lock()
"""Held while Hydra's state, which is one for the process, is that of a command."""


def to_dict(config: DictConfig) -> dict[str, Any]:
    """Convert a configuration to dicts, lists and scalars, interpolations resolved, without Hydra's own node."""
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items() if key != "hydra"}


def compose_command(command: str, overrides: list[str], *, with_hydra: bool = False) -> DictConfig:
    """Compose the configuration of a command with overrides, from within a program, also in several threads.

    Args:
        command: such as `train`.
        overrides: as typed on the command line.
        with_hydra: include Hydra's own node `hydra`.
    """
    with _composing:
        state = GlobalHydra.instance()
        before = state.hydra
        state.clear()
        try:
            with initialize_config_dir(version_base="1.3", config_dir=str(config_root(command))):
                return compose(command, overrides=overrides, return_hydra_config=with_hydra)
        finally:
            if before is not None:  # of a program that uses Hydra itself
                state = GlobalHydra.instance()
                state.clear()
                state.initialize(before)


def load_settings(cls: type[SettingsType], config: Mapping[str, Any] | DictConfig) -> SettingsType:
    """Validate a configuration as the settings of a command, and check the input files that it names.

    Args:
        cls: the command's settings class.
        config: composed by Hydra, or read back from a run.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type or out of range.
        DataError: an input file that is missing, is empty or lacks a column.
    """
    values: dict[str, Any] = to_dict(config) if isinstance(config, DictConfig) else dict(config)
    check_recorded(values.pop(ORIGINS, {}))
    check_imported(check_plugins(values.pop("plugins", [])))
    if "model" in values and isinstance(values["model"], dict):
        _check_model_types(values["model"])
    settings = build_settings(cls, values)
    check_input_files(settings)
    return settings


def build_settings(cls: type[SettingsType], values: Mapping[str, Any]) -> SettingsType:
    """Validate a mapping as settings, nested groups included.

    Args:
        cls: settings class.
        values: by field name; a nested group is a mapping itself.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type or out of range.
    """
    prefix = f"{cls.section}." if cls.section else ""
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{cls.section}={values}: expected settings. Give its settings one by one, {prefix}NAME=VALUE."
        )
    values = cls.gathered(values)
    dataclass: type = cls
    known = {field.name: field for field in fields(dataclass)}
    unknown = sorted(str(key) for key in set(values) - set(known))
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" Try {prefix}{near[0]}." if near else ""
        raise ConfigError(
            f"{', '.join(prefix + key for key in unknown)}: no such setting. "
            f"Expected one of {', '.join(prefix + name for name in known)}.{hint}"
        )
    needed = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
    missing = ", ".join(f"{prefix}{name}" for name in needed if name not in values)
    if missing:
        raise ConfigError(
            f"{missing}: not in the configuration, which an earlier version of the project stored. Train again."
        )
    kinds = get_type_hints(cls)
    return cls(**{name: _build_field(kinds[name], value) for name, value in values.items()})


def _build_field(kind: Any, value: Any) -> Any:
    if kind is DataSettings and isinstance(value, Mapping):
        if value.get("source") not in SOURCES:
            raise ConfigError(
                f"data.source={value.get('source')}: expected one of {', '.join(SOURCES)}. Try data=world."
            )
        return build_settings(SOURCES[value["source"]], value)
    nested = isinstance(kind, type) and is_dataclass(kind) and issubclass(kind, Settings)
    return build_settings(kind, value) if nested else value


def _check_model_types(model: dict[str, Any]) -> None:
    """Check that a model's arguments have the types of their defaults in `conf/model/`; the model checks ranges."""
    kind = "baseline" if "baseline" in model else "net"
    known = [config for config in model_configs().values() if kind in config]
    default = next((config for config in known if config[kind] == model.get(kind)), None)
    if default is None:
        if KINDS["baseline" if kind == "baseline" else "model"].plugin(str(model.get(kind))) is not None:
            return  # a plugin's without a file; its class checks the arguments
        check_name(f"model.{kind}", model.get(kind), [str(config[kind]) for config in known])
        return
    for key, value in model.items():
        if key not in default:
            raise ConfigError(f"model.{key}: no such setting. Expected one of {', '.join(default)}.")
        expected = int | None if default[key] is None else type(default[key])
        validate_value(f"model.{key}", value, expected, default[key])


def model_configs() -> dict[str, dict[str, Any]]:
    """Read the files of the group `model` by name, those of the plugins included."""
    return {name: _read(path) for name, path in sorted(group_files("train", MODEL_GROUP).items())}


@cache
def _read(path: Path) -> dict[str, Any]:
    return to_dict(OmegaConf.load(path))  # type: ignore[arg-type]
