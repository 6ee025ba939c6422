"""An exported model kept where it will be looked for: with its run, in the registry, and as champion."""

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
from filelock import FileLock

from ste.deploy.champion import FOLDER, Champion, version_path, write_champion
from ste.deploy.export import Exported
from ste.settings import ExportSettings

_LOADS = ("mlflow", "onnx", "onnxruntime", "numpy")


def publish(client: Any, settings: ExportSettings, exported: Exported) -> list[str]:
    """Keep a file with its run, register it and, where it is due, let `champion` point at it.

    Args:
        client: of the store.
        settings: of the export.
        exported: the file.

    Returns:
        What was done and what was not, each a sentence.

    Raises:
        RunError: the store refuses.
    """
    from ste.tracking.find import EXPORTED
    from ste.tracking.registry import champion_of, find_same, promote, refusing

    output, run_id = Path(settings.paths.output), exported.card.run_id
    sha256 = hashlib.sha256(exported.content).hexdigest()
    with lock(output), refusing(settings.name):
        found = find_same(client, settings.name, run_id, sha256)
        if found:
            said = [f"Version {found.number} of {found.name} has the same bytes already: no other was registered."]
        else:
            found = _register(client, settings, exported, sha256)
            said = [f"Registered as version {found.number} of {found.name}, and kept with the run as {EXPORTED}."]
        champion = champion_of(client, settings.name)
        moves, why = decide(settings, exported.card.verdict["word"], found, champion)
        if moves:
            exported.write(version_path(output, found.name, found.number))
            promote(client, found)
            write_champion(output, pointer_of(found, output))
        elif champion:
            keep_champion(client, champion, output)  # it may have been moved elsewhere since
    return [*said, why]


def decide(settings: ExportSettings, verdict: str, found: Any, champion: Any) -> tuple[bool, str]:
    """Whether the alias moves to a version, and that in words.

    Args:
        settings: of the export.
        verdict: word of the run's.
        found: the version.
        champion: that it points at now, or None.
    """
    alias = f"models:/{found.name}@champion"
    if champion and champion.number == found.number:
        return True, f"{alias} points at it already."
    stays = f"stays at version {champion.number}" if champion else "points at nothing"
    hand = f"By hand: python -m ste.export run={found.run_id} name={found.name} promote=yes."
    if settings.promote == "no":
        return False, f"{alias} {stays}: promote=no."
    before = f", before at version {champion.number}" if champion else ""
    if settings.promote == "yes":
        return True, f"{alias} points at it now{before}: promote=yes. The run's verdict is: {verdict}."
    if verdict == "better":
        return True, f"{alias} points at it now{before}: the run's verdict is better, of every baseline."
    return False, f"{alias} {stays}: the run's verdict is {verdict}; only better, of every baseline, moves it. {hand}"


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
    import os

    from ste.data.files import sha256
    from ste.tracking.registry import fetch

    path = version_path(output, found.name, found.number)
    if path.is_file() and found.sha256 in ("", sha256(path)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        os.replace(fetch(client, found, Path(folder)), path)
    return path


def pointer_of(found: Any, output: Path) -> Champion:
    """The pointer at a registered version."""
    file = version_path(output, found.name, found.number).name
    return Champion(found.name, found.number, found.run_id, found.sha256, file)


def _register(client: Any, settings: ExportSettings, exported: Exported, sha256: str) -> Any:
    from ste.tracking.find import EXPORTED
    from ste.tracking.registry import register

    card = exported.card
    folder, name = EXPORTED.split("/")
    tags = {
        "model": card.name,
        "verdict": card.verdict["word"],
        "data.digest": card.data_digest,
        "data.source": card.data_source,
        "frequency": card.frequency,
        "horizon": str(card.horizon),
        "view": card.view,
        "sequence_length": str(card.sequence_length),
        "classes": ", ".join(card.classes),
        "trained": f"{card.trained_from} to {card.trained_to}",
        "parity": f"{card.parity:.2g}",
        **({"made_of": card.made_of[:4000]} if card.made_of else {}),
    }
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / name
        file.write_bytes(exported.content)
        client.log_artifact(card.run_id, str(file), folder)
        return register(
            client,
            settings.name,
            card.run_id,
            onnx.load_from_string(exported.content),
            file,
            sha256,
            exported.example,
            len(card.classes),
            tags,
            [f"{package}=={version(package)}" for package in _LOADS],
            card.verdict["paragraph"],
        )
