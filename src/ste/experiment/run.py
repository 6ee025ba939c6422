"""Train, track and score one model."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl

from ste.config import PathSettings, TrainSettings
from ste.config.load import load_settings
from ste.config.plugin_record import record_plugins
from ste.config.progress import step
from ste.config.run_log import run_log
from ste.data.panel import Panel
from ste.evaluation.explain.group_value import with_columns
from ste.evaluation.predictions import Predictions
from ste.evaluation.temperature import with_calibration
from ste.experiment.artifacts import write_inputs, write_outputs
from ste.experiment.column_value import column_values
from ste.experiment.folds import fit_folds
from ste.experiment.model_setup import Fitter, ModelBuilder, input_view
from ste.experiment.prediction import OUT_OF_SAMPLE, predict, score_replicas
from ste.experiment.run_data import RunData
from ste.experiment.run_page import run_params
from ste.experiment.run_parts import RunParts
from ste.experiment.run_scores import count_trials, judge_run, score_splits
from ste.experiment.run_tracking import RunTracker, track_inputs, track_training
from ste.experiment.train_result import TrainResult
from ste.experiment.trial_log import TrialFiles, TrialLog, trial_key
from ste.features.feature_rows import own_functions
from ste.schema import SPLITS
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.seed_ensembles.replica_scores import ReplicaScores
from ste.training.components import early_stopping_patience
from ste.training.distributed import check_processes, process_rank, use_threads
from ste.training.fit import Fitted
from ste.training.module import TrendModule

if TYPE_CHECKING:
    from ste.tracking.run_writer import TrackedRun


def split_settings(settings: TrainSettings, panel: Panel | None = None, trials: TrialLog | None = None) -> RunParts:
    """Split the settings of a run: each part gets its own.

    Args:
        settings: of the run.
        panel: rows of `settings.data`, where they are in memory already.
        trials: keeps the trials on each data set; None is files in the folder of outputs.
    """
    output = Path(settings.paths.output)
    fit = settings.fit
    return RunParts(
        data=RunData(
            settings=settings.data,
            folder=Path(settings.paths.data),
            validation=settings.validation,
            view=input_view(settings.model),
            seed=settings.seed,
            max_rows=settings.scoring.max_rows,
            read=panel,
        ),
        builder=ModelBuilder(
            model=settings.model,
            representation=settings.data.representation,
            loss=fit,
            optimizer=settings.optimizer,
            scheduler=settings.scheduler,
            augment=settings.augment,
            replicas=settings.train,
            patience=early_stopping_patience(settings.callbacks) if settings.train.replicas > 1 else None,
            seed=settings.seed,
        ),
        fitter=Fitter(
            trainer=settings.trainer,
            callbacks=settings.callbacks,
            loggers=settings.loggers,
            monitor=fit.monitor,
            mode=fit.mode,
            seed=settings.seed,
            calibration=settings.calibration,
        ),
        scoring=settings.scoring,
        tracker=RunTracker(
            settings.tracking, output, settings.sweep, TrialFiles(output) if trials is None else trials, settings.resume
        ),
    )


def parts_from_config(config: Mapping[str, Any], paths: PathSettings) -> RunParts:
    """Rebuild the parts of a run from its tracked configuration.

    Args:
        config: settings of the run as plain data.
        paths: folders of now; they may have moved since.
    """
    return split_settings(load_settings(TrainSettings, {**config, "paths": asdict(paths)}))


def train(
    settings: TrainSettings,
    config: dict[str, Any],
    folder: Path,
    name: str,
    command: str = "",
    callbacks: tuple[pl.Callback, ...] = (),
    panel: Panel | None = None,
    trials: TrialLog | None = None,
) -> TrainResult | None:
    """Train, track and score one model, on the tables' own split or fold by fold.

    Args:
        settings: of the run.
        config: the same as plain data, tracked with the run so that it can be repeated.
        folder: for the files of the run.
        name: of the tracked run.
        command: that was typed.
        callbacks: of a holdout's fit, in addition to those of the settings.
        panel: rows of `settings.data`, where they are in memory already.
        trials: keeps the trials on each data set; None is files in the folder of outputs.

    Returns:
        None on every rank of a distributed run but 0.

    Raises:
        SteError: settings, data or a run to resume that cannot be used.
    """
    parts = split_settings(settings, panel, trials)
    config = record_plugins(config, own_functions(settings.data.feature_set))
    check_processes(settings.trainer, baseline=parts.builder.is_baseline, method=settings.validation.method)
    use_threads(settings.trainer)
    rows = ", ".join(f"{split} {entry['rows']:,}" for split, entry in parts.data.panel.prepared.card["files"].items())
    run_log.info("data %s, rows: %s", parts.data.panel.prepared.digest, rows)
    result = _train(parts, config, folder, name, command, callbacks)
    if result is not None:
        for line in result.lines:
            run_log.info(line)
        run_log.info("verdict: %s", result.verdict.summary)
        run_log.info("files %s, run %s", result.folder, result.run_id or "not tracked")
    return result


def _train(
    parts: RunParts, config: dict[str, Any], folder: Path, name: str, command: str, callbacks: tuple[pl.Callback, ...]
) -> TrainResult | None:
    data = parts.data.fold(parts.data.folds[0]) if parts.data.in_folds else parts.data.holdout()
    model = parts.builder.build(data)  # reports a mistake before anything is tracked
    if not parts.builder.is_baseline:
        parts.fitter.check()
    resume = parts.tracker.resume is not None
    if process_rank(parts.fitter.trainer) > 0:
        if not parts.builder.is_baseline:
            checkpoints = parts.tracker.checkpoints(parts.tracker.resume, folder)
            parts.fitter.fit(model, data, checkpoints, resume=resume)
        return None
    with parts.tracker.open(name, run_params(config), {"command": command}, parts.tracker.resume) as run:
        folder.mkdir(parents=True, exist_ok=True)
        write_inputs(folder, config, parts.data.panel)
        trial = trial_key(config)
        parts.tracker.trials.add(parts.data.panel.prepared.digest, trial)
        if run is not None:
            track_inputs(run, folder, parts.data, trial)
        checkpoints = parts.tracker.checkpoints(run.id if run is not None else parts.tracker.resume, folder)
        checkpoints.mkdir(parents=True, exist_ok=True)
        if parts.data.in_folds:
            fits, predictions = fit_folds(parts, checkpoints, folder, run)
        else:
            fits = [parts.fitter.fit(model, data, checkpoints, run, callbacks, resume=resume)]
            predictions = predict(fits[0].model, data, parts.builder.name)
        result = _result(parts, folder, run, predictions, fits)
        with step("saving the run"):
            write_outputs(folder, result)
            if run is not None:
                track_training(run, folder, result, None if parts.data.in_folds else data)
    if run is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)  # they are tracked
    return result


def _result(
    parts: RunParts,
    folder: Path,
    run: "TrackedRun | None",
    predictions: Predictions,
    fitted: list[Fitted],
) -> TrainResult:
    """Score and judge the predictions."""
    prepared = parts.data.panel.prepared
    scores = score_splits(parts.scoring, predictions)
    trials = count_trials(run, prepared.digest, scores, parts.tracker.trials)
    monitor = parts.fitter.monitor
    groups = column_values(parts, fitted)
    calibrations = [one.model.calibration for one in fitted if isinstance(one.model, TrendModule)]
    verdict = judge_run(scores, predictions, trials, synthetic=parts.data.synthetic)
    return TrainResult(
        run_id=run.id if run is not None else None,
        model=predictions.model,
        parameters=fitted[-1].parameters,
        epochs=max(one.epochs for one in fitted),
        best_epoch=fitted[-1].best_epoch,
        monitor=monitor,
        monitored=_monitored(monitor, scores["validation"].metrics, fitted),
        fit_seconds=sum(one.seconds for one in fitted),
        data_digest=prepared.digest,
        validation=parts.data.validation.method,
        trials=trials.count,
        scores=scores,
        verdict=with_calibration(with_columns(verdict, groups), calibrations),
        folder=folder,
        predictions=predictions,
        last=fitted[-1],
        card=prepared.card,
        replicas=_score_replicas(parts, fitted),
        groups=groups,
        calibrations=calibrations,
    )


def _score_replicas(parts: RunParts, fitted: list[Fitted]) -> ReplicaScores | None:
    """Score each replica by itself; None for a single net or a baseline."""
    models = [one.model for one in fitted if isinstance(one.model, ReplicaModule)]
    if not models:
        return None
    if not parts.data.in_folds:
        return score_replicas([(models[0], parts.data.holdout())], SPLITS)
    data = [parts.data.fold(fold) for fold in parts.data.folds]
    return score_replicas(list(zip(models, data, strict=True)), OUT_OF_SAMPLE)


def _monitored(monitor: str, metrics: dict[str, float], fitted: list[Fitted]) -> float:
    """Return the monitored metric of the selected epoch; of folds, replicas and baselines that of all rows."""
    if len(fitted) == 1 and fitted[0].monitored is not None:
        return fitted[0].monitored
    return metrics.get(monitor, metrics["log_loss"])
