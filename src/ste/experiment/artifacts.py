"""What a run leaves behind: its result, the files in its folder, and what is tracked of them."""

import json
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import yaml

from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.storage.files import atomic_file
from ste.errors import RunError
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.experiment.model_setup import load_model
from ste.reporting.plots import confusion_figure
from ste.schema import DIRECTION, PERIOD
from ste.seed_ensembles.replica_scores import TABLE, ReplicaScores
from ste.training.fit import Fitted
from ste.training.module import TrendModule

SPLIT_PREFIX = {"train": "final_train", "validation": "final_validation", "test": "final_test"}
"""Metric prefix of each split's figures at the best checkpoint."""

PREDICTIONS = "predictions.parquet"
SUMMARY = "summary.json"
CHECKPOINT = "checkpoints/best.ckpt"
MONITORED = "monitored"
"""Metric: the figure that chose the epoch, at that epoch."""
HEADLINE = ("accuracy", "log_loss", "mcc", "auroc")
"""Figures that stand beside the logged model in the UI."""


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, ten times as fast, where it is there


class Result(Protocol):
    """What every kind of run ends with: a training, or an ensemble of trainings."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def validation(self) -> str: ...  # noqa: D102
    @property
    def trials(self) -> int: ...  # noqa: D102
    @property
    def parameters(self) -> int: ...  # noqa: D102
    @property
    def scores(self) -> dict[str, Scorecard]: ...  # noqa: D102
    @property
    def verdict(self) -> Verdict: ...  # noqa: D102
    @property
    def predictions(self) -> Predictions: ...  # noqa: D102
    def summary(self) -> dict[str, Any]:
        """Plain dict, as `summary.json` holds it."""
        ...


@dataclass(frozen=True)
class TrainResult:
    """What a training run ends with; `summary.json` holds the same.

    Attributes:
        run_id: MLflow's, or None where tracking is off.
        model: class name.
        parameters: trainable ones.
        epochs: trained; best_epoch: the one whose weights are kept, from 0. In folds: of the longest fit and
            of the last one.
        monitor: the figure that chose it, and its value.
        monitored: value of `monitor` on validation at the best epoch.
        fit_seconds: of the fit alone, all folds.
        data_digest: of the tables.
        validation: `holdout`, `walk_forward` or `combinatorial`.
        trials: runs so far of the same experiment on the same data, this one included.
        scores: by split.
        verdict: on the test split.
        folder: where `summary.json`, the figures and (without tracking) the checkpoint lie.
        replicas: figures of each replica, or None for a single net.
        predictions: of every split; `last`: the model, of the last fold; `card`: of its tables. None of these
            is in the summary.
    """

    run_id: str | None
    model: str
    parameters: int
    epochs: int
    best_epoch: int
    monitor: str
    monitored: float
    fit_seconds: float
    data_digest: str
    validation: str
    trials: int
    scores: dict[str, Scorecard]
    verdict: Verdict
    folder: Path
    predictions: Predictions
    last: Fitted
    card: dict[str, Any]
    replicas: ReplicaScores | None = None

    @property
    def module(self) -> TrendModule:
        """The trained net's module, on the CPU."""
        assert isinstance(self.last.model, TrendModule)
        return self.last.model

    @property
    def lines(self) -> list[str]:
        """Facts of the run for the end of the command's output and for the log, one line each."""
        if self.validation != "holdout":
            epochs = f"{self.validation.replace('_', '-')}, "
        elif self.replicas is not None:
            epochs = f"{self.epochs} epochs, each replica at its own best epoch, "
        else:
            epochs = f"best of {self.epochs} epochs: number {self.best_epoch} (from 0), " if self.epochs else ""
        out = [
            f"{self.model}, {self.parameters:,} parameters, {epochs}validation {self.monitor} {self.monitored:.4f}; "
            f"fitted in {self.fit_seconds:.1f} s"
        ]
        if self.replicas is not None:
            split = "test" if "test" in self.scores else "validation"
            mean, deviation = self.replicas.spread(split, "accuracy")
            out.append(
                f"{len(self.replicas.seeds)} replicas: {split} accuracy {mean:.4f} ± {deviation:.4f} over seeds; "
                f"the ensemble {self.scores[split].metrics['accuracy']:.4f}"
            )
        luck = ": the best of many is partly luck" if self.trials > 1 else ""
        return [*out, f"trial {self.trials} on this data in this experiment{luck}"]

    def summary(self) -> dict[str, Any]:
        """Plain dict: `metrics` by split, and everything else by its name."""
        kept = [field.name for field in fields(self) if field.name not in ("predictions", "last", "card")]
        out = {name: getattr(self, name) for name in kept}
        out["folder"] = str(self.folder)
        out["scores"] = {split: scores.to_dict() for split, scores in self.scores.items()}
        out["metrics"] = {split: scores.metrics for split, scores in self.scores.items()}
        out["replicas"] = None if self.replicas is None else self.replicas.plain()
        out["verdict"] = {"word": self.verdict.word, "paragraph": self.verdict.paragraph, "tags": self.verdict.tags}
        return out


@dataclass(frozen=True)
class FoldRecord:
    """One fold of a validation: what it predicted, and its model."""

    number: int
    predictions: Predictions
    fitted: Fitted

    @classmethod
    def read(cls, parent: Any, child: Any, folder: Path) -> "FoldRecord":
        """A finished fold, back from its tracked run."""
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
        return cls(int(child.tags["fold"]), predictions, fitted)


def write_inputs(folder: Path, config: dict[str, Any], panel: Panel) -> None:
    """Configuration and data card, into the run's folder."""
    (folder / "config.yaml").write_text(yaml.dump(config, Dumper=_DUMPER, sort_keys=False))
    (folder / "data_card.json").write_text(json.dumps(panel.prepared.card, indent=2) + "\n")


def track_inputs(run: Any, folder: Path, panel: Panel) -> None:
    """Configuration, data card and tables, once; a resumed run must be on the same data."""
    from ste.tracking.run_info import DIGEST_TAG

    digest = run.tag(DIGEST_TAG)
    if digest is not None:  # a resumed run
        if digest != panel.prepared.digest:
            raise RunError(
                f"resume={run.id}: the tables have digest {panel.prepared.digest}, the run began on {digest}. "
                "Put the files back as they were, or train anew."
            )
        return
    run.log_file(folder / "config.yaml")
    run.log_file(folder / "data_card.json")
    run.log_datasets(_tables(panel))
    # Last: the tag says that all of it is there.
    of_data = {"data.source": panel.settings.source, "data.unit": PERIOD[panel.settings.frequency]}
    run.set_tags(of_data | {DIGEST_TAG: panel.prepared.digest})


def _tables(panel: Panel) -> list[Any]:
    from ste.tracking.tracked_run import Table

    files = panel.prepared.card["files"]
    return [
        Table(panel.first_rows(split), path, files[split]["sha256"], split, DIRECTION, files[split]["rows"])
        for split, path in panel.prepared.files.items()
    ]


def write_outputs(folder: Path, result: Result) -> None:
    """Confusion matrices, out-of-sample predictions and summary, into the run's folder."""
    confusion = folder / "confusion"
    confusion.mkdir(exist_ok=True)
    for split, scores in result.scores.items():
        title = f"{result.model}, {split}: accuracy {scores.metrics['accuracy']:.1%} of {scores.examples:,}"
        figure = confusion_figure(scores.confusion, scores.classes, title)
        figure.savefig(confusion / f"{split}.png", dpi=110, pil_kwargs={"compress_level": 1})
        header = "true\\predicted," + ",".join(scores.classes)
        rows = [f"{name},{','.join(map(str, row))}" for name, row in zip(scores.classes, scores.confusion, strict=True)]
        (confusion / f"{split}.csv").write_text("\n".join([header, *rows]) + "\n")
    result.predictions.slice_split("validation", "test").write(folder / PREDICTIONS)
    if isinstance(result, TrainResult) and result.replicas is not None:
        result.replicas.write(folder / TABLE)
    with atomic_file(folder / SUMMARY) as partial:
        partial.write_text(json.dumps(_finite(result.summary()), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def track_outputs(
    run: Any, folder: Path, result: TrainResult, fitted: Fitted | None = None, data: TrendDataModule | None = None
) -> None:
    """Final figures and all that goes with them (`track_result`); of a single cut its model too."""
    model_id = _track_model(run, fitted, data) if fitted is not None and data is not None else None
    step = result.best_epoch
    with run.together():
        run.log_metrics({"best_epoch": step, "fit_seconds": result.fit_seconds, MONITORED: result.monitored}, step)
        track_result(run, folder, result, step, model_id)
        if result.replicas is not None:
            run.log_metrics(result.replicas.metrics(SPLIT_PREFIX), step)
            run.set_tags({"replicas": len(result.replicas.seeds)})
            run.log_file(folder / TABLE)


def track_result(run: Any, folder: Path, result: Result, step: int = 0, model_id: str | None = None) -> None:
    """Final figures, verdict, predictions, summary and confusion matrices.

    Args:
        run: to track them in.
        folder: that holds the files.
        result: of a training or an ensemble.
        step: epoch of the figures.
        model_id: of the logged model that the headline figures stand beside in the UI.
    """
    scores = score_metrics(result.scores)
    headline = {name: value for name, value in scores.items() if name.rsplit("/", 1)[1] in HEADLINE}
    run.log_metrics(headline, step, model_id)
    run.log_metrics({name: value for name, value in scores.items() if name not in headline}, step)
    kept = {"model": result.model, "model.parameters": result.parameters, "validation": result.validation}
    note = {"mlflow.note.content": result.verdict.paragraph}
    run.set_tags(kept | {"trials": result.trials} | result.verdict.tags | note)
    run.log_file(folder / SUMMARY)
    run.log_file(folder / PREDICTIONS)
    for path in sorted((folder / "confusion").iterdir()):
        run.log_file(path, "confusion")


def _track_model(run: Any, fitted: Fitted, data: TrendDataModule) -> str | None:
    from ste.tracking.logged_model import log_model

    _track_checkpoint(run, fitted)
    if not isinstance(fitted.model, TrendModule):
        return None
    example = data.datasets["test" if "test" in data.datasets else "validation"][torch.arange(2)].features.numpy()
    return log_model(run, fitted.model, example, fitted.best_epoch)


def _track_checkpoint(run: Any, fitted: Fitted) -> None:
    folder, name = CHECKPOINT.split("/")
    upload = fitted.checkpoint.with_name(name)
    if upload != fitted.checkpoint:
        shutil.copyfile(fitted.checkpoint, upload)
    run.log_file(upload, folder)


def track_fold(run: Any, folder: Path, record: FoldRecord, scores: dict[str, Scorecard]) -> None:
    """A fold's figures, predictions and checkpoint."""
    fitted = record.fitted
    figures: dict[str, float] = {
        "best_epoch": fitted.best_epoch,
        "fit_seconds": fitted.seconds,
        "parameters": fitted.parameters,
        "epochs": fitted.epochs,
    }
    run.log_metrics(figures | score_metrics(scores), step=fitted.best_epoch)
    own = folder / f"fold-{record.number}"
    own.mkdir(exist_ok=True)
    record.predictions.write(own / PREDICTIONS)
    run.log_file(own / PREDICTIONS)
    _track_checkpoint(run, fitted)


def score_metrics(scores: dict[str, Scorecard]) -> dict[str, float]:
    """Every figure of every split by its metric name, with its interval where it has one."""
    flat: dict[str, float] = {}
    for split, card in scores.items():
        prefix = SPLIT_PREFIX[split]
        flat |= {f"{prefix}/examples": card.examples, f"{prefix}/periods": card.periods}
        for name, figure in card.figures.items():
            flat[f"{prefix}/{name}"] = figure.value
            if split != "train" and figure.low is not None and figure.high is not None:
                flat |= {f"{prefix}/{name}_low": figure.low, f"{prefix}/{name}_high": figure.high}
        for baseline, figures in card.baselines.items():
            shown = ("accuracy", "log_loss")
            flat |= {f"{prefix}/{baseline}_{name}": figures[name].value for name in shown if name in figures}
        for baseline, gains in card.gains.items():
            if "accuracy" in gains:
                flat[f"{prefix}/gain_over_{baseline}"] = gains["accuracy"].value
    return {name: value for name, value in flat.items() if np.isfinite(value)}


def read_estimates(metrics: dict[str, float], prefix: str) -> dict[str, Estimate]:
    """Figures and intervals of a split, back from what `score_metrics` tracked."""
    own = {name.removeprefix(f"{prefix}/"): value for name, value in metrics.items() if name.startswith(f"{prefix}/")}
    bounds = {name for name in own if name.endswith(("_low", "_high"))}
    return {
        name: Estimate(value, own.get(f"{name}_low"), own.get(f"{name}_high"))
        for name, value in own.items()
        if name not in bounds
    }


def differences(now: dict[str, float], tracked: dict[str, float]) -> list[str]:
    """List the figures that do not equal the tracked ones exactly, one sentence each; a missing one counts."""
    splits = {prefix: split for split, prefix in SPLIT_PREFIX.items()}
    out = []
    for name, value in now.items():
        if tracked.get(name) != value:
            prefix, figure = name.split("/")
            out.append(f"{splits[prefix]} {figure}: tracked {tracked.get(name)}, now {value}")
    return out


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one dict with dotted keys."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out
