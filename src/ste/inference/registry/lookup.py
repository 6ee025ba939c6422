"""Find the ONNX file that the setting `model` names."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import PathSettings, TrackingSettings
from ste.errors import RunError
from ste.inference.registry.champion import ALIAS, FOLDER, NAME, read_champion
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo

_REGISTERED = "models:/"


def find_model(
    spec: str, tracking: TrackingSettings, output: Path, data: Path = Path("data_output"), name: str = NAME
) -> Path:
    """Find the ONNX file of `model=spec`.

    A file, and with the default store the champion of the pointer, are found without torch and MLflow. A run that
    was never exported is exported once, into the output folder.

    Args:
        spec: a file; `champion`; `models:/NAME@ALIAS` or `models:/NAME/VERSION`; a run id, `latest` or `best`.
        tracking: the store.
        output: output folder: the default store and the local copies of models.
        data: folder of the tables, for a run that is exported now.
        name: registered name of `champion`.

    Raises:
        RunError: there is no such model; the message names what to type.
    """
    if spec.endswith(".onnx") or (Path(spec).is_file() and not spec.startswith(_REGISTERED)):
        path = Path(spec)
        if not path.is_file():
            raise RunError(f"model={spec}: there is no such file. Write one with python -m ste.export output={spec}.")
        return path
    if tracking.uri is None:
        champion = read_champion(output, name) if spec == ALIAS else None
        if champion:
            return champion[1]
        if not (output / "mlflow.db").is_file():
            raise RunError(
                f"model={spec}: {output} holds no runs yet. Train one with python -m ste.train model=lstm and export "
                "it with python -m ste.export, or give the path of an ONNX file."
            )
    from ste.tracking.store import open_store

    client = open_store(tracking, output)
    if spec == ALIAS or spec.startswith(_REGISTERED):
        return _find_registered(client, spec, output, name)
    return _find_exported_run(client, spec, tracking, PathSettings(str(data), str(output)))


def refresh_champion(tracking: TrackingSettings, output: Path, name: str = NAME) -> Path:
    """Update the pointer to the champion of the store, after the alias was moved in the MLflow UI or elsewhere.

    Returns:
        The path of the champion's ONNX file.

    Raises:
        RunError: there is no champion.
    """
    from ste.tracking.store import open_store

    return _find_registered(open_store(tracking, output), ALIAS, output, name)


def _find_registered(client: RunStore, spec: str, output: Path, name: str) -> Path:
    from ste.inference.registry.download_cache import cache_champion, cache_version, lock
    from ste.tracking.model_registry import find_champion, find_version

    address, _, alias = spec.removeprefix(_REGISTERED).partition("@")
    if spec != ALIAS and (alias != ALIAS or not address):
        version = find_version(client, spec)
        with lock(output):
            return cache_version(client, version, output)
    name = address if alias else name
    with lock(output):
        champion = find_champion(client, name)
        if champion is None:
            raise RunError(
                f"model={spec}: no version of {name} is the champion yet. A run whose verdict is better becomes it "
                f"by python -m ste.export run=best name={name}; any other by adding promote=yes."
            )
        return cache_champion(client, champion, output)


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
