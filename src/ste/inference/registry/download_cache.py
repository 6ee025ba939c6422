"""Local copies of registered versions, each downloaded once, and the pointer at the champion."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ste.errors import RunError
from ste.inference.registry.champion import FOLDER, Champion, version_path, write_champion
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.model_registry import Version


def lock(output: Path) -> FileLock:
    """Return the lock to hold while versions and the champion are read and changed."""
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


def cache_champion(client: RunStore, champion: "Version", output: Path) -> Path:
    """Download the champion unless it is cached, and point at it; needs the lock.

    Args:
        client: of the store.
        champion: registered version.
        output: output folder.

    Returns:
        The path of the ONNX file.
    """
    path = cache_version(client, champion, output)
    write_champion(output, Champion(champion.name, champion.number, champion.run_id, champion.sha256, path.name))
    return path


def cache_version(client: RunStore, version: "Version", output: Path) -> Path:
    """Download a registered version unless it is cached; gives the path of its ONNX file.

    Raises:
        RunError: the downloaded file is not the registered one.
    """
    from ste.data.storage.files import sha256
    from ste.tracking.model_registry import fetch

    path = version_path(output, version.name, version.number)
    if path.is_file() and version.sha256 in ("", sha256(path)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        downloaded = fetch(client, version, Path(folder))
        if version.sha256 not in ("", sha256(downloaded)):
            raise RunError(
                f"models:/{version.name}/{version.number}: its file is not the one that was registered. Export it "
                f"again: python -m ste.export run={version.run_id}."
            )
        os.replace(downloaded, path)
    return path
