"""The files of a table folder: read its data card, verify digests, and find the tables of earlier builds."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ste.config import DataSettings
from ste.data.storage.files import sha256
from ste.data.storage.parquet_shards import digests, part_files
from ste.errors import DataError
from ste.schema import trend_count

STAGING = ".building"
"""Folder inside a table folder where the parts are written until all are complete."""

TRUTH, TRADING, TENSORS = "truth", "trading", "tensors"
"""File names of the class probabilities, of what portfolios need, and of the memory-mapped arrays."""


def read_card(path: Path) -> dict[str, Any]:
    """Read a data card; empty where there is none or it cannot be read."""
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) and {"files", "truth", "identity"} <= set(card) else {}


def card_of_table(path: Path, digest: str) -> dict[str, Any]:
    """Return the data card of a table that the project built: the one next to it which lists its bytes; else empty.

    Args:
        path: file, or folder of parts.
        digest: SHA-256 of the table, as in a data card.
    """
    for card in map(read_card, sorted(path.parent.glob("data_card_*.json"))):
        if card and any(entry["sha256"] == digest for entry in card["files"].values()):
            return card
    return {}


def entries(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a card: the splits' tables and the files next to them."""
    return [*card["files"].values(), *(card[name] for name in (TRUTH, TRADING) if card.get(name))]


def content_digest(contents: list[str], settings: DataSettings) -> str:
    """Combine the digests of the tables into one short digest."""
    joined = "".join(contents)
    if settings.labels.classes != trend_count(settings.labels.classes):  # the same bytes give other examples
        joined += f"classes={settings.labels.classes}"
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def changed_files(path: Path, entry: dict[str, Any]) -> list[Path]:
    """Return the files of an existing table that are not as they were built, or were added to the folder of its parts.

    Args:
        path: file, or folder of parts.
        entry: of the data card.
    """
    if "parts" in entry and path.is_dir():
        found = {file.name: "" for file in path.iterdir()} | digests(path)
        return [path / name for name, digest in found.items() if digest != entry["parts"].get(name)]
    return [] if path.is_file() and sha256(path) == entry["sha256"] else [path]


def check_unchanged(path: Path, entry: dict[str, Any]) -> bool:
    """Return whether a file, or every part of a folder, exists.

    Raises:
        DataError: it was changed since it was built.
    """
    missing = set(entry.get("parts", ())) - {file.name for file in part_files(path)}
    if not path.exists() or missing:
        return False
    changed = changed_files(path, entry)
    if changed:
        raise DataError(
            f"{changed[0]}: was changed since it was built. Delete it to have it built again, or train on "
            f"it as it is with data=csv data.train=… data.validation=…"
        )
    return True


def replaceable(card_path: Path, targets: list[Path], *, own: bool) -> list[Path]:
    """Return the existing files and folders that a new table replaces: its targets, and the tables of an older card.

    Args:
        card_path: of the new card.
        targets: files and folders that will be written.
        own: whether the folder is named by its settings, so that the targets can only be from an earlier build.

    Raises:
        DataError: one of them was not built by STE, or was changed since.
    """
    card = read_card(card_path)
    built = {Path(entry["file"]).name: entry for entry in entries(card)} if card else {}
    paths = {*targets, *(card_path.parent / name for name in built)}
    existing = [path for path in paths if path.exists()]
    for path in existing:
        entry = built.get(path.name)
        if changed_files(path, entry) if entry else not own and path.name != card.get("tensors"):
            raise DataError(
                f"{path}: is there already and was not built by these settings, or was changed since. "
                "Move it, or choose another place with data.folder=DIR."
            )
    return existing
