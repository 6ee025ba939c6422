"""Hook of MkDocs: the reference of all settings, from the configuration files and the settings classes."""

import dataclasses
from collections.abc import Iterator
from typing import Any, get_type_hints

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from omegaconf import DictConfig, OmegaConf

import ste.config
from ste.__main__ import COMMANDS, summary
from ste.config.config_files import group_choices
from ste.config.data_settings import SOURCES, DataSettings
from ste.config.load import compose_command
from ste.config.setting_comments import setting_comments
from ste.config.validation import Settings, as_typed, describe

_PRESETS = ("experiment", "sweep")
"""Groups whose files change settings of other groups."""

_TITLE = """# All settings

Generated from the configuration files and the classes that validate them. A setting is typed as `NAME=VALUE` after a
command; `GROUP=CHOICE` chooses a file of a group. [Settings](settings.md) explains the less obvious ones.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, "all_settings.md", content=settings_page()))
    return files


def settings_page() -> str:
    """Return the page: a section for each command, and within it a table for each group and choice."""
    shown: set[str] = set()
    parts = [_TITLE]
    for command in ("train", *(name for name in COMMANDS if name != "train")):
        parts.append(f"## {command}\n\n{summary(command)}: `python -m ste.{command}`.\n")
        parts += _command_tables(command, shown)
    return "\n".join(parts)


def _command_tables(command: str, shown: set[str]) -> Iterator[str]:
    """Yield the tables of a command; a table that stands on the page already is named instead."""
    config = compose_command(command, [], with_hydra=True)
    chosen = _choices(config)
    known: list[str] = []
    for title, lines in _tables(command, config, chosen):
        table = "\n".join(["| setting | default | accepts | meaning |", "|---|---|---|---|", *lines])
        if table in shown:
            known.append(f"`{title}`")
        elif lines:
            shown.add(table)
            yield f"### {command}: {title}\n\n{table}\n"
    if known:
        yield f"As above: {', '.join(known)}.\n"


def _tables(command: str, config: DictConfig, chosen: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    groups = [group for group in chosen if group not in _PRESETS]
    yield "settings", list(_lines(command, config, chosen, lambda key: key.split(".")[0] not in groups))
    for group in groups:
        for choice in group_choices(command, group):
            own = compose_command(command, [f"{group}={choice}"], with_hydra=True)
            inside = _lines(command, own, _choices(own), lambda key, group=group: key.startswith(f"{group}."))
            yield f"{group}={choice}", list(inside)


def _choices(config: DictConfig) -> dict[str, str]:
    choices = {str(group): str(name) for group, name in config.hydra.runtime.choices.items()}
    return {group: name for group, name in sorted(choices.items()) if not group.startswith("hydra/")}


def _lines(command: str, config: DictConfig, chosen: dict[str, str], wanted: Any) -> Iterator[str]:
    """Yield a table line for each wanted setting."""
    comments = setting_comments(command, chosen)
    cls = getattr(ste.config, f"{command.capitalize()}Settings")
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    for key, value in _flat(OmegaConf.to_container(own, resolve=False)):
        if wanted(key):
            cells = (f"`{key}`", f"`{as_typed(value)}`", _accepts(cls, key, config), comments.get(key, ""))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _accepts(cls: type[Settings], key: str, config: DictConfig) -> str:
    """What a setting accepts, in words; empty where no class validates it by its type, such as a model's own."""
    hint: Any = cls
    for name in key.split("."):
        if hint is DataSettings:
            hint = SOURCES[config.data.source]
        if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
            return ""
        hint = get_type_hints(hint, include_extras=True).get(name)
    nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
    text = "" if hint is None or nested else describe(hint)
    return "" if text == "another type" else text
