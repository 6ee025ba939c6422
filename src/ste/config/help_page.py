"""The page of `--help`: what a command does, the choices of its config groups, and its settings with their meaning.

Hydra's own page costs a second more, because it lists the groups of all installed plugins several times. The meaning of
a setting is the comment next to it in its configuration file.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from omegaconf import OmegaConf

from ste.config.config_files import COMMON, conf_dir, config_root, group_choices
from ste.config.load import compose_command

WIDTH = 80
_MEANING = 30  # column where a setting's meaning starts
_SETTING = re.compile(r"( *)([\w/]+):")
_BASE = re.compile(r"^  - (/?(?!_self_)\w+)(?:@_here_)?$", re.MULTILINE)  # a file that a file extends


def help_page(command: str, overrides: list[str]) -> str:
    """Text of the page.

    Args:
        command: such as `train`.
        overrides: typed with `--help`; the settings are shown with them.

    Raises:
        HydraException: an override that cannot be composed.
    """
    config = compose_command(command, overrides, with_hydra=True)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    choices = {str(group): str(name) for group, name in config.hydra.runtime.choices.items()}
    chosen = {group: name for group, name in sorted(choices.items()) if not group.startswith("hydra/")}
    root = config_root(command)
    meanings = _meanings(root, f"{command}.yaml")
    for group, name in chosen.items():
        for folder in (root, conf_dir() / COMMON):
            meanings |= _meanings(folder, f"{group}/{name}.yaml", f"{group}.")
    groups = [_wrapped(f"  {group}:", ", ".join(group_choices(command, group))) for group in chosen]
    parts = ["\n".join(["Choices of each group:", *groups, ""])] if groups else []
    settings = "\n".join(
        _wrapped(line, meanings.get(key, "")) for key, line in _settings(OmegaConf.to_yaml(own).splitlines())
    )
    page = config.hydra.help
    return "\n".join([f"{page.header}\n", *parts, f"Settings:\n{settings}\n", page.footer])


def _meanings(root: Path, file: str, prefix: str = "") -> dict[str, str]:
    """Read the comment of each setting of a configuration file and of the files that it extends.

    Args:
        root: folder of the configuration.
        file: below it; the result is empty without the file.
        prefix: of the keys in the composed configuration.
    """
    path = root / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found: dict[str, str] = {}
    for base in _BASE.findall(text):
        extended = base[1:] if base.startswith("/") else str(Path(file).parent / base)
        found |= _meanings(root, f"{extended}.yaml", prefix)
    for key, line in _settings(text.splitlines()):
        _, mark, comment = line.partition(" # ")
        if mark:
            found[prefix + key] = comment.strip()
    return found


def _settings(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each line of a YAML mapping with the dotted key that it sets; a line of a list has the key of its list."""
    parents: list[str] = []
    for line in lines:
        found = _SETTING.match(line)
        if found:
            parents = [*parents[: len(found[1]) // 2], found[2]]
        yield ".".join(parents), line


def _wrapped(head: str, text: str) -> str:
    """Put a text next to a head, in its own column, wrapped."""
    if not text:
        return head
    lines = textwrap.wrap(text, WIDTH - _MEANING, break_long_words=False)
    first = [f"{head:<{_MEANING - 1}} {lines[0]}"] if len(head) < _MEANING else [head, " " * _MEANING + lines[0]]
    return "\n".join([*first, *(" " * _MEANING + line for line in lines[1:])])
