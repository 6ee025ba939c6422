"""What a training run sends to MLflow. MLflow is imported only where tracking is on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ste.config import SweepSettings, TrackingSettings
from ste.config.fast_imports import fast_imports
from ste.data.datamodule import TrendDataModule
from ste.evaluation.scorecard import Scorecard
from ste.experiment.artifacts import (
    CHECKPOINT,
    MONITORED,
    POSITIONS,
    PREDICTIONS,
    SPLIT_PREFIX,
    SUMMARY,
    WITH_INTERVAL,
    score_metrics,
)
from ste.experiment.run_data import RunData
from ste.experiment.run_page import run_note, run_tags
from ste.experiment.train_result import Result, TrainResult
from ste.experiment.trial_log import TrialLog
from ste.schema import DIRECTION, PERIOD
from ste.training.fit import Fitted
from ste.training.module import TrendModule

if TYPE_CHECKING:
    from ste.tracking.run_writer import TrackedRun


@dataclass(frozen=True)
class RunTracker:
    """Opens the tracked run of a training and those of its folds.

    Attributes:
        settings: of the store.
        output: folder of the default store and of checkpoints.
        sweep: sweep that the run is a trial of.
        trials: keeps the trials on each data set, tracked or not.
        resume: ID of the run to resume; None starts a new one.
    """

    settings: TrackingSettings
    output: Path
    sweep: SweepSettings
    trials: TrialLog
    resume: str | None = None

    @contextmanager
    def open(
        self,
        name: str,
        params: dict[str, Any],
        tags: dict[str, Any],
        resume: str | None,
        parent: "TrackedRun | None" = None,
    ) -> Iterator["TrackedRun | None"]:
        """Open the run of the training, or that of a fold below its parent's; None where tracking is off."""
        if not self.settings.enabled:
            yield None
            return
        with fast_imports():
            from ste.tracking.sweep_runs import trial_params, trial_tags
            from ste.tracking.tracked_run import tracked_run

        if parent is None:
            params, tags = params | trial_params(self.sweep), tags | trial_tags(self.sweep)
        with tracked_run(self.settings, self.output, name, params, resume, parent, tags) as run:
            yield run

    def checkpoints(self, run_id: str | None, folder: Path) -> Path:
        """Return the folder of a run's checkpoints, where a resumed run finds them."""
        return self.output / "checkpoints" / run_id if run_id else folder / "checkpoints"


def track_inputs(run: "TrackedRun", folder: Path, data: RunData, trial: str) -> None:
    """Track the configuration, the data card and the tables once; a resumed run must have the same data.

    Args:
        run: where they are tracked.
        folder: of the files.
        data: of the run.
        trial: its `trial_key`.

    Raises:
        RunError: the resumed run started on other data.
    """
    from ste.tracking.run_info import DIGEST_TAG, TRIAL_KEY_TAG
    from ste.tracking.run_writer import Table

    digest = run.client.get_run(run.id).data.tags.get(DIGEST_TAG)
    if digest is not None:  # a resumed run
        data.check_digest(digest)
        return
    panel = data.panel
    run.log_file(folder / "config.yaml")
    run.log_file(folder / "data_card.json")
    files = panel.prepared.card["files"]
    run.log_datasets(
        [
            Table(panel.first_rows(split), path, files[split]["sha256"], split, DIRECTION, files[split]["rows"])
            for split, path in panel.prepared.files.items()
        ]
    )
    source = panel.settings.source
    data_tags = {"data": f"{source} {panel.prepared.digest[:6]}"}
    data_tags |= {"data.source": source, "data.unit": PERIOD[panel.settings.frequency]}
    run.set_tags(
        data_tags | {TRIAL_KEY_TAG: trial, DIGEST_TAG: panel.prepared.digest}
    )  # last: the digest marks complete inputs


def track_training(
    run: "TrackedRun",
    folder: Path,
    result: TrainResult,
    data: TrendDataModule | None,
) -> None:
    """Track the result of a training.

    Args:
        run: tracked run.
        folder: that holds the files of the run.
        result: of the training.
        data: of the model to track; None for folds, whose own runs track theirs.
    """
    model_id = None
    if data is not None:
        track_checkpoint(run, result.last)
        model_id = _log_model(run, result.last, data)
    step = result.best_epoch
    metrics = {"best_epoch": step, "fit_seconds": result.fit_seconds, MONITORED: result.monitored}
    if result.replicas is not None:
        metrics |= result.replicas.metrics(SPLIT_PREFIX, WITH_INTERVAL)
        run.set_tags({"replicas": len(result.replicas.seeds)})
    run.log_metrics(metrics, step)
    track_result(run, folder, result, step, model_id)


def track_result(run: "TrackedRun", folder: Path, result: Result, step: int = 0, model_id: str | None = None) -> None:
    """Track metrics, verdict, predictions, positions, summary and confusion matrices.

    Args:
        run: tracked run.
        folder: that holds the files of the run.
        result: of a training or an ensemble.
        step: epoch of the metrics.
        model_id: of the logged model, which MLflow shows with the same metrics.
    """
    run.log_metrics(score_metrics(result.scores), step, model_id)
    run.set_tags(
        {"model": result.model, "model.parameters": result.parameters, "validation": result.validation}
        | {"trials": result.trials}
        | run_tags(result.verdict, result.scores)
        | {"mlflow.note.content": run_note(result.verdict, run.id)}
    )
    run.log_file(folder / SUMMARY)
    run.log_file(folder / PREDICTIONS)
    if (folder / POSITIONS).is_file():
        run.log_file(folder / POSITIONS)
    for path in sorted((folder / "confusion").iterdir()):
        run.log_file(path, "confusion")


def track_checkpoint(run: "TrackedRun", fitted: Fitted) -> None:
    """Track the checkpoint of the selected epoch."""
    folder, name = CHECKPOINT.split("/")
    upload = fitted.checkpoint.with_name(name)
    if upload != fitted.checkpoint:
        shutil.copyfile(fitted.checkpoint, upload)
    run.log_file(upload, folder)


def track_fold(run: "TrackedRun", folder: Path, fitted: Fitted, scores: dict[str, Scorecard]) -> None:
    """Track a fold's metrics, predictions and checkpoint.

    Args:
        run: of the fold.
        folder: that holds `predictions.parquet` of the fold.
        fitted: its model.
        scores: by split.
    """
    figures: dict[str, float] = {
        "best_epoch": fitted.best_epoch,
        "fit_seconds": fitted.seconds,
        "parameters": fitted.parameters,
        "epochs": fitted.epochs,
    }
    run.log_metrics(figures | score_metrics(scores), step=fitted.best_epoch)
    run.log_file(folder / PREDICTIONS)
    track_checkpoint(run, fitted)


def _log_model(run: "TrackedRun", fitted: Fitted, data: TrendDataModule) -> str | None:
    """Log a net as an MLflow model; a baseline is not logged."""
    from ste.tracking.logged_model import log_model

    if not isinstance(fitted.model, TrendModule):
        return None
    example = data.datasets["test" if "test" in data.datasets else "validation"][torch.arange(2)].features.numpy()
    return log_model(run, fitted.model, example, fitted.best_epoch)
