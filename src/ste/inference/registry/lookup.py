"""Find the ONNX file that the setting `model` names."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import PathSettings, TrackingSettings
from ste.config.store_location import missing_file
from ste.errors import RunError
from ste.inference.registry.champion import ALIAS, FOLDER, NAME, REGISTERED, champion_name, read_champion
from ste.inference.registry.commands import command_line
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo

_AGAIN = "Then type this command again; or give it a model: model=latest, or an ONNX file such as model=model.onnx."


def find_model(spec: str, tracking: TrackingSettings, paths: PathSettings) -> Path:
    """Find the ONNX file of `model=spec`.

    A file, and with the default store the champion of the pointer, are found without torch and MLflow. A run that
    was never exported is exported once, into the output folder.

    Args:
        spec: a file; `champion`; `models:/NAME@ALIAS` or `models:/NAME/VERSION`; a run id, `latest` or `best`.
        tracking: the store.
        paths: folders of the default store, of the local copies of models, and of the tables of a run that is exported
            now.

    Raises:
        RunError: there is no such model; the message names what to type.
    """
    if spec.endswith(".onnx") or (Path(spec).is_file() and not spec.startswith(REGISTERED)):
        path = Path(spec)
        if not path.is_file():
            raise RunError(f"model={spec}: there is no such file. Write one with python -m ste.export output={spec}.")
        return path
    output = Path(paths.output)
    if tracking.uri is None:
        champion = read_champion(output, NAME) if spec == ALIAS else None
        if champion:
            return champion[1]
        check_runs_exist(spec, tracking, paths)
    from ste.tracking.store import open_store

    client = open_store(tracking, output)
    if spec == ALIAS or spec.startswith(REGISTERED):
        return _find_registered(client, spec, tracking, paths)
    return _find_exported_run(client, spec, tracking, paths)


def check_runs_exist(spec: str, tracking: TrackingSettings, paths: PathSettings) -> None:
    """Raise `RunError` if the model `spec` is to be looked up in a store that does not exist."""
    if missing_file(tracking, Path(paths.output)) is not None:
        raise RunError(f"model={spec}: {_no_runs(tracking, paths)}")


def _no_runs(tracking: TrackingSettings, paths: PathSettings, *named: str) -> str:
    """Describe a store without runs, and what to type to have a champion."""
    train = command_line("train", tracking, paths, "model=lstm")
    export = command_line("export", tracking, paths, "run=latest", "promote=yes", *named)
    store = paths.output if tracking.uri is None else "the store"
    return f"{store} holds no runs yet. Train a model, and export it as the champion:\n  {train}\n  {export}\n{_AGAIN}"


def _find_registered(client: RunStore, spec: str, tracking: TrackingSettings, paths: PathSettings) -> Path:
    from ste.inference.registry.download_cache import cache_champion, cache_version, lock
    from ste.tracking.model_registry import find_champion, find_version

    name, output = champion_name(spec), Path(paths.output)
    with lock(output):
        if name is None:
            return cache_version(client, find_version(client, spec), output)
        champion = find_champion(client, name)
        if champion is None:
            raise RunError(f"model={spec}: {_no_champion(client, name, tracking, paths)}")
        return cache_champion(client, champion, output)


def _no_champion(client: RunStore, name: str, tracking: TrackingSettings, paths: PathSettings) -> str:
    """Describe what there is instead of a champion, and what to type."""
    from ste.tracking.model_registry import find_newest
    from ste.tracking.run_lookup import find_run

    newest = find_newest(client, name)
    named = [] if name == NAME else [f"name={name}"]
    if newest is None:
        try:
            find_run(client, "latest", tracking.experiment)
        except RunError:
            return _no_runs(tracking, paths, *named)
        run, found = "best", f"no model is registered as {name} yet. To export the best run as the champion, type"
    else:
        run = newest.run_id
        found = (
            f"no version of {name} is the champion yet. Version {newest.number} is the newest, with the verdict "
            f"{newest.verdict}; only better becomes the champion by itself. To make it the champion, type"
        )
    export = command_line("export", tracking, paths, f"run={run}", "promote=yes", *named)
    return f"{found}\n  {export}\n{_AGAIN}"


def _find_exported_run(client: RunStore, spec: str, tracking: TrackingSettings, paths: PathSettings) -> Path:
    from ste.data.storage.files import atomic_file
    from ste.tracking.run_lookup import find_run

    run = find_run(client, spec, tracking.experiment, key="model")
    path = Path(paths.output) / FOLDER / "runs" / f"{run.id}.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        content = _read_artifact(client, run, Path(scratch))
        if content is None and path.is_file():  # exported by an earlier call of this function
            return path
        if content is None:
            from ste.inference.export.exporter import export_run

            content = export_run(client, run, paths, Path(scratch)).content
        with atomic_file(path) as partial:
            partial.write_bytes(content)
    return path


def _read_artifact(client: RunStore, run: "RunInfo", folder: Path) -> bytes | None:
    """Read the exported file among the artifacts of a run; None if there is none."""
    from ste.tracking.run_lookup import EXPORTED, download

    if EXPORTED not in [entry.path for entry in client.list_artifacts(run.id, EXPORTED.split("/")[0])]:
        return None
    return download(client, run, EXPORTED, folder).read_bytes()
