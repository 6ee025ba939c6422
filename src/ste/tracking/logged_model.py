"""Log a trained model to MLflow as weights and plain settings, without pickle.

`mlflow.pyfunc.load_model(uri).predict(x)` takes raw features, float32 `[B, T, F]` or `[B, F]`, and returns class
probabilities `[B, C]`. MLflow's torch flavour would pickle code or trace the net; the loader of this module reads a
state dict with `weights_only=True`.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from ste.seed_ensembles.replica_module import build_module
from ste.tracking.run_protocol import TrackedRun
from ste.training.module import TrendModule

_PACKAGES = ("ste", "torch", "lightning", "torchmetrics", "numpy")


def log_model(run: TrackedRun, module: TrendModule, example: np.ndarray, step: int) -> str:
    """Log a module with its run, with signature and input example.

    `mlflow.pyfunc.log_model` would read back the history of every metric of the run and load the model to test it,
    which takes longer than the fit of a small net. This function saves the folder and logs it through the client.

    Args:
        run: the run that trained it.
        module: trained, on the CPU.
        example: raw features, float32 `[B, T, F]` or `[B, F]`, a few windows or rows.
        step: epoch of the weights.

    Returns:
        MLflow's ID of the model.
    """
    client: MlflowClient = run.client
    settings = dict(module.hparams)
    params = {"net": settings["net"], **settings["net_arguments"], "representation": settings["representation"]}
    logged = client.create_logged_model(
        run.experiment_id, name="model", source_run_id=run.id, params={key: str(value) for key, value in params.items()}
    )
    output = module.probabilities(torch.from_numpy(example)).numpy()
    signature = ModelSignature(
        inputs=Schema([TensorSpec(example.dtype, (-1, *example.shape[1:]), "features")]),
        outputs=Schema([TensorSpec(output.dtype, (-1, output.shape[1]), "probabilities")]),
    )
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder) / "model", Path(folder) / "trend"
        data.mkdir()
        torch.save(module.state_dict(), data / "weights.pt")
        (data / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
        model = Model(
            artifact_path=logged.artifact_location,
            run_id=run.id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            signature=signature,
        )
        mlflow.pyfunc.save_model(
            path,
            loader_module=__name__,
            data_path=str(data),
            mlflow_model=model,
            signature=signature,
            input_example={"features": example},
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in _PACKAGES],
        )
        client.log_model_artifacts(logged.model_id, str(path))
    client.log_outputs(run.id, [LoggedModelOutput(logged.model_id, step)])
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


class TrendPredictor:
    """Model of the `python_function` flavour.

    Args:
        module: trained.
    """

    def __init__(self, module: TrendModule) -> None:
        self.module = module.eval()

    def predict(self, features: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Predict class probabilities `[B, C]` from raw features."""
        if isinstance(features, dict):
            features = features["features"]
        return self.module.probabilities(torch.from_numpy(np.asarray(features, dtype=np.float32))).numpy()


def _load_pyfunc(path: str) -> TrendPredictor:
    folder = Path(path)
    module = build_module(json.loads((folder / "settings.json").read_text()))
    module.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return TrendPredictor(module)
