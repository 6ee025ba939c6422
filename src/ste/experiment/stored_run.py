"""Predict with the checkpoints of a tracked run."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ste.errors import RunError
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import CHECKPOINT
from ste.experiment.folds import pool_predictions
from ste.experiment.model_setup import load_model
from ste.experiment.prediction import OUT_OF_SAMPLE, predict
from ste.experiment.run_parts import RunParts
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo


def predict_checkpoints(parts: RunParts, checkpoints: list[Path], digest: str) -> Predictions:
    """Predict the data of a run with its checkpoints.

    Args:
        parts: of the run.
        checkpoints: its best one, or that of each fold in order.
        digest: of the tables that it was trained on.

    Raises:
        RunError: the tables have another digest.
    """
    parts.data.check_digest(digest)
    name = parts.builder.name
    if not parts.data.in_folds:
        return predict(load_model(checkpoints[0]), parts.data.holdout(), name)
    return pool_predictions(
        [
            predict(load_model(path), parts.data.fold(fold), name, OUT_OF_SAMPLE, fold.number, fold.path)
            for fold, path in zip(parts.data.folds, checkpoints, strict=True)
        ]
    )


def download_checkpoints(client: RunStore, run: "RunInfo", folder: Path, *, in_folds: bool) -> list[Path]:
    """Download the checkpoint of a run, or those of its folds in order.

    Args:
        client: of the store.
        run: tracked run.
        folder: for the files, `best.ckpt` or `fold-0.ckpt` ...
        in_folds: whether the run cross-validated.

    Raises:
        RunError: a run in folds that did not finish, or a missing checkpoint.
    """
    from ste.tracking.run_info import find_children
    from ste.tracking.run_lookup import download

    sources = {"best": run}
    if in_folds:
        sources = {f"fold-{number}": child for number, child in sorted(find_children(client, run.id).items())}
        if run.status != "FINISHED":
            raise RunError(
                f"run={run.id}: it is {run.status} with {len(sources)} of its folds started. "
                f"Try python -m ste.train resume={run.id}."
            )
    out = []
    for name, source in sources.items():
        out.append(folder / f"{name}.ckpt")
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            shutil.move(download(client, source, CHECKPOINT, Path(partial)), out[-1])
    return out


def download_last(client: RunStore, run: "RunInfo", fold: int | None, folder: Path) -> Path:
    """Download the checkpoint of a run, or of one of its folds.

    Raises:
        RunError: no checkpoint, or the fold was deleted.
    """
    from ste.tracking.run_info import find_children
    from ste.tracking.run_lookup import download

    source = run if fold is None else find_children(client, run.id).get(fold)
    if source is None:
        raise RunError(f"run={run.id}: its last fold was deleted together with its model. Train again.")
    return download(client, source, CHECKPOINT, folder)
