"""A folder of tables: what its card names, whether that is still as it was built, and room for other tables."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ste.config import DataSettings
from ste.data.storage.files import sha256, whole_file
from ste.data.storage.parquet_shards import digests
from ste.errors import DataError
from ste.schema import CLASS_NAMES

STAGING = ".building"
"""Folder within a table's where its parts are until all are there."""

TRUTH, TENSORS = "truth", "tensors"
"""Names of what lies beside the splits' tables."""


def read_card(path: Path) -> dict[str, Any]:
    """A card, or the note of a build that has begun; empty where there is neither or it cannot be read."""
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    known = isinstance(card, dict) and ("building" in card or {"files", "truth", "identity"} <= set(card))
    return card if known else {}


def entries(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file or folder of parts that a card names: the splits' and, where there is one, the truth's."""
    return [*card["files"].values(), *([card["truth"]] if card["truth"] else [])]


def content_digest(contents: list[str], settings: DataSettings) -> str:
    """Short digest of all the tables' bytes, from each one's own."""
    joined = "".join(contents)
    if settings.labels.classes != len(CLASS_NAMES):  # other examples of the same bytes
        joined += f"classes={settings.labels.classes}"
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def check_unchanged(path: Path, entry: dict[str, Any]) -> bool:
    """Whether a file or a folder of parts is there.

    Raises:
        DataError: it is, and was changed since it was built.
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
    """Remove what an older card names, refuse to touch what none explains, and say what is being built.

    The note that a build has begun stands where the card will be: after a kill, the half-built files are
    known to be ours. In a folder of our `own`, named by its settings, nothing else is expected.
    """
    card = read_card(card_path)
    ours: dict[str, dict[str, Any] | None] = dict.fromkeys(
        card.get("building", [path.name for path in targets] if own else [])
    )
    if "files" in card:
        ours |= {entry["file"]: entry for entry in entries(card)}
        ours |= dict.fromkeys([card["tensors"]] if "tensors" in card else [])  # made of the others
    for path in {*targets, *(card_path.parent / Path(name).name for name in ours)}:
        if not path.exists():
            continue
        if path.name not in ours or not _is_as_built(path, ours[path.name]):
            raise DataError(
                f"{path}: is there already and was not built by these settings, or was changed since. "
                "Move it, or choose another place with data.folder=DIR."
            )
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with whole_file(card_path) as partial:
        partial.write_text(json.dumps({"building": [path.name for path in targets]}) + "\n")


def _is_as_built(path: Path, entry: dict[str, Any] | None) -> bool:
    """Whether nothing is there that `entry` does not tell of; half a build, without an entry, may hold anything."""
    if entry is None:
        return True
    if "parts" not in entry:
        return path.is_file() and sha256(path) == entry["sha256"]
    names = {file.name for file in path.iterdir()} if path.is_dir() else {""}
    return names <= set(entry["parts"]) and digests(path).items() <= entry["parts"].items()
