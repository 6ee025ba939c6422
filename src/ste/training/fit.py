"""Fit one model on one cut of the data: a net through Lightning, a baseline by itself."""

import logging
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

import ste.models
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import TrainSettings
from ste.data.datamodule import Held, TrendDataModule
from ste.data.panel import Panel
from ste.errors import ConfigError, DataError
from ste.seed_ensembles.replica_loader import ReplicaLoader
from ste.seed_ensembles.replica_module import ReplicaModule, build_module
from ste.training.augmentation.batch_transforms import LEAST_WINDOW
from ste.training.augmentation.resampled_market import synthetic_rows
from ste.training.cached_dataset import Prepared, Resident, fits, prepared_rows
from ste.training.distributed import OwnSignals, rank, world_size
from ste.training.early_stopping import Patience
from ste.training.grouped_batches import GroupedLoader
from ste.training.last_checkpoint import Latest
from ste.training.malloc import kept_memory
from ste.training.module import TrendModule, build_net
from ste.training.progress_bar import EpochProgress

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices found, products recommended
# Per-step logging does not exist here, and Lightning's own use of torch is not a person's to mend.
warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging interval")
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).* is deprecated")
warnings.filterwarnings("ignore", message=r"It is recommended to use `self\.log\(")  # metrics synchronise themselves
warnings.filterwarnings("ignore", message=r"You defined a `validation_step` but have no")  # the module does it
warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")  # a resumed run's

BEST = "best.ckpt"


Model = TrendModule | FittedBaseline


@dataclass(frozen=True)
class Fitted:
    """A model at its best epoch.

    Attributes:
        model: a net's module, on the CPU, or a baseline.
        parameters: what it learnt, in numbers.
        epochs: trained; `best_epoch`: the one that is kept, from 0, of replicas their median. Both 0 for a baseline.
        best_epoch: see above.
        seconds: of the fit alone.
        checkpoint: file that `load_model` reads.
        history: figures of each epoch.
        monitored: the figure that chose the epoch, at that epoch; None for a baseline and for replicas.
    """

    model: Model
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float
    checkpoint: Path
    history: list[dict[str, float]]
    monitored: float | None = None


def view_of(model: dict[str, Any]) -> str:
    """What a model reads: `sequence` or `flat`."""
    return "sequence" if "baseline" in model else str(getattr(ste.models, model["net"]).input_view)


def data_of(settings: TrainSettings, panel: Panel) -> TrendDataModule:
    """A run's examples on the tables' own split, the same in each process that trains it."""
    return TrendDataModule(panel, view_of(settings.model), settings.seed, settings.scoring.most_rows)


def name_of(model: dict[str, Any]) -> str:
    """A model's class name."""
    return str(model.get("net") or model["baseline"])


def prepare_fit(settings: TrainSettings, data: TrendDataModule) -> TrendModule | FittedBaseline:
    """The model before it learns; whatever is wrong with its settings is told here, before anything is tracked."""
    if "baseline" in settings.model:
        return FittedBaseline.from_settings(settings.model, data, settings.data.representation)
    module = _module(settings, data)
    module.representation.fit(data.training_chunks)
    if settings.augment.name == "synthetic":
        data.add_training(*synthetic_rows(settings.augment, data.panel, data.datasets["train"], settings.seed))
    return module


def fit(
    settings: TrainSettings, data: TrendDataModule, model: TrendModule | FittedBaseline, checkpoints: Path, run: Any
) -> Fitted | None:
    """Let a prepared model learn.

    Args:
        settings: of the run.
        data: one cut of it.
        model: from `prepare_fit`.
        checkpoints: folder for them.
        run: the tracked run that gets the curves, or None.

    Returns:
        None in the helper processes of a distributed run.

    Raises:
        ConfigError: the fit diverged.
    """
    if isinstance(model, FittedBaseline):
        return _fit_baseline(settings, data, model, checkpoints)
    return _fit_net(settings, data, model, checkpoints, run)


def _fit_baseline(settings: TrainSettings, data: TrendDataModule, model: FittedBaseline, checkpoints: Path) -> Fitted:
    began = time.perf_counter()
    model.fit(data, settings.seed)
    seconds = time.perf_counter() - began
    model.save(checkpoints / BEST)
    return Fitted(model, model.baseline.parameter_count, 0, 0, seconds, checkpoints / BEST, [])


def _fit_net(
    settings: TrainSettings, data: TrendDataModule, module: TrendModule, checkpoints: Path, run: Any
) -> Fitted | None:
    trainer, best = build_trainer(settings, checkpoints, run)
    module.gradient_clip = settings.trainer.gradient_clip
    last = checkpoints / "last.ckpt"
    if settings.trainer.precision == "64-true":
        module.double()  # Lightning would do so after it has read a checkpoint, which would then be rounded
    resume = last if settings.resume is not None and last.is_file() else None
    began = time.perf_counter()
    try:
        with kept_memory():
            held = _held(module, data, trainer.strategy.root_device)
            module.validation = data.val_dataloader(held)
            training = _training_loader(settings, module, data, held)
            trainer.fit(module, training, ckpt_path=resume, weights_only=True)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning makes an exit of Ctrl-C
            raise KeyboardInterrupt from None
        raise
    seconds = time.perf_counter() - began
    if rank() != 0:
        return None  # the first process scores whole splits, alone
    if isinstance(module, ReplicaModule):
        return _fitted_replicas(module, data, trainer, checkpoints / BEST, seconds)
    if best.best_model_score is None or not torch.isfinite(best.best_model_score):
        raise ConfigError(f"the fit diverged: {best.monitor} is {best.best_model_score}. Try a smaller optimizer.lr.")
    kept = Path(best.best_model_path)
    module.load_state_dict(torch.load(kept, weights_only=True)["state_dict"])
    module = module.cpu().float().eval()  # as it is loaded again, whatever it was trained in
    return Fitted(
        model=module,
        parameters=sum(p.numel() for p in module.net.parameters()),
        epochs=trainer.current_epoch,
        best_epoch=int(kept.stem.split("epoch=")[1].split("-")[0]),
        seconds=seconds,
        checkpoint=kept,
        history=module.history,
        monitored=float(best.best_model_score),
    )


def _held(module: TrendModule, data: TrendDataModule, device: torch.device) -> Held:
    """Gives a dataset's examples prepared and on the device that learns, as far as they fit there."""
    representation = module.representation
    further = [] if data.further is None else [data.further]
    stores = {id(one.store): one.store for one in (data.datasets["train"], *further)}  # all splits read one store
    count = sum(len(store.features) for store in stores.values())
    if not fits(count, len(data.panel.features), representation.mean.dtype.itemsize, device):
        # What an accelerator gets raw, it prepares itself.
        return lambda dataset: Prepared(dataset, representation) if device.type == "cpu" else dataset
    windows = data.view == "sequence"
    rows = {
        key: prepared_rows(representation, store.features, windows=windows, device=device)
        for key, store in stores.items()
    }
    return lambda dataset: Resident(dataset, rows[id(dataset.store)], representation)


def _training_loader(settings: TrainSettings, module: TrendModule, data: TrendDataModule, held: Held) -> GroupedLoader:
    loader = data.train_dataloader(held)
    if isinstance(module, ReplicaModule):
        train = held(data.datasets["train"])
        loader = ReplicaLoader(train, data.settings.batch_size, data.seed, module.count)
    chosen = settings.trainer
    # Lightning's own step scales 16-bit gradients: one batch at a time.
    return GroupedLoader(loader, chosen.precision != "16-mixed", chosen.limit_batches)


def _fitted_replicas(
    module: ReplicaModule, data: TrendDataModule, trainer: pl.Trainer, checkpoint: Path, seconds: float
) -> Fitted:
    """Every replica at its own best epoch, all in one checkpoint."""
    module = module.cpu().float().eval()
    module.keep_best(data.val_dataloader())
    trainer.save_checkpoint(checkpoint, weights_only=True)
    return Fitted(
        model=module,
        parameters=sum(p.numel() for p in module.net.parameters()),
        epochs=trainer.current_epoch,
        best_epoch=int(module.kept_epochs.median()),
        seconds=seconds,
        checkpoint=checkpoint,
        history=module.history,
    )


def load_model(path: Path) -> Model:
    """A model from its checkpoint; nothing in the file is executed."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if "baseline" not in content:
        module = build_module(dict(content["hyper_parameters"]))
        module.load_state_dict(content["state_dict"])
        module.history = list(content["history"])
        return module.eval()
    return FittedBaseline.from_checkpoint(content)


def _module(settings: TrainSettings, data: TrendDataModule) -> TrendModule:
    given = {key: value for key, value in settings.model.items() if key != "net" and value is not None}
    net = settings.model["net"]
    if settings.augment.name == "window_warping" and data.dims.sequence_length < LEAST_WINDOW:
        raise ConfigError(
            f"augment=window_warping: {net} reads {data.dims.sequence_length} of a ticker's periods; expected "
            f"{LEAST_WINDOW} or more, between which time can be stretched. Try augment=jitter, or model=lstm."
        )
    accepted = getattr(ste.models, net).__init__.__annotations__
    arguments = {key: value for key, value in asdict(data.dims).items() if key in accepted} | given
    build_net(net, arguments)  # a wrong size is told before anything is tracked
    weights = None
    if settings.fit.class_weights:
        counts = data.class_counts().float()
        if (counts == 0).any():
            missing = data.panel.classes[int(counts.argmin())]
            raise DataError(f"fit.class_weights=true: no training row is {missing}. Try fit.class_weights=false.")
        weights = (counts.sum() / (len(counts) * counts)).tolist()
    pl.seed_everything(settings.seed, verbose=False)
    hyperparameters = {
        "net": net,
        "net_arguments": arguments,
        "columns": list(data.panel.features),
        "representation": settings.data.representation,
        "optimizer": asdict(settings.optimizer),
        "scheduler": asdict(settings.scheduler),
        "monitor": settings.fit.monitor,
        "mode": settings.fit.mode,
        "class_weights": weights,
        "label_smoothing": settings.fit.label_smoothing,
        "adversarial_weight": settings.fit.adversarial_weight,
        "adversarial_size": settings.fit.adversarial_size,
        "seed": settings.seed,
        "augment": None if settings.augment.name == "none" else asdict(settings.augment),
    }
    if settings.train.replicas > 1:
        hyperparameters["replicas"] = asdict(settings.train) | {"patience": settings.fit.patience}
    return build_module(hyperparameters)


def build_trainer(settings: TrainSettings, checkpoints: Path, run: Any) -> tuple[pl.Trainer, ModelCheckpoint]:
    """Lightning's trainer with our callbacks, and the one that keeps the best epoch."""
    monitor, mode = f"val/{settings.fit.monitor}", settings.fit.mode
    best = ModelCheckpoint(
        dirpath=checkpoints,
        filename="best-{epoch}",
        monitor=monitor,
        mode=mode,
        save_weights_only=True,
        save_on_train_epoch_end=True,
    )
    last = Latest(
        dirpath=checkpoints,
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    # Replicas have a best epoch each, and stop one by one: their module sees to both.
    alone = settings.train.replicas == 1
    first = rank() == 0  # of several processes: it alone keeps, shows and reports
    callbacks: list[Callback] = ([best, last] if alone else [last]) if first else [OwnSignals()]
    if alone and settings.fit.patience is not None:
        callbacks.append(Patience(monitor=monitor, mode=mode, patience=settings.fit.patience))
    if settings.trainer.progress and first:
        callbacks.append(EpochProgress(monitor, mode))
    if run:
        from ste.tracking.curves import Curves

        callbacks.append(Curves(run))
    if settings.sweep.study is not None and settings.validation.method == "holdout" and first:
        from ste.tuning.pruning import pruning

        callbacks += pruning(settings.sweep, monitor, run)
    chosen = settings.trainer
    trainer = pl.Trainer(
        accelerator=chosen.accelerator,
        # Several processes are not Lightning's matter: `ste.training.distributed`.
        devices=[torch.cuda.current_device()] if world_size() > 1 and torch.cuda.is_initialized() else 1,
        precision=chosen.precision,  # type: ignore[arg-type]
        max_epochs=chosen.max_epochs,
        detect_anomaly=chosen.detect_anomaly,
        deterministic=True,
        callbacks=callbacks,
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_checkpointing=first,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    # `deterministic` also has torch fill every new tensor with NaN, in case somebody reads what he has not written:
    # a twentieth of an LSTM's step and more, and no other number.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return trainer, best
