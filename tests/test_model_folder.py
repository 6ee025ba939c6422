from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from ste.tracking.model_folder import write_model_folder

PACKAGES = ("ste", "torch", "numpy")


def signed() -> Model:
    return Model(
        artifact_path="file:///somewhere",
        run_id="1" * 32,
        model_uuid="m-2",
        model_id="m-2",
        utc_time_created="2026-01-02 03:04:05.678",
        signature=ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 3), "features")]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 3), "probabilities")]),
        ),
    )


def text_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_is_the_one_that_mlflow_would_write(tmp_path: Path):
    example = {"features": np.array([[0.1, -2.0, 3e7], [1.0, 0.0, 1e-8]], dtype=np.float32)}
    files = tmp_path / "files" / "trend"
    files.mkdir(parents=True)
    (files / "weights.pt").write_bytes(b"weights")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "data/trend").mkdir(parents=True)
    (ours / "data/trend/weights.pt").write_bytes(b"weights")
    write_model_folder(ours, signed(), "ste.tracking.logged_model", "data/trend", example, PACKAGES)
    needed = [line for line in (ours / "requirements.txt").read_text().splitlines() if not line.startswith("mlflow")]
    mlflow.pyfunc.save_model(
        theirs,
        mlflow_model=signed(),
        loader_module="ste.tracking.logged_model",
        data_path=str(files),
        signature=signed().signature,
        input_example=example,
        pip_requirements=needed,
    )
    assert text_of(ours) == text_of(theirs)
    assert len(needed) == len(PACKAGES)


def test_a_package_that_is_not_installed_is_not_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from ste.tracking import model_folder

    def none(name: str) -> str:
        if name == "wheel":
            raise model_folder.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(model_folder, "version", none)
    write_model_folder(tmp_path, signed(), "ste.tracking.logged_model", "data", {}, ())
    environment = yaml.safe_load((tmp_path / "python_env.yaml").read_text())
    assert environment["build_dependencies"] == ["pip==1.0", "setuptools==1.0", "wheel"]
