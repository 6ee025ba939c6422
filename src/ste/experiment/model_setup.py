"""Build, fit and load the model of a run."""

from dataclasses import asdict, dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import (
    AugmentSettings,
    FitSettings,
    OptimizerSettings,
    ReplicaSettings,
    SchedulerSettings,
    TrainerSettings,
)
from ste.data.datamodule import TrendDataModule
from ste.errors import ConfigError, DataError, RunError
from ste.evaluation.temperature import Calibration
from ste.experiment.calibration import calibrate, can_calibrate
from ste.features.column_forms import ColumnForms
from ste.registry import MODELS
from ste.seed_ensembles.replica_module import build_module
from ste.training.augmentation.batch_transforms import transform_of
from ste.training.augmentation.resampled_market import synthetic_rows
from ste.training.augmentation.transforms.window_warping import MIN_WINDOW
from ste.training.components import Mappings, build_callbacks, build_loggers
from ste.training.distributed import process_rank, resolve_processes
from ste.training.fit import Fitted, Model, fit_baseline, fit_net
from ste.training.module import TrendModule
from ste.training.run_logger import MetricStore
from ste.training.trainer import build_trainer


def input_view(model: dict[str, Any]) -> str:
    """Return what a model reads: `sequence` (windows) or `flat` (rows)."""
    if "baseline" in model:
        return "sequence"
    view = getattr(MODELS[model["net"]], "input_view", None)
    if view not in ("sequence", "flat"):
        raise ConfigError(
            f"model.net={model['net']}: its class has input_view={view!r}; expected 'sequence', windows [B, T, F], or "
            "'flat', rows [B, F]."
        )
    return str(view)


@dataclass(frozen=True)
class ModelBuilder:
    """Builds the unfitted model of a run.

    Attributes:
        model: class name under `net` or `baseline`, and its arguments.
        representation: kind of the normalization.
        loss: monitored metric, class weights and label smoothing.
        optimizer: of a net.
        scheduler: of the learning rate.
        augment: of the training examples.
        replicas: seeds of the net that are trained at once.
        patience: epochs without a better metric after which a replica stops; None never stops early.
        seed: of weights and random numbers.
    """

    model: dict[str, Any]
    representation: str
    loss: FitSettings
    optimizer: OptimizerSettings
    scheduler: SchedulerSettings
    augment: AugmentSettings
    replicas: ReplicaSettings
    patience: int | None
    seed: int

    @property
    def name(self) -> str:
        """Class name of the model, of an estimator that of scikit-learn."""
        if "estimator" in self.model:
            return str(self.model["estimator"]).rpartition(".")[2]
        return str(self.model.get("net") or self.model["baseline"])

    @property
    def is_baseline(self) -> bool:
        """Whether the model is a baseline rather than a net."""
        return "baseline" in self.model

    def build(self, data: TrendDataModule) -> Model:
        """Build the model, with its normalization fitted on the training examples.

        Raises:
            ConfigError: settings that the model does not accept.
            DataError: the training examples cannot be weighted or resampled as set.
        """
        if self.is_baseline:
            return FittedBaseline.from_settings(self.model, data, self.representation)
        module = self._module(data)
        module.representation.fit(data.training_chunks)
        if self.augment.name == "synthetic":
            data.add_training_examples(*synthetic_rows(self.augment, data.panel, data.datasets["train"], self.seed))
        return module

    def _module(self, data: TrendDataModule) -> TrendModule:
        given = {key: value for key, value in self.model.items() if key != "net" and value is not None}
        net = self.model["net"]
        if self.augment.name == "window_warping" and data.dims.sequence_length < MIN_WINDOW:
            raise ConfigError(
                f"augment=window_warping: {net} reads {data.dims.sequence_length} of a ticker's periods; expected "
                f"{MIN_WINDOW} or more, between which time can be stretched. Try augment=jitter, or model=lstm."
            )
        accepted = signature(MODELS[net]).parameters
        arguments = {key: value for key, value in asdict(data.dims).items() if key in accepted} | given
        if self.augment.name not in ("none", "synthetic"):
            transform_of(asdict(self.augment))
        pl.seed_everything(self.seed, verbose=False)
        hyperparameters = {
            "net": net,
            "net_arguments": arguments,
            "forms": ColumnForms.from_features(data.panel.feature_set).to_dict(),
            "representation": self.representation,
            "optimizer": asdict(self.optimizer),
            "scheduler": asdict(self.scheduler),
            **asdict(self.loss),
            "mode": self.loss.mode,
            "class_weights": _class_weights(data) if self.loss.class_weights else None,
            "seed": self.seed,
            "augment": None if self.augment.name == "none" else asdict(self.augment),
        }
        if self.replicas.replicas > 1:
            hyperparameters["replicas"] = asdict(self.replicas) | {"patience": self.patience}
        module = build_module(hyperparameters)
        if module.whole_dates and self.augment.name == "mixup":
            reads = net if module.sees_market else f"fit.loss={self.loss.loss}"
            raise ConfigError(
                f"augment=mixup: averages examples of different dates, and {reads} compares the tickers of one date. "
                "Try augment=jitter."
            )
        return module


@dataclass(frozen=True)
class Fitter:
    """Fits a model.

    Attributes:
        trainer: arguments of Lightning's Trainer.
        callbacks: of a net's fit.
        loggers: of a net's fit.
        monitor: validation metric that selects the epoch.
        mode: whether it is better `min` or `max`.
        seed: of a baseline's fit.
        calibration: of a net on its validation rows: `auto`, `none` or `temperature`.
    """

    trainer: TrainerSettings
    callbacks: Mappings
    loggers: Mappings
    monitor: str
    mode: str
    seed: int
    calibration: str = "none"

    def check(self) -> None:
        """Build callbacks, loggers and Trainer once, so that a mistake is reported before anything is tracked.

        Raises:
            ConfigError: a class or an argument that does not exist, or a value that is refused.
        """
        built = build_callbacks(self.callbacks, self._metric, self.mode, Path())
        build_trainer(resolve_processes(self.trainer), built)
        build_loggers(self.loggers, Path(), None)

    def fit(
        self,
        model: Model,
        data: TrendDataModule,
        folder: Path,
        run: MetricStore | None = None,
        callbacks: tuple[pl.Callback, ...] = (),
        *,
        resume: bool = False,
    ) -> Fitted:
        """Fit a model, and calibrate a net.

        Args:
            model: from `ModelBuilder.build`.
            data: that it was built for.
            folder: of checkpoints.
            run: tracked run for the curves; None sends them nowhere.
            callbacks: in addition to those of the settings.
            resume: continue from the folder's last checkpoint, where there is one.

        Raises:
            ConfigError: the fit diverged.
            DataError: too few validation periods for `calibration=temperature`.
            RunError: a process of a distributed run was lost.
        """
        if isinstance(model, FittedBaseline):
            return fit_baseline(model, data, folder, self.seed)
        can_calibrate(data, self.calibration)
        built = build_callbacks(self.callbacks, self._metric, self.mode, folder)
        loggers = build_loggers(self.loggers, folder, run)
        trainer = resolve_processes(self.trainer)
        try:
            fitted = fit_net(model, data, folder, trainer, [*built, *callbacks], loggers, resume=resume)
        except RunError as error:
            again = f" Try resume={run.id}." if run is not None else ""
            raise RunError(f"{error}{again}") from error
        if process_rank(self.trainer) == 0:  # the others' checkpoints are this one's
            calibrate(fitted, data, self.calibration)
        return fitted

    @property
    def _metric(self) -> str:
        return f"val/{self.monitor}"


def load_model(path: Path) -> Model:
    """Load a model from its checkpoint; nothing in the file is executed."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if "baseline" in content:
        return FittedBaseline.from_checkpoint(content)
    module = build_module(dict(content["hyper_parameters"]))
    module.load_state_dict(content["state_dict"])
    module.history = list(content["history"])
    module.calibration = Calibration.from_dict(content.get("calibration"))
    return module.eval()


def _class_weights(data: TrendDataModule) -> list[float]:
    """Return the inverse frequency of each class among the training examples, 1 where classes are balanced."""
    counts = data.class_counts().float()
    if (counts == 0).any():
        missing = data.panel.classes[int(counts.argmin())]
        raise DataError(f"fit.class_weights=true: no training row is {missing}. Try fit.class_weights=false.")
    weights: list[float] = (counts.sum() / (len(counts) * counts)).tolist()
    return weights
