"""Prepare, fit, score, keep: a training run and its evaluation, as plain functions of settings."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd

from ste.config import ScoringSettings, TrainSettings
from ste.config.fast_imports import loading
from ste.data.build.prepare import prepare
from ste.data.cross_validation import Fold, folds, max_fold_examples
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.sample import Sample
from ste.errors import RunError
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scoring import score
from ste.evaluation.significance import Trials
from ste.evaluation.verdict import Verdict, judge
from ste.experiment.artifacts import (
    FoldRecord,
    TrainResult,
    flatten,
    track_fold,
    track_inputs,
    track_outputs,
    write_inputs,
    write_outputs,
)
from ste.experiment.model_setup import build_data, build_model, fit_model, input_view, load_model, model_name
from ste.experiment.prediction import one_thread, predict, score_replicas
from ste.schema import SPLITS
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.seed_ensembles.replica_scores import ReplicaScores
from ste.training.distributed import check_processes, process_rank, use_threads
from ste.training.fit import Fitted

OUT_OF_SAMPLE = ("validation", "test")

CallbackFactory = Callable[[Any], tuple[pl.Callback, ...]]


def _no_callbacks(run: Any) -> tuple[pl.Callback, ...]:
    return ()


def train(
    settings: TrainSettings,
    config: dict[str, Any],
    folder: Path,
    name: str,
    command: str = "",
    callbacks: CallbackFactory = _no_callbacks,
) -> TrainResult | None:
    """Train, track and score one model, on one cut of the data or fold by fold.

    Args:
        settings: everything that decides the run.
        config: the same as plain data, kept with the run so that it can be repeated.
        folder: the run's own folder, for what it writes.
        name: of the tracked run.
        command: what was typed, to be typed again.
        callbacks: builds callbacks of the fit, in addition to those of the settings, for the tracked run or None.

    Returns:
        None on every rank of a distributed run but 0.

    Raises:
        SteError: settings, data or a run to resume that cannot be used.
    """
    check_processes(settings.trainer, baseline="baseline" in settings.model, method=settings.validation.method)
    use_threads(settings.trainer)
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    if settings.validation.method == "holdout":
        return _train_once(settings, config, panel, folder, name, command, callbacks)
    return _train_folds(settings, config, panel, folder, name, command)


def _train_once(
    settings: TrainSettings,
    config: dict[str, Any],
    panel: Panel,
    folder: Path,
    name: str,
    command: str,
    callbacks: CallbackFactory,
) -> TrainResult | None:
    data = build_data(settings, panel)
    model = build_model(settings, data)
    if process_rank(settings.trainer) > 0:
        if "baseline" not in settings.model:
            fit_model(settings, data, model, _checkpoints(settings, settings.resume, folder), None)
        return None
    with _run(settings, name, flatten(config), tags={"command": command}) as run:
        checkpoints = _begin(settings, config, panel, folder, run)
        fitted = fit_model(settings, data, model, checkpoints, run, callbacks(run))
        predictions = predict(fitted.model, data, model_name(settings.model))
        replicas = score_replicas([(fitted.model, data)], SPLITS) if isinstance(fitted.model, ReplicaModule) else None
        result = _conclude(settings, panel, folder, run, predictions, [fitted], replicas)
        write_outputs(folder, result)
        if run:
            track_outputs(run, folder, result, fitted, data)
    if result.run_id:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return result


def _train_folds(
    settings: TrainSettings, config: dict[str, Any], panel: Panel, folder: Path, name: str, command: str
) -> TrainResult | None:
    cuts = folds(panel, settings.validation)
    # What is wrong is told before anything is tracked.
    build_model(settings, _fold_data(settings, panel, cuts[0], cuts))
    with _run(settings, name, flatten(config), tags={"command": command}) as run:
        checkpoints = _begin(settings, config, panel, folder, run)
        records = [_train_fold(settings, panel, cut, cuts, checkpoints, folder, run) for cut in cuts]
        predictions = _pooled([record.predictions for record in records])
        replicas = _score_folds(settings, panel, cuts, records)
        result = _conclude(settings, panel, folder, run, predictions, [record.fitted for record in records], replicas)
        write_outputs(folder, result)
        if run:
            track_outputs(run, folder, result)
    if result.run_id:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return result


def _train_fold(
    settings: TrainSettings,
    panel: Panel,
    cut: Fold,
    cuts: list[Fold],
    checkpoints: Path,
    folder: Path,
    parent: Any,
) -> FoldRecord:
    """One fold as a run of its own under its parent; a finished one is read back."""
    data = _fold_data(settings, panel, cut, cuts)
    child = None
    if parent and settings.resume:
        child = parent.children().get(cut.number)
    own = checkpoints / f"fold-{cut.number}"
    if child and child.status == "FINISHED":
        return FoldRecord.read(parent, child, own)
    fold_settings = replace(settings, resume=child.id if child else None)
    params = {"fold": cut.number, "folds": len(cuts), **_dates(data)}
    name = f"{parent.name if parent else ''} fold {cut.number}".strip()
    with _run(fold_settings, name, params, parent, {"fold": cut.number}) as run:
        model = build_model(fold_settings, data)
        fitted = fit_model(fold_settings, data, model, own, run)
        predictions = predict(
            fitted.model, data, model_name(settings.model), OUT_OF_SAMPLE, fold=cut.number, path=cut.path
        )
        record = FoldRecord(cut.number, predictions, fitted)
        if run:
            track_fold(run, folder, record, scores_of(settings.scoring, predictions, resamples=0))
    return record


def _score_folds(
    settings: TrainSettings, panel: Panel, cuts: list[Fold], records: list[FoldRecord]
) -> ReplicaScores | None:
    """Replicas one by one, all folds together."""
    models = [record.fitted.model for record in records]
    parts = [
        (model, _fold_data(settings, panel, cut, cuts))
        for model, cut in zip(models, cuts, strict=True)
        if isinstance(model, ReplicaModule)
    ]
    return score_replicas(parts, OUT_OF_SAMPLE) if parts else None


def _fold_data(settings: TrainSettings, panel: Panel, cut: Fold, cuts: list[Fold]) -> TrendDataModule:
    most = max_fold_examples(cuts, settings.scoring.most_rows)
    return TrendDataModule(panel.with_row_split(cut.row_split), input_view(settings.model), settings.seed, most)


def _dates(data: TrendDataModule) -> dict[str, str]:
    """First and last date of each split's examples."""
    out = {}
    for split, dataset in data.datasets.items():
        first, last = (pd.Timestamp(day) for day in (dataset.dates.min(), dataset.dates.max()))
        out[split] = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {len(dataset)} rows"
    return out


def _pooled(parts: list[Predictions]) -> Predictions:
    """Every fold's predictions as one; a row that validates several folds stands once in each one's path."""
    frames = []
    for part in parts:
        frame = part.frame.copy()
        validating = (frame["split"] == "validation").to_numpy()
        frame.loc[validating, "path"] = frame.loc[validating, "fold"]
        frames.append(frame)
    first = parts[0]
    samples = {
        split: Sample.combine([part.samples[split] for part in parts if split in part.samples])
        for split in OUT_OF_SAMPLE
        if any(split in part.samples for part in parts)
    }
    return Predictions.from_frames(frames, first.classes, first.frequency, first.horizon, first.model, samples)


def last_data(settings: TrainSettings) -> tuple[TrendDataModule, int | None]:
    """The cut of the data that the run's last model was fitted on, and its fold's number, if any."""
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    if settings.validation.method == "holdout":
        return build_data(settings, panel), None
    cuts = folds(panel, settings.validation)
    last = cuts[-1]
    return _fold_data(settings, panel, last, cuts), last.number


def scores_of(chosen: ScoringSettings, predictions: Predictions, resamples: int | None = None) -> dict[str, Scorecard]:
    """Scores of every split that has rows, on one thread, so that they repeat to the last digit."""
    with one_thread():
        return {
            split: score(
                predictions.slice_split(split),
                cost_bps=chosen.cost_bps,
                kind=chosen.portfolio,
                blocks=chosen.blocks,
                resamples=chosen.resamples if resamples is None else resamples,
            )
            for split in predictions.splits
        }


def verdict_of(
    settings: TrainSettings, scores: dict[str, Scorecard], predictions: Predictions, trials: Trials
) -> Verdict:
    """The verdict on the test split, or on validation where there is none."""
    split = "test" if "test" in scores else "validation"
    real = settings.data.source in ("market", "csv")
    return judge(scores[split], predictions.model, trials, split, predictions.horizon, real=real)


def _conclude(
    settings: TrainSettings,
    panel: Panel,
    folder: Path,
    run: Any,
    predictions: Predictions,
    fitted: list[Fitted],
    replicas: ReplicaScores | None,
) -> TrainResult:
    scores = scores_of(settings.scoring, predictions)
    trials = trials_of(run, panel.prepared.digest, scores)
    metrics = scores["validation"].metrics
    return TrainResult(
        run_id=run.id if run else None,
        model=predictions.model,
        parameters=fitted[-1].parameters,
        epochs=max(one.epochs for one in fitted),
        best_epoch=fitted[-1].best_epoch,
        monitor=settings.fit.monitor,
        monitored=_monitored(settings.fit.monitor, metrics, fitted),
        fit_seconds=sum(one.seconds for one in fitted),
        data_digest=panel.prepared.digest,
        validation=settings.validation.method,
        trials=trials.count,
        scores=scores,
        verdict=verdict_of(settings, scores, predictions, trials),
        predictions=predictions,
        folder=folder,
        last=fitted[-1],
        card=panel.prepared.card,
        replicas=replicas,
    )


def _monitored(monitor: str, metrics: dict[str, float], fitted: list[Fitted]) -> float:
    """The figure that a search looks at: the kept epoch's own; over folds, of replicas and baselines the split's."""
    if len(fitted) == 1 and fitted[0].monitored is not None:
        return fitted[0].monitored
    return metrics.get(monitor, metrics["log_loss"])


def trials_of(run: Any, digest: str, scores: dict[str, Scorecard]) -> Trials:
    """What was tried before on the same data in the same experiment, with this run; 1 without tracking."""
    if not run:
        return Trials()
    from ste.tracking.earlier_trials import find_trials

    return find_trials(run.client, run.id, digest, scores.get("test"), run.experiment_id)


def evaluate(
    settings: TrainSettings, checkpoints: list[Path], digest: str | None = None
) -> tuple[dict[str, Scorecard], Predictions]:
    """Score checkpoints on the data of the settings they were trained with; see `predict_again`."""
    predictions = predict_again(settings, checkpoints, digest)
    return scores_of(settings.scoring, predictions), predictions


def predict_again(settings: TrainSettings, checkpoints: list[Path], digest: str | None = None) -> Predictions:
    """What checkpoints say of the data of the settings they were trained with.

    Args:
        settings: the run's.
        checkpoints: its best one, or that of each fold in order.
        digest: of the tables it was trained on; other data is refused.

    Raises:
        RunError: the data is not what it was.
    """
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    if digest is not None and panel.prepared.digest != digest:
        raise RunError(
            f"the tables have digest {panel.prepared.digest}, the run was trained on {digest}: the files or the code "
            "that builds them changed since. Put the files back, or train again."
        )
    name = model_name(settings.model)
    if settings.validation.method == "holdout":
        data = build_data(settings, panel)
        return predict(load_model(checkpoints[0]), data, name)
    cuts = folds(panel, settings.validation)
    return _pooled(
        [
            predict(load_model(path), _fold_data(settings, panel, cut, cuts), name, OUT_OF_SAMPLE, cut.number, cut.path)
            for cut, path in zip(cuts, checkpoints, strict=True)
        ]
    )


def _begin(settings: TrainSettings, config: dict[str, Any], panel: Panel, folder: Path, run: Any) -> Path:
    """Keep what the run starts from; gives the folder of its checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(folder, config, panel)
    if run:
        track_inputs(run, folder, panel)
    checkpoints = _checkpoints(settings, run.id if run else settings.resume, folder)
    checkpoints.mkdir(parents=True, exist_ok=True)
    return checkpoints


def _checkpoints(settings: TrainSettings, run_id: str | None, folder: Path) -> Path:
    return Path(settings.paths.output) / "checkpoints" / run_id if run_id else folder / "checkpoints"


@contextmanager
def _run(
    settings: TrainSettings, name: str, params: dict[str, Any], parent: Any = None, tags: dict[str, Any] | None = None
) -> Iterator[Any]:
    """The tracked run; None where tracking is off."""
    if not settings.tracking.enabled:
        yield None
        return
    with loading():
        from ste.tracking.sweep_runs import trial_params, trial_tags
        from ste.tracking.tracked_run import tracked_run

    if parent is None:
        params, tags = params | trial_params(settings.sweep), (tags or {}) | trial_tags(settings.sweep)
    output = Path(settings.paths.output)
    with tracked_run(settings.tracking, output, name, params, settings.resume, parent, tags) as run:
        yield run
