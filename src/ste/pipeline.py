"""Prepare, fit, score, keep: a training run and its evaluation, as plain functions of settings."""

import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

import ste.models
from ste.data.calendar import week_numbers
from ste.data.datamodule import TrendDataModule
from ste.data.prepare import prepare
from ste.errors import ConfigError, DataError, RunError
from ste.evaluation import baselines
from ste.evaluation.scores import SplitScores, score_split
from ste.record import TrainResult, flatten, track_inputs, track_outputs, trials, write_inputs, write_outputs
from ste.schema import CLASS_NAMES, FEATURES
from ste.settings import DataSettings, TrainSettings
from ste.training.module import TrendModule, build_net
from ste.training.progress import EpochProgress
from ste.training.stopping import Patience

log = logging.getLogger(__name__)
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices found, products recommended
# Per-step logging does not exist here, and Lightning's own use of torch is not a person's to mend.
warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging interval")
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).* is deprecated")
warnings.filterwarnings("ignore", message=r"It is recommended to use `self\.log\(")  # metrics synchronise themselves
warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")  # a resumed run's

LINEAR_ROWS = 100_000
"""Training examples, evenly spaced, that the linear baseline sees at most."""


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
    data = _data(settings.data, _view(settings.model), settings.paths.data, settings.seed)
    module = _module(settings, data)
    module.representation.fit(data.training_chunks)
    output = Path(settings.paths.output)
    with _run(settings, output, name, flatten(config)) as run:
        run_id = run.id if run else settings.resume  # a helper process of a distributed run has no run of its own
        checkpoints = output / "checkpoints" / run_id if run_id else folder / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        write_inputs(folder, config, data)
        if run:
            track_inputs(run, folder, data)
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
            trials=trials(run, data.prepared.digest),
            scores=scores,
            folder=folder,
            module=module,
            card=data.prepared.card,
        )
        write_outputs(folder, result)
        if run:
            track_outputs(run, folder, result, module, data, Path(best.best_model_path))
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
