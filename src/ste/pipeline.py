"""Prepare, fit, score, keep: a training run and its evaluation, as plain functions of settings."""

import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

import ste.models
from ste.data.calendar import week_numbers
from ste.data.datamodule import TrendDataModule
from ste.data.files import whole_file
from ste.data.prepare import prepare
from ste.errors import ConfigError, DataError, RunError
from ste.evaluation import baselines
from ste.evaluation.scores import SplitScores, score_split
from ste.plots import confusion_figure
from ste.schema import CLASS_NAMES, DIRECTION, FEATURES
from ste.settings import DataSettings, TrainSettings
from ste.training.module import TrendModule, build_net
from ste.training.progress import EpochProgress
from ste.training.stopping import Patience

log = logging.getLogger(__name__)
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices found, products recommended
# Per-step logging does not exist here, and Lightning's own use of torch is not a person's to mend.
warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging interval")
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).* is deprecated")
warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")  # a resumed run's

LINEAR_ROWS = 100_000
"""Training examples, evenly spaced, that the linear baseline sees at most."""

SPLIT_PREFIX = {"train": "final_train", "validation": "final_validation", "test": "final_test"}
"""Metric prefix of each split's figures at the best checkpoint."""


@dataclass(frozen=True)
class TrainResult:
    """What a training run ends with; `summary.json` holds the same.

    Attributes:
        run_id: MLflow's, or None where tracking is off.
        model: net's class name.
        parameters: trainable ones.
        epochs: trained; best_epoch: the one whose weights are kept, from 0.
        monitor: the figure that chose it, and its value.
        monitored: value of `monitor` on validation at the best epoch.
        fit_seconds: of the fit alone.
        data_digest: of the tables.
        trials: runs so far of the same experiment on the same data, this one included.
        scores: by split.
        folder: where `summary.json`, the figures and (without tracking) the checkpoint lie.
        module: the trained model, on the CPU; card: of its tables. Neither is in the summary.
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
    trials: int
    scores: dict[str, SplitScores]
    folder: Path
    module: TrendModule
    card: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """Plain dict: `metrics` by split, and everything else by its name."""
        out = {field.name: getattr(self, field.name) for field in fields(self)}
        del out["module"], out["card"]
        out["folder"] = str(self.folder)
        out["scores"] = {split: scores.plain() for split, scores in self.scores.items()}
        out["metrics"] = {split: scores.metrics for split, scores in self.scores.items()}
        return out


def train(settings: TrainSettings, config: dict[str, Any], folder: Path, name: str) -> TrainResult | None:
    """Train, track and score one model.

    Args:
        settings: everything that decides the run.
        config: the same as plain data, kept with the run so that it can be repeated.
        folder: the run's own folder, for what it writes.
        name: of the tracked run.

    Returns:
        None in the helper processes of a distributed run.

    Raises:
        SteError: settings, data or a run to resume that cannot be used.
    """
    if settings.trainer.threads is not None:
        torch.set_num_threads(settings.trainer.threads)
    _check_device(settings)
    pl.seed_everything(settings.seed, verbose=False)
    data = _data(settings.data, _view(settings.model), settings.paths.data, settings.seed)
    module = _module(settings, data)
    module.representation.fit(data.training_chunks)
    output = Path(settings.paths.output)
    flat = _flatten(config)
    with _run(settings, output, name, flat) as run:
        run_id = run.id if run else settings.resume  # a helper process of a distributed run has no run of its own
        checkpoints = output / "checkpoints" / run_id if run_id else folder / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        _write_inputs(folder, config, data)
        if run:
            _track_inputs(run, folder, data)
        trainer, best = _trainer(settings, checkpoints, run)
        began = time.perf_counter()
        try:
            trainer.fit(module, datamodule=data, ckpt_path=_resume_point(settings, checkpoints), weights_only=True)
        except SystemExit as stop:
            if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning makes an exit of Ctrl-C
                raise KeyboardInterrupt from None
            raise
        seconds = time.perf_counter() - began
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # the first process scores whole splits, alone
        if trainer.global_rank != 0:
            return None
        monitored = _figure(best)
        module.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
        module = module.cpu().float().eval()  # as it is loaded again, whatever it was trained in
        scores = score(module, data)
        result = TrainResult(
            run_id=run.id if run else None,
            model=settings.model["net"],
            parameters=sum(p.numel() for p in module.net.parameters()),
            epochs=trainer.current_epoch,
            best_epoch=_epoch_of(best.best_model_path),
            monitor=settings.fit.monitor,
            monitored=monitored,
            fit_seconds=seconds,
            data_digest=data.prepared.digest,
            trials=_trials(run, data.prepared.digest),
            scores=scores,
            folder=folder,
            module=module,
            card=data.prepared.card,
        )
        _write_outputs(folder, result)
        if run:
            _track_outputs(run, folder, result, module, data, Path(best.best_model_path))
    if result.run_id:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return result


def evaluate(settings: TrainSettings, checkpoint: Path, digest: str | None = None) -> dict[str, SplitScores]:
    """Score a checkpoint on the data of the settings it was trained with.

    Args:
        settings: the run's.
        checkpoint: its best checkpoint.
        digest: of the tables it was trained on; other data is refused.

    Raises:
        RunError: the data is not what it was.
    """
    data = _data(settings.data, _view(settings.model), settings.paths.data, settings.seed)
    if digest is not None and data.prepared.digest != digest:
        raise RunError(
            f"the tables have digest {data.prepared.digest}, the run was trained on {digest}: the files or the code "
            "that builds them changed since. Put the files back, or train again."
        )
    module = TrendModule.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True).eval()
    return score(module, data)


def score(module: TrendModule, data: TrendDataModule) -> dict[str, SplitScores]:
    """Scores of every split, each beside its baselines on the same rows.

    On one thread: sums depend on their order, and the figures must repeat whatever the number of threads.

    Args:
        module: on the CPU, in evaluation mode.
        data: the tables it reads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _score(module, data)
    finally:
        torch.set_num_threads(threads)


def _score(module: TrendModule, data: TrendDataModule) -> dict[str, SplitScores]:
    datasets, classes = data.datasets, len(CLASS_NAMES)
    train = datasets["train"]
    chances, last_week = {}, {}
    for split in datasets:
        parts, prepared = [], []
        with torch.no_grad():
            for batch in data.loader(split):
                x = module.representation(batch.features)
                parts.append(module.net(x).float().softmax(dim=1))
                prepared.append(x[:, -1] if x.dim() == 3 else x)
        chances[split], last_week[split] = torch.cat(parts), torch.cat(prepared)
    horizon = data.settings.labels.horizon
    every = max(1, -(-len(train) // LINEAR_ROWS))
    linear = baselines.linear(last_week["train"][::every], train.labels[::every], list(last_week.values()), classes)
    out = {}
    for (split, dataset), linear_chances in zip(datasets.items(), linear, strict=True):
        company = {
            "linear": linear_chances,
            "persistence": baselines.persistence(train, dataset, classes, horizon),
            "majority": baselines.majority(train, dataset, classes),
        }
        weeks = week_numbers(dataset.frame["date"])
        out[split] = score_split(chances[split], dataset.labels, weeks, company, data.truth(split), horizon)
    return out


def _check_device(settings: TrainSettings) -> None:
    if settings.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("trainer=gpu: no CUDA device was found. Try trainer=cpu.")


def _data(settings: DataSettings, view: str, root: str, seed: int) -> TrendDataModule:
    return TrendDataModule(prepare(settings, Path(root)), settings, view, seed)


def _view(model: dict[str, Any]) -> str:
    return str(getattr(ste.models, model["net"]).input_view)


def _module(settings: TrainSettings, data: TrendDataModule) -> TrendModule:
    given = {key: value for key, value in settings.model.items() if key != "net" and value is not None}
    net = settings.model["net"]
    accepted = getattr(ste.models, net).__init__.__annotations__
    arguments = {key: value for key, value in asdict(data.dims).items() if key in accepted} | given
    build_net(net, arguments)  # a wrong size is told before anything is tracked
    weights = None
    if settings.fit.class_weights:
        counts = data.class_counts().float()
        if (counts == 0).any():
            missing = CLASS_NAMES[int(counts.argmin())]
            raise DataError(f"fit.class_weights=true: no training row is {missing}. Try fit.class_weights=false.")
        weights = (counts.sum() / (len(counts) * counts)).tolist()
    pl.seed_everything(settings.seed, verbose=False)
    return TrendModule(
        net=net,
        net_arguments=arguments,
        columns=list(FEATURES),
        representation=settings.data.representation,
        optimizer=asdict(settings.optimizer),
        scheduler=asdict(settings.scheduler),
        monitor=settings.fit.monitor,
        mode=settings.fit.mode,
        class_weights=weights,
        label_smoothing=settings.fit.label_smoothing,
        seed=settings.seed,
    )


def _trainer(settings: TrainSettings, checkpoints: Path, run: Any) -> tuple[pl.Trainer, ModelCheckpoint]:
    monitor, mode = f"val/{settings.fit.monitor}", settings.fit.mode
    best = ModelCheckpoint(
        dirpath=checkpoints,
        filename="best-{epoch}",
        monitor=monitor,
        mode=mode,
        save_weights_only=True,
        save_on_train_epoch_end=False,
    )
    last = ModelCheckpoint(
        dirpath=checkpoints,
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    callbacks: list[Callback] = [best, last]
    if settings.fit.patience is not None:
        callbacks.append(Patience(monitor=monitor, mode=mode, patience=settings.fit.patience))
    if settings.trainer.progress:
        callbacks.append(EpochProgress(monitor, mode))
    if run:
        from ste.tracking.curves import Curves

        callbacks.append(Curves(run))
    chosen = settings.trainer
    trainer = pl.Trainer(
        accelerator=chosen.accelerator,
        devices=chosen.devices,
        strategy=chosen.strategy,
        precision=chosen.precision,  # type: ignore[arg-type]
        max_epochs=chosen.max_epochs,
        gradient_clip_val=chosen.gradient_clip,
        limit_train_batches=chosen.limit_batches,
        detect_anomaly=chosen.detect_anomaly,
        deterministic=True,
        callbacks=callbacks,
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    return trainer, best


@contextmanager
def _run(settings: TrainSettings, output: Path, name: str, params: dict[str, Any]) -> Iterator[Any]:
    """The tracked run; None where tracking is off or another process of this run tracks."""
    helper = int(os.environ.get("LOCAL_RANK", "0")) != 0
    if helper or not settings.tracking.enabled:
        yield None
        return
    from ste.tracking.run import tracked_run

    with tracked_run(settings.tracking, output, name, params, settings.resume) as run:
        yield run


def _resume_point(settings: TrainSettings, checkpoints: Path) -> Path | None:
    last = checkpoints / "last.ckpt"
    if settings.resume is None or not last.is_file():
        return None
    return last


def _figure(best: ModelCheckpoint) -> float:
    score = best.best_model_score
    if score is None or not torch.isfinite(score):
        raise ConfigError(f"the fit diverged: {best.monitor} is {score}. Try a smaller optimizer.lr.")
    return float(score)


def _epoch_of(path: str) -> int:
    return int(Path(path).stem.split("epoch=")[1].split("-")[0])


def _trials(run: Any, digest: str) -> int:
    if not run:
        return 1
    from ste.tracking.find import count_trials

    return count_trials(run.client, run.id, digest)


def _write_inputs(folder: Path, config: dict[str, Any], data: TrendDataModule) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "data_card.json").write_text(json.dumps(data.prepared.card, indent=2) + "\n")


def _track_inputs(run: Any, folder: Path, data: TrendDataModule) -> None:
    from ste.tracking.run import DIGEST_TAG

    digest = run.tag(DIGEST_TAG)
    if digest is not None:  # a resumed run
        if digest != data.prepared.digest:
            raise RunError(
                f"resume={run.id}: the tables have digest {data.prepared.digest}, the run began on {digest}. "
                "Put the files back as they were, or train anew."
            )
        return
    run.log_file(folder / "config.yaml")
    run.log_file(folder / "data_card.json")
    for split, path in data.prepared.files.items():
        rows = data.store.frame[data.store.frame["split"] == list(SPLIT_PREFIX).index(split)]
        digest = data.prepared.card["files"][split]["sha256"]
        run.log_dataset(rows.drop(columns="split"), path, digest, split, DIRECTION)
    # Last: the tag says that all of it is there.
    run.set_tags({"data.source": data.settings.source, DIGEST_TAG: data.prepared.digest})


def _write_outputs(folder: Path, result: TrainResult) -> None:
    confusion = folder / "confusion"
    confusion.mkdir(exist_ok=True)
    for split, scores in result.scores.items():
        title = f"{result.model}, {split}: accuracy {scores.metrics['accuracy']:.1%} of {scores.examples:,}"
        confusion_figure(scores.confusion, CLASS_NAMES, title).savefig(confusion / f"{split}.png", dpi=110)
        header = "true\\predicted," + ",".join(CLASS_NAMES)
        rows = [f"{name},{','.join(map(str, row))}" for name, row in zip(CLASS_NAMES, scores.confusion, strict=True)]
        (confusion / f"{split}.csv").write_text("\n".join([header, *rows]) + "\n")
    with whole_file(folder / "summary.json") as partial:
        partial.write_text(json.dumps(result.summary(), indent=2, allow_nan=False) + "\n")


def _track_outputs(
    run: Any, folder: Path, result: TrainResult, module: TrendModule, data: TrendDataModule, best: Path
) -> None:
    from ste.tracking.model import log_model

    flat: dict[str, float] = {"best_epoch": result.best_epoch, "fit_seconds": result.fit_seconds}
    for split, scores in result.scores.items():
        prefix = SPLIT_PREFIX[split]
        flat |= {f"{prefix}/{name}": value for name, value in scores.metrics.items()}
        flat |= {f"{prefix}/examples": scores.examples, f"{prefix}/weeks": scores.weeks}
        flat |= {
            f"{prefix}/accuracy_low": scores.model.interval.low,
            f"{prefix}/accuracy_high": scores.model.interval.high,
        }
        if scores.model.log_loss_interval is not None:
            flat |= {
                f"{prefix}/log_loss_low": scores.model.log_loss_interval.low,
                f"{prefix}/log_loss_high": scores.model.log_loss_interval.high,
            }
        flat |= {f"{prefix}/{name}_accuracy": row.accuracy for name, row in scores.company.items()}
    run.log_metrics({name: value for name, value in flat.items() if np.isfinite(value)}, step=result.best_epoch)
    run.set_tags({"model.parameters": result.parameters, "trials": result.trials})
    upload = best.with_name("best.ckpt")
    shutil.copyfile(best, upload)
    run.log_file(upload, "checkpoints")
    run.log_file(folder / "summary.json")
    for path in sorted((folder / "confusion").iterdir()):
        run.log_file(path, "confusion")
    example = data.datasets["test" if "test" in data.datasets else "validation"][torch.arange(2)].features.numpy()
    log_model(run.id, module, example)


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= _flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out
