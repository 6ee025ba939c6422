"""The pointer at the champion: a small file that an export writes and a service watches.

`outputs/served/NAME.champion.json` names the registered version, its run and the ONNX file next to it. The pointer is
replaced atomically after the file that it names is complete, so a reader sees the old champion or the new one. A
service that watches it needs neither MLflow nor the store.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ste.errors import RunError

FOLDER = "served"
"""Folder below the output folder; ONNX files by version are here too."""

ALIAS = "champion"
NAME = "ste"
"""Default registered name."""
REGISTERED = "models:/"
"""Start of an MLflow address of a registered version."""


@dataclass(frozen=True)
class Champion:
    """The registered version that is served.

    Attributes:
        name: registered name.
        version: in the registry.
        run_id: that it was exported from.
        sha256: of the file.
        file: name of the file, in the folder of the pointer.
    """

    name: str
    version: str
    run_id: str
    sha256: str
    file: str


def champion_name(spec: str) -> str | None:
    """Return the registered name if a setting `model` names a champion, otherwise None."""
    if spec == ALIAS:
        return NAME
    name, _, alias = spec.removeprefix(REGISTERED).partition("@")
    return name if spec.startswith(REGISTERED) and alias == ALIAS else None


def pointer_path(output: Path, name: str = NAME) -> Path:
    """Return the path of the pointer; its modification time changes with the champion."""
    return output / FOLDER / f"{name}.{ALIAS}.json"


def version_path(output: Path, name: str, version: str) -> Path:
    """Return the path of a registered version's ONNX file."""
    return output / FOLDER / f"{name}-{version}.onnx"


def read_champion(output: Path, name: str = NAME) -> tuple[Champion, Path] | None:
    """Read the pointer; None if there is none yet.

    Args:
        output: output folder.
        name: registered name.

    Returns:
        The champion and the path of its file.

    Raises:
        RunError: the pointer cannot be read, or its file was removed.
    """
    path = pointer_path(output, name)
    try:
        champion = Champion(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        raise RunError(
            f"{path}: cannot be read. Delete it and type python -m ste.export run=RUN_ID promote=yes."
        ) from None
    file = path.parent / Path(champion.file).name  # never outside of the folder
    if not file.is_file():
        raise RunError(
            f"{path}: names {champion.file}, which is not there. Type python -m ste.export run={champion.run_id} "
            "promote=yes."
        )
    return champion, file


def write_champion(output: Path, champion: Champion) -> Path:
    """Write the pointer at a champion whose file exists, unless it names that champion already; gives its path."""
    from ste.data.storage.files import atomic_file

    path, text = pointer_path(output, champion.name), json.dumps(asdict(champion), indent=2) + "\n"
    if not path.is_file() or path.read_text() != text:
        with atomic_file(path) as partial:
            partial.write_text(text)
    return path
