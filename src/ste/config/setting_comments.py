"""The meaning of each setting: the comment next to it in its configuration file."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ste.config.config_files import COMMON, conf_dir, config_root, group_files

_SETTING = re.compile(r"( *)([\w/]+):")
_BASE = re.compile(r"^  - (/?(?!_self_)\w+)(?:@(\w+))?$", re.MULTILINE)  # a file that a file extends


def setting_comments(command: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Read the comment of each setting of a command, by dotted key.

    Args:
        command: such as `train`.
        chosen: name of the chosen file by config group.
    """
    root = config_root(command)
    comments = _comments(root, f"{command}.yaml")
    for group, name in chosen.items():
        for folder in (root, conf_dir() / COMMON):
            comments |= _comments(folder, f"{group}/{name}.yaml", f"{group}.")
        file = group_files(command, group).get(name)  # of a plugin
        if file is not None and not file.is_relative_to(conf_dir()):
            comments |= _comments(file.parent, file.name, f"{group}.")
    return comments


def keyed_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each line of a YAML mapping with the dotted key that it sets; a line of a list has the key of its list."""
    parents: list[str] = []
    for line in lines:
        found = _SETTING.match(line)
        if found:
            parents = [*parents[: len(found[1]) // 2], found[2]]
        yield ".".join(parents), line


def _comments(root: Path, file: str, prefix: str = "") -> dict[str, str]:
    """Read the comments of a configuration file and of the files that it extends.

    Args:
        root: folder of the configuration.
        file: below it; the result is empty without the file.
        prefix: of the keys in the composed configuration.
    """
    path = root / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found: dict[str, str] = {}
    for base, place in _BASE.findall(text):
        extended = base[1:] if base.startswith("/") else str(Path(file).parent / base)
        inside = "" if place in ("", "_here_") else f"{place}."
        for folder in (root, conf_dir() / COMMON):
            found |= _comments(folder, f"{extended}.yaml", prefix + inside)
    for key, line in keyed_lines(text.splitlines()):
        _, mark, comment = line.partition(" # ")
        if mark:
            found[prefix + key] = comment.strip()
    return found
