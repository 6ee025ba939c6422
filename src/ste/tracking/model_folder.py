"""Log the folder of a saved model to MLflow, with signature and input example."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec


def log_folder(
    client: MlflowClient,
    experiment: str,
    run_id: str,
    name: str,
    example: np.ndarray,
    classes: int,
    save: Callable[..., None],
    params: dict[str, Any] | None = None,
    *,
    group: bool = False,
) -> str:
    """Save a model to a folder and log it with its run.

    `log_model` of a flavour would read back the history of every metric of the run and load the model to test it,
    which takes longer than the fit of a small net.

    Args:
        client: of the store.
        experiment: ID of the run's experiment.
        run_id: run of the model.
        name: of the logged model.
        example: raw features, float32 `[B, T, F]` or `[B, F]`, a few windows or rows.
        classes: C of the output, probabilities float32 `[B, C]`.
        save: writes the folder; takes its path and the arguments that `save_model` of every flavour has.
        params: of the logged model.
        group: whether the model has a second input `group`, the date of each example, int64 `[B]`.

    Returns:
        MLflow's ID of the model.
    """
    texts = {key: str(value) for key, value in (params or {}).items()}
    logged = client.create_logged_model(experiment, name=name, source_run_id=run_id, params=texts)
    model_id, dtype = str(logged.model_id), np.dtype("float32")
    inputs, given = [TensorSpec(dtype, (-1, *example.shape[1:]), "features")], {"features": example}
    if group:
        inputs.append(TensorSpec(np.dtype("int64"), (-1,), "group"))
        given["group"] = np.zeros(len(example), dtype=np.int64)
    signature = ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([TensorSpec(dtype, (-1, classes), "probabilities")]),
    )
    model = Model(artifact_path=logged.artifact_location, run_id=run_id, model_uuid=model_id, model_id=model_id)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save(path, mlflow_model=model, signature=signature, input_example=given)
        client.log_model_artifacts(model_id, str(path))
    client.finalize_logged_model(model_id, "READY")
    return model_id
