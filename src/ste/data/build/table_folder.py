"""The files of a table folder: read its data card, verify digests, and remove tables of earlier builds."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ste.config import DataSettings
from ste.data.storage.files import atomic_file, sha256
from ste.data.storage.parquet_shards import digests
from ste.errors import DataError
from ste.schema import CLASS_NAMES

STAGING = ".building"
"""Folder inside a table folder where the parts are written until all are complete."""

TRUTH, TENSORS = "truth", "tensors"
"""File names of the class probabilities and the memory-mapped arrays."""


def read_card(path: Path) -> dict[str, Any]:
    """Read a data card, or the marker of a started build; empty where there is neither or it cannot be read."""
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    known = isinstance(card, dict) and ("building" in card or {"files", "truth", "identity"} <= set(card))
    return card if known else {}


def entries(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a card: the splits' tables and, where known, the class probabilities."""
    return [*card["files"].values(), *([card["truth"]] if card["truth"] else [])]


def content_digest(contents: list[str], settings: DataSettings) -> str:
    """Combine the digests of the tables into one short digest."""
    joined = "".join(contents)
    if settings.labels.classes != len(CLASS_NAMES):  # the same bytes give other examples
        joined += f"classes={settings.labels.classes}"
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def check_unchanged(path: Path, entry: dict[str, Any]) -> bool:
    """Return whether a file or a folder of parts exists.

    Raises:
        DataError: it was changed since it was built.
    """
    if not path.exists():
        return False
    changed = path
    if "parts" not in entry:
        same = path.is_file() and sha256(path) == entry["sha256"]
    else:
        found, built = digests(path), entry["parts"]
        if set(built) - set(found):
            return False
        odd = [name for name in found if found[name] != built.get(name)]
        same = not odd
        changed = path / odd[0] if odd else path
    if not same:
        raise DataError(
            f"{changed}: was changed since it was built. Delete it to have it built again, or train on "
            f"it as it is with data=csv data.train=… data.validation=…"
        )
    return True


def make_room(card_path: Path, targets: list[Path], *, own: bool) -> None:
    """Delete the tables of an older card and mark the start of a build; refuse to delete other files.

    The marker is written in place of the card, so that after a kill the incomplete files are recognized.

    Args:
        card_path: of the new card.
        targets: files and folders that will be written.
        own: whether the folder is named by its settings, so that the targets can only be from an earlier build.

    Raises:
        DataError: a target exists and no card explains it.
    """
    card = read_card(card_path)
    ours: dict[str, dict[str, Any] | None] = dict.fromkeys(
        card.get("building", [path.name for path in targets] if own else [])
    )
    if "files" in card:
        ours |= {entry["file"]: entry for entry in entries(card)}
        ours |= dict.fromkeys([card["tensors"]] if "tensors" in card else [])  # derived from the tables
    for path in {*targets, *(card_path.parent / Path(name).name for name in ours)}:
        if not path.exists():
            continue
        if path.name not in ours or not _is_as_built(path, ours[path.name]):
            raise DataError(
                f"{path}: is there already and was not built by these settings, or was changed since. "
                "Move it, or choose another place with data.folder=DIR."
            )
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with atomic_file(card_path) as partial:
        partial.write_text(json.dumps({"building": [path.name for path in targets]}) + "\n")


def _is_as_built(path: Path, entry: dict[str, Any] | None) -> bool:
    """Return whether a path holds what its entry lists; an incomplete build, without an entry, may hold anything."""
    if entry is None:
        return True
    if "parts" not in entry:
        return path.is_file() and sha256(path) == entry["sha256"]
    names = {file.name for file in path.iterdir()} if path.is_dir() else {""}
    return names <= set(entry["parts"]) and digests(path).items() <= entry["parts"].items()
