"""Messages for overrides that Hydra cannot compose: the override at fault and the nearest valid names."""

import difflib
import re
import shlex
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from ste.config.config_files import config_root, group_choices
from ste.config.load import compose_command


def explain_overrides(command: str, overrides: list[str], *, sweep: bool = False) -> str | None:
    """Message about the first override that a command does not have; None if all of them name settings.

    Args:
        command: such as `train`.
        overrides: as typed.
        sweep: several values of a setting are several runs.
    """
    keys = _keys(command, overrides)
    mistake = next(filter(None, (_explain(command, text, keys) for text in overrides)), None)
    return mistake or (None if sweep else _several_values(command, overrides))


def _several_values(command: str, overrides: list[str]) -> str | None:
    """Message about a setting with several values outside a sweep."""
    parser = OverridesParser.create()
    text = next((text for text in overrides if parser.parse_override(text).is_sweep_override()), None)
    if text is None:
        return None
    if command == "train":
        again = shlex.join(overrides)
        return f"{text}: several values, which are a sweep. Try python -m ste.train -m {again}."
    key, _, values = text.partition("=")
    return f"{text}: expected one value. Give a list as {key}=[{values}], and quote a text: {key}=\"'{values}'\"."


def _explain(command: str, text: str, keys: list[str]) -> str | None:
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException:
        return f"{text}: not an override. Expected key=value; quote what a shell or Hydra would read, key='a b'."
    key = override.key_or_group
    if not key:
        return f"{text}: no setting before the =. Expected key=value."
    choices = group_choices(command, key)
    if choices and (key in keys or key in _groups(command)):
        values = re.split(r"[,\s]+", text.split("=", 1)[1].strip("'\"[]")) if "=" in text else []
        wrong = next((value for value in values if value not in (*choices, "null", "")), None)
        if wrong is None:
            return None
        near = _did_you_mean(wrong, choices, f"{key}=")
        here = Path(f"{wrong}.py").is_file() or Path(wrong, "__init__.py").is_file()
        plugin = f" Try plugins=[{wrong}] {key}={wrong}." if here and wrong.isidentifier() else ""
        return f"{key}={wrong}: no such choice.{near} Choices: {', '.join(choices)}.{plugin}"
    if override.is_add() or override.is_force_add() or key.startswith("hydra") or key in keys:
        return None
    siblings = [name for name in keys if name.startswith(key.rsplit(".", 1)[0] + ".")] if "." in key else []
    near = _did_you_mean(key, keys, "", siblings)
    return f"{key}: no such setting.{near} --help lists them all."


def _did_you_mean(word: str, known: list[str], prefix: str, fallback: list[str] | None = None) -> str:
    near = difflib.get_close_matches(word, dict.fromkeys(known), n=3, cutoff=0.55) or (fallback or [])[:6]
    return f" Did you mean {' or '.join(prefix + name for name in near)}?" if near else ""


def _groups(command: str) -> set[str]:
    """Config groups in a command's defaults list."""
    config = OmegaConf.load(config_root(command) / f"{command}.yaml")
    return {str(key) for entry in config.defaults if isinstance(entry, DictConfig) for key in entry}


def _keys(command: str, overrides: list[str]) -> list[str]:
    """Keys of every setting of a command, with the groups that the overrides choose where they exist."""
    parts = [text.partition("=") for text in overrides]
    chosen = [
        text for text, (key, _, value) in zip(overrides, parts, strict=True) if value in group_choices(command, key)
    ]
    try:
        config = compose_command(command, chosen)
    except HydraException:
        config = compose_command(command, [])
    return _walk(OmegaConf.to_container(config, resolve=False), "")


def _walk(node: Any, prefix: str) -> list[str]:
    keys = []
    for key, value in node.items():
        keys.append(f"{prefix}{key}")
        if isinstance(value, dict):
            keys += _walk(value, f"{prefix}{key}.")
    return keys
