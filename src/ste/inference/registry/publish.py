"""An exported model kept where it will be looked for: with its run, in the registry, and as champion."""

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx

from ste.config import ExportSettings
from ste.inference.export.exporter import Exported
from ste.inference.registry.champion import ALIAS, version_path, write_champion
from ste.inference.registry.download_cache import keep_champion, lock, pointer_of

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
    from ste.tracking.model_registry import champion_of, find_same, promote, refusing
    from ste.tracking.run_lookup import EXPORTED

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
    alias = f"models:/{found.name}@{ALIAS}"
    if champion and champion.number == found.number:
        return True, f"{alias} points at it already."
    stays = f"stays at version {champion.number}" if champion else "points at nothing"
    hand = f"By hand: python -m ste.export run={found.run_id} name={found.name} promote=yes."
    if settings.promote == "no":
        return False, f"{alias} {stays}: promote=no."
    before = f", before at version {champion.number}" if champion else ""
    if settings.promote == "yes":
        return True, f"{alias} points at it now{before}: promote=yes."
    if verdict == "better":
        return True, f"{alias} points at it now{before}: the verdict is better, than every baseline."
    return False, f"{alias} {stays}: only a verdict of better, than every baseline, moves it. {hand}"


def _register(client: Any, settings: ExportSettings, exported: Exported, sha256: str) -> Any:
    from ste.tracking.model_registry import register
    from ste.tracking.run_lookup import EXPORTED

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
