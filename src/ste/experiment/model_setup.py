"""Build, fit and load the model that a run's settings name."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import TrainSettings
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.errors import ConfigError, DataError, RunError
from ste.registry import MODELS
from ste.seed_ensembles.replica_module import build_module
from ste.training.augmentation.batch_transforms import MIN_WINDOW
from ste.training.augmentation.resampled_market import synthetic_rows
from ste.training.components import build_callbacks, build_loggers, early_stopping_patience
from ste.training.distributed import check_examples, resolve_processes
from ste.training.fit import Fitted, Model, fit_baseline, fit_net
from ste.training.module import build_net
from ste.training.run_logger import MetricStore
from ste.training.trainer import build_trainer


def model_name(model: dict[str, Any]) -> str:
    """Return a model's class name."""
    return str(model.get("net") or model["baseline"])


def input_view(model: dict[str, Any]) -> str:
    """Return what a model reads: `sequence` (windows) or `flat` (rows)."""
    return "sequence" if "baseline" in model else str(MODELS[model["net"]].input_view)


def build_data(settings: TrainSettings, panel: Panel) -> TrendDataModule:
    """Build a run's examples on the tables' own split."""
    return TrendDataModule(panel, input_view(settings.model), settings.seed, settings.scoring.most_rows)


def build_model(settings: TrainSettings, data: TrendDataModule) -> Model:
    """Build the model to fit, and check the settings of its fit before anything is tracked.

    Raises:
        ConfigError: settings that the model, a callback, a logger or the Trainer does not accept.
        DataError: the training examples cannot be weighed or resampled as asked.
    """
    if "baseline" in settings.model:
        return FittedBaseline.from_settings(settings.model, data, settings.data.representation)
    metric, folder = f"val/{settings.fit.monitor}", Path()
    build_trainer(
        resolve_processes(settings.trainer), build_callbacks(settings.callbacks, metric, settings.fit.mode, folder)
    )
    build_loggers({key: entry for key, entry in settings.loggers.items() if key != "tensorboard"}, folder, None)
    module = build_module(_hyperparameters(settings, data))
    module.representation.fit(data.training_chunks)
    if settings.augment.name == "synthetic":
        data.add_training_examples(*synthetic_rows(settings.augment, data.panel, data.datasets["train"], settings.seed))
    return module


def fit_model(
    settings: TrainSettings,
    data: TrendDataModule,
    model: Model,
    folder: Path,
    run: MetricStore | None,
    callbacks: tuple[pl.Callback, ...] = (),
) -> Fitted:
    """Fit a model from `build_model`.

    Args:
        settings: of the run.
        data: one cut of the data.
        model: to fit.
        folder: of checkpoints.
        run: tracked run for the curves; None sends them nowhere.
        callbacks: in addition to those of the settings.
    """
    if isinstance(model, FittedBaseline):
        return fit_baseline(model, data, folder, settings.seed)
    built = build_callbacks(settings.callbacks, f"val/{settings.fit.monitor}", settings.fit.mode, folder)
    loggers = build_loggers(settings.loggers, folder, run)
    trainer = resolve_processes(settings.trainer)
    check_examples({split: len(rows) for split, rows in data.datasets.items()}, trainer)
    try:
        return fit_net(model, data, folder, trainer, [*built, *callbacks], loggers, resume=settings.resume is not None)
    except RunError as error:
        again = f" Try resume={run.id}." if run is not None else ""
        raise RunError(f"{error}{again}") from error


def load_model(path: Path) -> Model:
    """Load a model from its checkpoint; nothing in the file is executed."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if "baseline" not in content:
        module = build_module(dict(content["hyper_parameters"]))
        module.load_state_dict(content["state_dict"])
        module.history = list(content["history"])
        return module.eval()
    return FittedBaseline.from_checkpoint(content)


def _hyperparameters(settings: TrainSettings, data: TrendDataModule) -> dict[str, Any]:
    """Return the arguments of the module, plain values alone."""
    given = {key: value for key, value in settings.model.items() if key != "net" and value is not None}
    net = settings.model["net"]
    if settings.augment.name == "window_warping" and data.dims.sequence_length < MIN_WINDOW:
        raise ConfigError(
            f"augment=window_warping: {net} reads {data.dims.sequence_length} of a ticker's periods; expected "
            f"{MIN_WINDOW} or more, between which time can be stretched. Try augment=jitter, or model=lstm."
        )
    accepted = MODELS[net].__init__.__annotations__
    arguments = {key: value for key, value in asdict(data.dims).items() if key in accepted} | given
    build_net(net, arguments)  # reports a wrong size before anything is tracked
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
        "class_weights": _class_weights(data) if settings.fit.class_weights else None,
        "label_smoothing": settings.fit.label_smoothing,
        "adversarial_weight": settings.fit.adversarial_weight,
        "adversarial_size": settings.fit.adversarial_size,
        "seed": settings.seed,
        "augment": None if settings.augment.name == "none" else asdict(settings.augment),
    }
    if settings.train.replicas > 1:
        patience = early_stopping_patience(settings.callbacks)
        hyperparameters["replicas"] = asdict(settings.train) | {"patience": patience}
    return hyperparameters


def _class_weights(data: TrendDataModule) -> list[float]:
    """Return the inverse frequency of each class among the training examples, mean 1 over balanced classes."""
    counts = data.class_counts().float()
    if (counts == 0).any():
        missing = data.panel.classes[int(counts.argmin())]
        raise DataError(f"fit.class_weights=true: no training row is {missing}. Try fit.class_weights=false.")
    weights: list[float] = (counts.sum() / (len(counts) * counts)).tolist()
    return weights
