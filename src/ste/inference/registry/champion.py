"""Which model serves: a small file that whoever moves the alias `champion` writes and a service watches.

`outputs/served/NAME.champion.json` names the registered version, its run and the ONNX file beside it. It is
replaced whole, after the file that it names is whole, so that a reader finds the old champion or the new one. A
service that looks at it needs neither MLflow nor the store.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ste.errors import RunError

FOLDER = "served"
"""Of the output folder; ONNX files by version lie here too."""

ALIAS = "champion"
NAME = "ste"
"""Registered name where none is given."""


@dataclass(frozen=True)
class Champion:
    """A registered version that serves.

    Attributes:
        name: registered name.
        version: in the registry.
        run_id: that it was exported from.
        sha256: of the file.
        file: its name, beside the pointer.
    """

    name: str
    version: str
    run_id: str
    sha256: str
    file: str


def pointer_path(output: Path, name: str = NAME) -> Path:
    """Where the pointer lies; looking at this file's time of change is enough to see a new champion."""
    return output / FOLDER / f"{name}.{ALIAS}.json"


def version_path(output: Path, name: str, version: str) -> Path:
    """Where a registered version's ONNX file is kept."""
    return output / FOLDER / f"{name}-{version}.onnx"


def read_champion(output: Path, name: str = NAME) -> tuple[Champion, Path] | None:
    """The champion that the pointer names and the path of its file; None where there is none yet.

    Args:
        output: folder.
        name: registered name.

    Raises:
        RunError: a pointer that cannot be read, or whose file was removed.
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
    """Point at a champion whose file is there already; gives the pointer's path. The same one is not written again."""
    from ste.data.storage.files import whole_file

    path, text = pointer_path(output, champion.name), json.dumps(asdict(champion), indent=2) + "\n"
    if not path.is_file() or path.read_text() != text:
        with whole_file(path) as partial:
            partial.write_text(text)
    return path
