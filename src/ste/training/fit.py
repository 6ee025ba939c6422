"""Fit one model on one cut of the data: a net with Lightning, a baseline with its own estimator."""

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch.utils.data import SequentialSampler

from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import TrainerSettings
from ste.data.datamodule import DatasetView, TrendDataModule
from ste.errors import ConfigError
from ste.training.cached_dataset import CachedDataset, fits, normalized_rows
from ste.training.components import own_epochs
from ste.training.distributed import OwnEnd, lost_process, stop_launched
from ste.training.grouped_batches import can_group, grouped
from ste.training.malloc import retain_memory
from ste.training.module import TrendModule
from ste.training.trainer import build_trainer

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices found, products recommended

BEST = "best.ckpt"
LAST = "last.ckpt"


Model = TrendModule | FittedBaseline


@dataclass(frozen=True)
class Fitted:
    """A model at its best epoch.

    Attributes:
        model: a net's module on the CPU, or a baseline.
        parameters: number of fitted parameters.
        epochs: trained epochs; 0 for a baseline.
        best_epoch: selected epoch, from 0, of replicas their median; 0 for a baseline.
        seconds: duration of the fit alone.
        checkpoint: file of the model.
        history: metrics of each epoch by name.
        monitored: monitored metric at the best epoch; None for a baseline, for replicas, and where no ModelCheckpoint
            monitored.
    """

    model: Model
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float
    checkpoint: Path
    history: list[dict[str, float]]
    monitored: float | None = None


def fit_baseline(model: FittedBaseline, data: TrendDataModule, folder: Path, seed: int) -> Fitted:
    """Fit a baseline on the training examples and save it.

    Args:
        model: to fit.
        data: one cut of the data.
        folder: of its checkpoint.
        seed: of what is random in it.
    """
    started = time.perf_counter()
    model.fit(data, seed)
    seconds = time.perf_counter() - started
    model.save(folder / BEST)
    return Fitted(model, model.baseline.parameter_count, 0, 0, seconds, folder / BEST, [])


def fit_net(
    module: TrendModule,
    data: TrendDataModule,
    folder: Path,
    settings: TrainerSettings,
    callbacks: Sequence[pl.Callback],
    loggers: Sequence[Logger],
    *,
    resume: bool = False,
) -> Fitted:
    """Fit a net and load the weights of its best epoch.

    Args:
        module: to fit.
        data: one cut of the data.
        folder: of checkpoints.
        settings: of the Trainer.
        callbacks: of the fit; the first ModelCheckpoint with a monitor selects the epoch, without one the last counts.
        loggers: of the fit.
        resume: start from `last.ckpt` of the folder, where there is one.

    Raises:
        ConfigError: the fit diverged, the Trainer refused a setting, or the processor lacks the net's layers in this
            precision.
        RunError: another process of a distributed run was lost.
    """
    several = settings.processes != 1
    chosen = own_epochs(list(callbacks)) if module.selects_epochs else list(callbacks)
    in_groups = can_group(module, settings, chosen)
    # The step of a group clips gradients itself.
    for_trainer = replace(settings, gradient_clip_val=None, gradient_clip_algorithm=None) if in_groups else settings
    end = OwnEnd()
    trainer = build_trainer(for_trainer, [*chosen, *([end] if several else [])], loggers)
    if settings.precision == "64-true":
        module.double()  # Lightning would convert after it has read a checkpoint, whose values would be rounded
    last = folder / LAST if resume and (folder / LAST).is_file() else None
    started = time.perf_counter()
    try:
        with retain_memory():
            whole = module.whole_dates
            cached = _cached(module, data, trainer.strategy.root_device)
            training, validation = module.training_loader(data, cached), data.val_dataloader(cached, whole_dates=whole)
            if settings.overfit_batches:
                # Lightning leaves a sequential sampler alone: same batches each epoch
                for one in (training, validation):
                    one.sampler = SequentialSampler(range(len(one.dataset)))  # type: ignore[assignment]
            with grouped(module, training, settings) if in_groups else nullcontext(training) as loader:
                trainer.fit(module, loader, validation, ckpt_path=last, weights_only=True)
            stop_launched(trainer, end, wait=30.0)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into an exit
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        if "could not create a primitive" in str(error):  # torch, of an LSTM or GRU in 16 bits
            raise ConfigError(
                f"trainer.precision={settings.precision}: this processor cannot compute a layer of the net with it. "
                "Try trainer.precision=32-true."
            ) from error
        lost = lost_process(error) if several else None
        if lost is None:
            raise
        raise lost from error
    finally:
        stop_launched(trainer, end)
        if dist.is_initialized():
            dist.destroy_process_group()  # rank 0 scores complete splits, alone
    return _fitted(module, data, trainer, folder, time.perf_counter() - started)


def _cached(module: TrendModule, data: TrendDataModule, device: torch.device) -> DatasetView:
    """Return what replaces a dataset by its normalized form, cached on the training device where it fits there."""
    representation = module.representation
    further = [] if data.extra_training is None else [data.extra_training]
    stores = {id(one.store): one.store for one in (data.datasets["train"], *further)}  # all splits read one store
    count = sum(len(store.features) for store in stores.values())
    if not fits(count, len(data.panel.features), representation.mean.dtype.itemsize, device):
        return lambda dataset: dataset  # the module normalizes each batch
    windows = data.view == "sequence"
    rows = {
        key: normalized_rows(representation, store.features, windows=windows, device=device)
        for key, store in stores.items()
    }
    return lambda dataset: CachedDataset(dataset, rows[id(dataset.store)], representation)


def _fitted(module: TrendModule, data: TrendDataModule, trainer: pl.Trainer, folder: Path, seconds: float) -> Fitted:
    """Load the best epoch's weights and describe the fit."""
    best = next(
        (
            one
            for one in trainer.checkpoint_callbacks
            if isinstance(one, ModelCheckpoint) and one.monitor is not None and one.best_model_path
        ),
        None,
    )
    module = module.cpu().float().eval()  # as it is loaded again, whatever its precision was
    path, epoch, monitored = folder / BEST, max(trainer.current_epoch - 1, 0), None
    if module.selects_epochs:
        epoch = module.select_epochs(data.val_dataloader(whole_dates=module.whole_dates))
        trainer.save_checkpoint(path, weights_only=True)
    elif best is not None:
        if best.best_model_score is None or not torch.isfinite(best.best_model_score):
            raise ConfigError(
                f"the fit diverged: {best.monitor} is {best.best_model_score}. Try a smaller optimizer.lr."
            )
        path, monitored = Path(best.best_model_path), float(best.best_model_score)
        content = torch.load(path, weights_only=True)
        epoch = int(content["epoch"])
        module.load_state_dict(content["state_dict"])
    elif trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(path, weights_only=True)
    return Fitted(
        model=module,
        parameters=sum(p.numel() for p in module.net.parameters()),
        epochs=trainer.current_epoch,
        best_epoch=epoch,
        seconds=seconds,
        checkpoint=path,
        history=module.history,
        monitored=monitored,
    )
