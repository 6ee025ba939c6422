"""From what a person names a model by to an ONNX file on this machine."""

import tempfile
from pathlib import Path
from typing import Any

from ste.config import PathSettings, TrackingSettings
from ste.errors import RunError
from ste.inference.registry.champion import ALIAS, FOLDER, NAME, read_champion

_REGISTERED = "models:/"


def find_model(
    spec: str, tracking: TrackingSettings, output: Path, data: Path = Path("data_output"), name: str = NAME
) -> Path:
    """The ONNX file of `model=spec`.

    A file and, with the default store, the champion that the pointer names are found without torch and MLflow. A
    run that was never exported is exported now, once, into the output folder.

    Args:
        spec: a file; `champion`; `models:/NAME@ALIAS` or `models:/NAME/VERSION`; a run id, `latest` or `best`.
        tracking: the store.
        output: folder of the default store and of what is kept of it.
        data: folder of the tables, for a run that is exported now.
        name: registered name that `champion` is of.

    Raises:
        RunError: there is no such model; the message says what to type.
    """
    if spec.endswith(".onnx") or (Path(spec).is_file() and not spec.startswith(_REGISTERED)):
        path = Path(spec)
        if not path.is_file():
            raise RunError(f"model={spec}: there is no such file. Write one with python -m ste.export output={spec}.")
        return path
    if tracking.uri is None:
        known = read_champion(output, name) if spec == ALIAS else None
        if known:
            return known[1]
        if not (output / "mlflow.db").is_file():
            raise RunError(
                f"model={spec}: {output} holds no runs yet. Train one with python -m ste.train model=lstm and export "
                "it with python -m ste.export, or give the path of an ONNX file."
            )
    from ste.tracking.store import open_store

    client = open_store(tracking, output)
    if spec == ALIAS or spec.startswith(_REGISTERED):
        return _registered(client, spec, output, name)
    return _of_run(client, spec, tracking, PathSettings(str(data), str(output)))


def refresh_champion(tracking: TrackingSettings, output: Path, name: str = NAME) -> Path:
    """The champion as the store has it now, its file and the pointer brought up to date.

    For when the alias was moved in the MLflow UI, or on another machine.

    Raises:
        RunError: there is no champion.
    """
    from ste.tracking.store import open_store

    return _registered(open_store(tracking, output), ALIAS, output, name)


def _registered(client: Any, spec: str, output: Path, name: str) -> Path:
    from ste.inference.registry.download_cache import keep_champion, keep_version, lock
    from ste.tracking.model_registry import champion_of, find_version

    address, _, alias = spec.removeprefix(_REGISTERED).partition("@")
    if spec != ALIAS and (alias != ALIAS or not address):
        found = find_version(client, spec)
        with lock(output):
            return keep_version(client, found, output)
    name = address if alias else name
    with lock(output):
        champion = champion_of(client, name)
        if champion is None:
            raise RunError(
                f"model={spec}: no version of {name} is the champion yet. A run whose verdict is better becomes it "
                f"by python -m ste.export run=best name={name}; any other by adding promote=yes."
            )
        return keep_champion(client, champion, output)


def _of_run(client: Any, spec: str, tracking: TrackingSettings, paths: PathSettings) -> Path:
    from ste.data.storage.files import whole_file
    from ste.tracking.run_lookup import find_run

    found = find_run(client, spec, tracking.experiment, key="model")
    path = Path(paths.output) / FOLDER / "runs" / f"{found.id}.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        content = _artifact(client, found, Path(scratch))
        if content is None and path.is_file():  # exported before by this very function
            return path
        if content is None:
            from ste.inference.export.exporter import export_run

            content = export_run(client, found, paths, Path(scratch)).content
        with whole_file(path) as partial:
            partial.write_bytes(content)
    return path


def _artifact(client: Any, found: Any, folder: Path) -> bytes | None:
    """The file that the run keeps, if it was exported."""
    from ste.tracking.run_lookup import EXPORTED, download

    place = EXPORTED.split("/")[0]
    if EXPORTED not in [entry.path for entry in client.list_artifacts(found.id, place)]:
        return None
    return download(client, found, EXPORTED, folder).read_bytes()
