"""Write the files of a template."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ste.errors import ConfigError, check_name

_FOLDER = Path(__file__).parent
_ENDINGS = (".py", ".yaml")
_NEXT = "# next: "


@dataclass(frozen=True)
class WrittenComponent:
    """Files of a new component.

    Attributes:
        files: written.
        commands: to type next.
    """

    files: list[Path]
    commands: list[str]


def template_kinds() -> list[str]:
    """Kinds that have a template."""
    return sorted(path.name.removesuffix(".py.txt") for path in _FOLDER.glob("*.py.txt"))


def write_component(kind: str, name: str, folder: Path) -> WrittenComponent:
    """Write the files of a component; nothing is overwritten.

    Args:
        kind: of `template_kinds`; `model` is `net`.
        name: of the module.
        folder: of the files.

    Raises:
        ConfigError: an unknown kind, an existing file, or a name that another module has.
    """
    kind = "net" if kind == "model" else kind
    check_name("kind", kind, template_kinds())
    paths = {ending: folder / f"{name}{ending}" for ending in _ENDINGS if (_FOLDER / f"{kind}{ending}.txt").is_file()}
    existing = [path.name for path in paths.values() if path.exists()] or ([name] if (folder / name).exists() else [])
    if existing:
        raise ConfigError(f"{existing[0]}: is there already. Choose another name, or move the file away.")
    if importlib.util.find_spec(name) is not None:
        raise ConfigError(f"name={name}: an installed module has that name. Try name=my_{name}.")
    words = {"name": name, "Name": "".join(part.capitalize() for part in name.split("_"))}
    commands: list[str] = []
    for ending, path in paths.items():
        text = Template((_FOLDER / f"{kind}{ending}.txt").read_text(encoding="utf-8")).substitute(words)
        lines = text.splitlines(keepends=True)
        commands += [line.removeprefix(_NEXT).strip() for line in lines if line.startswith(_NEXT)]
        path.write_text("".join(line for line in lines if not line.startswith(_NEXT)), encoding="utf-8")
    return WrittenComponent(list(paths.values()), commands)
