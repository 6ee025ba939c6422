"""A trained model in MLflow: weights and plain settings, loaded by this package, nothing pickled.

`mlflow.pyfunc.load_model(uri).predict(x)` takes raw features, float32 `[B, T, F]` or `[B, F]`, and
gives class probabilities `[B, C]`. MLflow's own torch flavour would either pickle code or trace the
net at every run; a loader of ours reads a state dict with `weights_only=True`.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from ste.seed_ensembles.replica_module import build_module
from ste.tracking.model_folder import write_model_folder
from ste.tracking.tracked_run import Run
from ste.training.module import TrendModule

_PACKAGES = ("ste", "torch", "lightning", "torchmetrics", "numpy")
_DATA = "data/trend"


def log_model(run: Run, module: TrendModule, example: np.ndarray, step: int) -> str:
    """Log a module under the run, with signature and input example.

    By the client's own steps: `Model.log` reads back the history of every metric of the run, and loads the model
    again to try it, which costs more than the fit of a small net.

    Args:
        run: it belongs to.
        module: trained, on the CPU.
        example: raw features float32, a few windows or rows.
        step: epoch it was kept from.

    Returns:
        MLflow's id of the model.
    """
    client, settings = run.client, dict(module.hparams)
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
        path = Path(folder)
        data = path / _DATA
        data.mkdir(parents=True)
        torch.save(module.state_dict(), data / "weights.pt")
        (data / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
        model = Model(
            artifact_path=logged.artifact_location,
            run_id=run.id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            signature=signature,
        )
        write_model_folder(path, model, __name__, _DATA, {"features": example}, _PACKAGES)
        client.log_model_artifacts(logged.model_id, str(path))
    client.log_outputs(run.id, [LoggedModelOutput(logged.model_id, step)])
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


class TrendPredictor:
    """What `mlflow.pyfunc` calls."""

    def __init__(self, module: TrendModule) -> None:
        self.module = module.eval()

    def predict(self, features: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Class probabilities `[B, C]`."""
        if isinstance(features, dict):
            features = features["features"]
        return self.module.probabilities(torch.from_numpy(np.asarray(features, dtype=np.float32))).numpy()


def _load_pyfunc(path: str) -> TrendPredictor:
    folder = Path(path)
    module = build_module(json.loads((folder / "settings.json").read_text()))
    module.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return TrendPredictor(module)
