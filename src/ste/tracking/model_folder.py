"""The folder of a logged model, as `mlflow.pyfunc.save_model` writes it.

MLflow's own looks through every file of every installed package on the way, to warn of versions that differ from those
that were read from the same packages a moment before: that takes longer than the fit of a small net.
"""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mlflow
import numpy as np
import yaml
from mlflow.models import Model

_EXAMPLE, _SERVED, _CONDA, _PYTHON = (
    *("input_example.json", "serving_input_example.json"),
    *("conda.yaml", "python_env.yaml"),
)


def write_model_folder(
    path: Path, model: Model, loader: str, data: str, example: dict[str, np.ndarray], packages: Sequence[str]
) -> None:
    """Write everything beside the model's own files, which lie in `path` already.

    Args:
        path: the folder.
        model: with its signature; gets the rest.
        loader: module whose `_load_pyfunc` reads the files.
        data: where they lie, below `path`.
        example: of the input, by name.
        packages: that the model needs, beside MLflow.
    """
    inputs = {name: values.tolist() for name, values in example.items()}
    (path / _EXAMPLE).write_text(json.dumps(inputs))
    (path / _SERVED).write_text(json.dumps({"inputs": inputs}, indent=2))
    model.saved_input_example_info = {"artifact_path": _EXAMPLE, "type": "ndarray", "serving_input_path": _SERVED}
    model.add_flavor(
        "python_function",
        loader_module=loader,
        python_version=platform.python_version(),
        data=data,
        env={"conda": _CONDA, "virtualenv": _PYTHON},
        streamable=False,
        code=None,
    )
    model.model_size_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    model.save(str(path / "MLmodel"))
    needed = [f"mlflow=={mlflow.__version__}", *(f"{name}=={version(name).split('+')[0]}" for name in packages)]
    (path / "requirements.txt").write_text("\n".join(needed))
    python = platform.python_version()
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", _pinned("pip", "<="), {"pip": needed}],
    }
    (path / _CONDA).write_text(yaml.safe_dump(conda))
    builders = [_pinned(name) for name in ("pip", "setuptools", "wheel")]
    environment = {"python": python, "build_dependencies": builders, "dependencies": ["-r requirements.txt"]}
    (path / _PYTHON).write_text(yaml.safe_dump(environment, sort_keys=False))


def _pinned(package: str, by: str = "==") -> str:
    """A package at its version; alone where it is not installed."""
    try:
        return f"{package}{by}{version(package)}"
    except PackageNotFoundError:
        return package
