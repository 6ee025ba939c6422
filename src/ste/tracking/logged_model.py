"""Log a trained model to MLflow as weights and plain settings, without pickle.

`mlflow.pyfunc.load_model(uri).predict(x)` takes raw features, float32 `[B, T, F]` or `[B, F]`, and returns class
probabilities `[B, C]`; to a net that reads the tickers of a date together, all examples of a call are of one date.
MLflow's torch flavour would pickle code or trace the net; the loader of this module reads a state dict with
`weights_only=True`.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow.entities import LoggedModelOutput

from ste.seed_ensembles.replica_module import build_module
from ste.tracking.model_folder import log_folder
from ste.tracking.run_writer import TrackedRun
from ste.training.module import TrendModule

_PACKAGES = ("ste", "torch", "lightning", "torchmetrics", "numpy")


def log_model(run: TrackedRun, module: TrendModule, example: np.ndarray, step: int) -> str:
    """Log a module with its run, with signature and input example.

    Args:
        run: the run that trained it.
        module: trained, on the CPU.
        example: raw features, float32 `[B, T, F]` or `[B, F]`, a few windows or rows.
        step: epoch of the weights.

    Returns:
        MLflow's ID of the model.
    """
    client = run.client
    settings = dict(module.hparams)
    params = {"net": settings["net"], **settings["net_arguments"], "representation": settings["representation"]}
    classes = TrendPredictor(module).predict(example).shape[1]

    def save(path: Path, **common: Any) -> None:
        data = path.with_name("trend")
        data.mkdir()
        torch.save(module.state_dict(), data / "weights.pt")
        (data / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
        requirements = [f"{name}=={version(name).split('+')[0]}" for name in _PACKAGES]
        mlflow.pyfunc.save_model(
            path, loader_module=__name__, data_path=str(data), pip_requirements=requirements, **common
        )

    model_id = log_folder(client, run.experiment_id, run.id, "model", example, classes, save, params)
    client.log_outputs(run.id, [LoggedModelOutput(model_id, step)])
    return model_id


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
        x = torch.from_numpy(np.asarray(features, dtype=np.float32))
        group = torch.zeros(len(x), dtype=torch.int64) if self.module.sees_market else None
        return self.module.probabilities(x, group).numpy()


def _load_pyfunc(path: str) -> TrendPredictor:
    folder = Path(path)
    module = build_module(json.loads((folder / "settings.json").read_text()))
    module.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return TrendPredictor(module)
