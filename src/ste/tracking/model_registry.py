"""Exported models in MLflow's model registry: versions of a registered model, and the alias of the served one.

A version is a logged model of MLflow's ONNX flavour; `mlflow.pyfunc` and `mlflow models serve` load it without pickle.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ste.errors import RunError
from ste.tracking.model_folder import log_folder
from ste.tracking.retry import retried

ALIAS = "champion"
DIGEST = "sha256"
"""Tag of a version: the SHA-256 of its ONNX file."""
FILE = "model.onnx"
"""Name of the ONNX file in a version's artifacts; MLflow's flavour sets it."""
MODEL_NAME = "served"
"""Name of the logged models of runs."""


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes:
        name: of the registered model.
        number: of the version; text in MLflow.
        run_id: run that was exported.
        sha256: of the ONNX file.
        source: URI of the artifacts.
        verdict: word of the run's verdict at the export.
    """

    name: str
    number: str
    run_id: str
    sha256: str
    source: str
    verdict: str

    @classmethod
    def from_mlflow(cls, version: ModelVersion) -> "Version":
        """Create from MLflow's own object."""
        tags, source = version.tags, version.source or ""
        sha256, verdict = tags.get(DIGEST, ""), tags.get("verdict", "")
        return cls(version.name, str(version.version), version.run_id or "", sha256, source, verdict)


def find_same(client: MlflowClient, name: str, run_id: str, sha256: str) -> Version | None:
    """Find the version of a run with the same ONNX file, if it is registered.

    Args:
        client: of the store.
        name: registered model.
        run_id: run that was exported.
        sha256: of the file.
    """
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return next((one for one in map(Version.from_mlflow, versions) if one.sha256 == sha256), None)


def register(
    client: MlflowClient,
    name: str,
    run_id: str,
    proto: Any,
    file: Path,
    sha256: str,
    example: np.ndarray,
    classes: int,
    tags: dict[str, str],
    requirements: list[str],
    description: str,
) -> Version:
    """Log a file with its run and register it as a new version, with signature and input example.

    Args:
        client: of the store.
        name: registered model, created if missing.
        run_id: run that was exported.
        proto: the file as `onnx.ModelProto`.
        file: the same on disk.
        sha256: of it.
        example: raw features float32, a few windows or rows.
        classes: C.
        tags: of the version.
        requirements: pip requirements of the packages that load it.
        description: of the version.
    """
    import mlflow.onnx  # takes a second

    _ensure_name(client, name)
    run = client.get_run(run_id)

    def save(path: Path, **common: Any) -> None:
        mlflow.onnx.save_model(
            proto,
            path,
            pip_requirements=requirements,
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
            **common,
        )
        shutil.copyfile(file, path / FILE)  # the exported bytes

    group = len(proto.graph.input) > 1
    model_id = log_folder(client, run.info.experiment_id, run_id, MODEL_NAME, example, classes, save, group=group)
    version = retried(
        client.create_model_version,
        name,
        f"models:/{model_id}",
        run_id,
        tags={**tags, DIGEST: sha256},
        description=description,
        model_id=model_id,
    )
    return Version.from_mlflow(version)


@contextmanager
def registry_errors(name: str) -> Iterator[None]:
    """Convert errors of the store to one message.

    Args:
        name: registered model.
    """
    try:
        yield
    except MlflowException as error:
        reason = str(error).splitlines()[0][:200]
        raise RunError(
            f"name={name}: the file is written, but the store refuses to register it ({reason}). Make room where it "
            "is full, or try register=false."
        ) from error


def _ensure_name(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name, description="Exported by python -m ste.export.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def find_champion(client: MlflowClient, name: str) -> Version | None:
    """Find the version with the alias `champion`."""
    try:
        return Version.from_mlflow(client.get_model_version_by_alias(name, ALIAS))
    except MlflowException:
        return None


def find_newest(client: MlflowClient, name: str) -> Version | None:
    """Find the version with the highest number; None if there is none."""
    versions = map(Version.from_mlflow, client.search_model_versions(f"name = '{name}'"))
    return max(versions, key=lambda version: int(version.number), default=None)


def promote(client: MlflowClient, version: Version) -> None:
    """Set the alias `champion` on a version."""
    retried(client.set_registered_model_alias, version.name, ALIAS, version.number)


def find_version(client: MlflowClient, uri: str) -> Version:
    """Find the version of a URI `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        RunError: there is no such version, or the URI has another form.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    try:
        if at:
            return Version.from_mlflow(client.get_model_version_by_alias(name, alias))
        name, number = name.split("/")
        return Version.from_mlflow(client.get_model_version(name, number))
    except (MlflowException, ValueError):
        raise RunError(
            f"{uri}: no such version. Expected models:/NAME@ALIAS or models:/NAME/VERSION, such as "
            "models:/ste@champion. Type python -m ste.export run=best to register one."
        ) from None


def fetch(client: MlflowClient, version: Version, folder: Path) -> Path:
    """Download the ONNX file of a version.

    Args:
        client: of the store.
        version: of a registered model.
        folder: to download to.

    Raises:
        RunError: the file cannot be downloaded.
    """
    try:
        uri = client.get_model_version_download_uri(version.name, version.number)
        return Path(mlflow.artifacts.download_artifacts(f"{uri.rstrip('/')}/{FILE}", dst_path=str(folder)))
    except (MlflowException, OSError):
        raise RunError(
            f"models:/{version.name}/{version.number}: its {FILE} cannot be downloaded. Export it again: "
            f"python -m ste.export run={version.run_id}."
        ) from None
