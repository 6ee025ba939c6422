"""Cross-validation: each fold is a tracked run below that of the training."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ste.config.progress import step
from ste.data.cross_validation import Fold
from ste.data.datamodule import TrendDataModule
from ste.data.sample import Sample
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import CHECKPOINT, PREDICTIONS
from ste.experiment.model_setup import load_model
from ste.experiment.prediction import OUT_OF_SAMPLE, predict
from ste.experiment.run_parts import RunParts
from ste.experiment.run_scores import score_splits
from ste.experiment.run_tracking import track_fold
from ste.training.fit import Fitted

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo
    from ste.tracking.run_writer import TrackedRun


def fit_folds(
    parts: RunParts, checkpoints: Path, folder: Path, run: "TrackedRun | None"
) -> tuple[list[Fitted], Predictions]:
    """Fit each fold; a fold that a stopped run finished is read back from its tracked run.

    Args:
        parts: of the run.
        checkpoints: folder for the checkpoints of all folds.
        folder: of the run's files.
        run: tracked run of the training.

    Returns:
        The models in the order of the folds, and their predictions of validation and test rows together.
    """
    children: dict[int, RunInfo] = {}
    if run is not None and parts.tracker.resume:
        from ste.tracking.run_info import find_children

        children = find_children(run.client, run.id)
    fits, predictions = [], []
    for fold in parts.data.folds:
        child, own = children.get(fold.number), checkpoints / f"fold-{fold.number}"
        if run is not None and child is not None and child.status == "FINISHED":
            fitted, predicted = _read_fold(run, child, own)
        else:
            with step(f"fold {fold.number + 1} of {len(parts.data.folds)}"):
                fitted, predicted = _fit_fold(parts, fold, own, folder, run, child.id if child else None)
        fits.append(fitted)
        predictions.append(predicted)
    return fits, pool_predictions(predictions)


def _read_fold(parent: "TrackedRun", child: "RunInfo", folder: Path) -> tuple[Fitted, Predictions]:
    """Restore a finished fold from its tracked run.

    Args:
        parent: run of the training.
        child: run of the fold.
        folder: for downloads.
    """
    from ste.tracking.run_lookup import download

    folder.mkdir(parents=True, exist_ok=True)
    predictions = Predictions.read(download(parent.client, child, PREDICTIONS, folder))
    checkpoint = download(parent.client, child, CHECKPOINT, folder)
    figures = child.metrics
    fitted = Fitted(
        model=load_model(checkpoint),
        parameters=int(figures["parameters"]),
        epochs=int(figures["epochs"]),
        best_epoch=int(figures["best_epoch"]),
        seconds=figures["fit_seconds"],
        checkpoint=checkpoint,
        history=[],
    )
    return fitted, predictions


def _fit_fold(
    parts: RunParts, fold: Fold, checkpoints: Path, folder: Path, parent: "TrackedRun | None", resume: str | None
) -> tuple[Fitted, Predictions]:
    data = parts.data.fold(fold)
    params = {"fold": fold.number, "folds": len(parts.data.folds), **_dates(data)}
    name = f"{parent.name} fold {fold.number}" if parent else ""
    with parts.tracker.open(name, params, {"fold": fold.number}, resume, parent) as run:
        model = parts.builder.build(data)
        fitted = parts.fitter.fit(model, data, checkpoints, run, resume=resume is not None)
        predictions = predict(fitted.model, data, parts.builder.name, OUT_OF_SAMPLE, fold.number, fold.path)
        if run is not None:
            own = folder / f"fold-{fold.number}"
            own.mkdir(exist_ok=True)
            predictions.write(own / PREDICTIONS)
            track_fold(run, own, fitted, score_splits(parts.scoring, predictions, resamples=0))
    return fitted, predictions


def pool_predictions(folds: list[Predictions]) -> Predictions:
    """Join the predictions of all folds; a row that validates several folds has a path for each of them."""
    frames = []
    for part in folds:
        frame = part.frame.copy()
        validating = (frame["split"] == "validation").to_numpy()
        frame.loc[validating, "path"] = frame.loc[validating, "fold"]
        frames.append(frame)
    first = folds[0]
    samples = {
        split: Sample.combine([part.samples[split] for part in folds if split in part.samples])
        for split in OUT_OF_SAMPLE
        if any(split in part.samples for part in folds)
    }
    how = first.frequency, first.horizon, first.model
    return Predictions.from_frames(frames, first.classes, *how, samples, first.calendar)


def _dates(data: TrendDataModule) -> dict[str, str]:
    """Return first date, last date and number of each split's examples, as text."""
    out = {}
    for split, dataset in data.datasets.items():
        first, last = (pd.Timestamp(day) for day in (dataset.dates.min(), dataset.dates.max()))
        out[split] = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {len(dataset)} rows"
    return out
