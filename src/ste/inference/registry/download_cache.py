"""Registered versions kept on this machine: a file each, downloaded once, and the pointer at the champion."""

import os
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from ste.errors import RunError
from ste.inference.registry.champion import FOLDER, Champion, version_path, write_champion


def lock(output: Path) -> FileLock:
    """Held while versions and the champion are looked at and changed."""
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


def keep_champion(client: Any, champion: Any, output: Path) -> Path:
    """The champion's file, downloaded where it is not kept yet, with the pointer at it; under the lock.

    Args:
        client: of the store.
        champion: a `tracking.registry.Version`.
        output: folder.
    """
    path = keep_version(client, champion, output)
    write_champion(output, pointer_of(champion, output))
    return path


def keep_version(client: Any, found: Any, output: Path) -> Path:
    """A registered version's file, downloaded once."""
    from ste.data.storage.files import sha256
    from ste.tracking.model_registry import fetch

    path = version_path(output, found.name, found.number)
    if path.is_file() and found.sha256 in ("", sha256(path)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = fetch(client, found, Path(folder))
        if found.sha256 not in ("", sha256(whole)):
            raise RunError(
                f"models:/{found.name}/{found.number}: its file is not the one that was registered. Export it again: "
                f"python -m ste.export run={found.run_id}."
            )
        os.replace(whole, path)
    return path


def pointer_of(found: Any, output: Path) -> Champion:
    """The pointer at a registered version."""
    file = version_path(output, found.name, found.number).name
    return Champion(found.name, found.number, found.run_id, found.sha256, file)
