"""Publish an exported model: with its run, in the registry, and as champion."""

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from ste.config import ExportSettings
from ste.inference.export.exporter import ExportedModel
from ste.inference.registry.champion import ALIAS, NAME, version_path
from ste.inference.registry.commands import command_line
from ste.inference.registry.download_cache import cache_champion, lock
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.model_registry import Version

_REQUIREMENTS = ("mlflow", "onnx", "onnxruntime", "numpy")


def publish(client: RunStore, settings: ExportSettings, exported: ExportedModel) -> list[str]:
    """Save a file with its run, register it and, if it is due, set the alias `champion` to it.

    Args:
        client: of the store.
        settings: of the export.
        exported: the file.

    Returns:
        Sentences on what was done and what was not.

    Raises:
        RunError: the store refuses.
    """
    from ste.tracking.model_registry import find_champion, find_same, promote, registry_errors
    from ste.tracking.run_lookup import EXPORTED

    output, run_id = Path(settings.paths.output), exported.card.run_id
    sha256 = hashlib.sha256(exported.content).hexdigest()
    with lock(output), registry_errors(settings.name):
        registered = find_same(client, settings.name, run_id, sha256)
        if registered:
            number, name = registered.number, registered.name
            done = f"Version {number} of {name} has the same bytes already: no other was registered."
        else:
            registered = _register(client, settings, exported, sha256)
            number, name = registered.number, registered.name
            done = f"Registered as version {number} of {name}, and saved with the run as {EXPORTED}."
        champion = find_champion(client, settings.name)
        moves, reason = decide(settings, exported.card.verdict["word"], registered, champion)
        if moves:
            exported.write(version_path(output, registered.name, registered.number))
            promote(client, registered)
            champion = registered
        if champion:
            cache_champion(client, champion, output)  # the alias may also have been moved elsewhere
    return [done, reason, *_next_commands(settings, registered, moves)]


def decide(
    settings: ExportSettings, verdict: str, registered: "Version", champion: "Version | None"
) -> tuple[bool, str]:
    """Decide whether the alias moves to a version, with the reason.

    Args:
        settings: of the export.
        verdict: word of the run's verdict.
        registered: the version.
        champion: present version of the alias, or None.
    """
    alias = f"models:/{registered.name}@{ALIAS}"
    if champion and champion.number == registered.number:
        return True, f"{alias} points at it already."
    stays = f"stays at version {champion.number}" if champion else "points at nothing"
    if settings.promote == "no":
        return False, f"{alias} {stays}: promote=no."
    before = f", before at version {champion.number}" if champion else ""
    if settings.promote == "yes":
        return True, f"{alias} points at it now{before}: promote=yes."
    if verdict == "better":
        return True, f"{alias} points at it now{before}: the verdict is better, than every baseline."
    return False, f"{alias} {stays}: only a verdict of better, than every baseline, moves it."


def _next_commands(settings: ExportSettings, registered: "Version", champion: bool) -> list[str]:
    """Return the commands that serve a version and, unless it is the champion, that make it the champion."""
    named = [] if settings.name == NAME else [f"name={settings.name}"]
    model = [] if settings.name == NAME else [f"model=models:/{settings.name}@{ALIAS}"]
    if champion:
        return [f"serve    {command_line('serve', settings.tracking, settings.paths, *model)}"]
    output = [] if settings.output == ExportSettings.output else [f"output={settings.output}"]
    overrides = [f"run={registered.run_id}", *output, *named, "promote=yes"]
    export = command_line("export", settings.tracking, settings.paths, *overrides)
    return [
        "Serve the file, or make it the champion, which model=champion and make serve need:",
        f"serve    {serve_file(settings)}",
        f"promote  {export}",
    ]


def serve_file(settings: ExportSettings) -> str:
    """Return the command that serves the exported file."""
    return command_line("serve", settings.tracking, settings.paths, f"model={settings.output}")


def _register(client: RunStore, settings: ExportSettings, exported: ExportedModel, sha256: str) -> "Version":
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
        "calendar": card.periods.calendar.label,
        "parity": f"{card.parity:.2g}",
        **({"adjustment": card.adjustment[:4000]} if card.adjustment else {}),
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
            [f"{package}=={version(package)}" for package in _REQUIREMENTS],
            card.verdict_text,
        )
