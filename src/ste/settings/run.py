"""Settings of a run: optimizer, fit, trainer, tracking, and each command."""

from dataclasses import dataclass
from math import inf
from typing import Any

from ste.settings.checks import choice, require


@dataclass
class OptimizerSettings:
    """An optimizer of `torch.optim` by its short name, and its arguments."""

    name: str
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        choice(self, "optimizer.name", ("adam", "adamw", "sgd", "rmsprop"))
        require(self, "optimizer.lr", 0 < self.lr < inf, "a finite number above 0")
        require(self, "optimizer.weight_decay", 0 <= self.weight_decay < inf, "a finite number, 0 or more")
        require(self, "optimizer.momentum", 0 <= self.momentum < 1, "a number in [0, 1)")


@dataclass
class SchedulerSettings:
    """Course of the learning rate over the epochs.

    Attributes:
        name: `none`, `cosine` (to `min_lr` at the last epoch) or `plateau` (times `factor` after
            `patience` epochs without a better monitored figure).
    """

    name: str = "none"
    min_lr: float = 0.0
    factor: float = 0.5
    patience: int = 3

    def __post_init__(self) -> None:
        choice(self, "scheduler.name", ("none", "cosine", "plateau"))
        require(self, "scheduler.min_lr", self.min_lr >= 0, "0 or more")
        require(self, "scheduler.factor", 0 < self.factor < 1, "a number in (0, 1)")
        require(self, "scheduler.patience", self.patience >= 0, "0 or more")


MONITORS = ("loss", "accuracy", "balanced_accuracy", "f1", "mcc", "auroc", "log_loss", "brier")


@dataclass
class FitSettings:
    """What a model is fitted to and when it is good enough.

    Attributes:
        monitor: validation figure that chooses the epoch.
        patience: epochs without a better one before training stops; None never stops early.
        class_weights: weigh classes by the inverse of their share of the training rows.
        label_smoothing: share of the target spread over all classes.
    """

    monitor: str = "log_loss"
    patience: int | None = 10
    class_weights: bool = False
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        choice(self, "fit.monitor", MONITORS)
        require(self, "fit.patience", self.patience is None or self.patience >= 1, "1 or more, or null")
        require(self, "fit.label_smoothing", 0 <= self.label_smoothing < 1, "a number in [0, 1)")

    @property
    def mode(self) -> str:
        """Whether the monitored figure is better `min` or `max`."""
        return "min" if self.monitor in ("loss", "log_loss", "brier") else "max"


@dataclass
class TrainerSettings:
    """Arguments of Lightning's Trainer, and the number of torch threads (None is torch's own)."""

    accelerator: str = "cpu"
    devices: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    max_epochs: int = 50
    gradient_clip: float | None = 1.0
    threads: int | None = None
    limit_batches: int | None = None
    detect_anomaly: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        choice(self, "trainer.accelerator", ("cpu", "gpu", "auto"))
        choice(self, "trainer.strategy", ("auto", "ddp"))
        require(self, "trainer.limit_batches", self.limit_batches is None or self.limit_batches >= 1, "1 or more")
        require(self, "trainer.max_epochs", self.max_epochs >= 1, "1 or more")
        require(self, "trainer.devices", self.devices >= 1, "1 or more")
        require(self, "trainer.threads", self.threads is None or self.threads >= 1, "1 or more")
        require(
            self,
            "trainer.gradient_clip",
            self.gradient_clip is None or self.gradient_clip > 0,
            "more than 0, or null",
        )
        choice(self, "trainer.precision", ("32-true", "64-true", "bf16-mixed", "16-mixed"))


@dataclass
class TrackingSettings:
    """Where runs are tracked.

    Attributes:
        enabled: False keeps everything in the run folder.
        uri: a `sqlite:///` file or a server; None is `mlflow.db` in the output folder.
        experiment: MLflow experiment of the runs.
        run_name: name of the run; None is the model's and the data's.
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str = "ste"
    run_name: str | None = None

    def __post_init__(self) -> None:
        known = self.uri is None or self.uri.startswith(("sqlite:///", "http://", "https://", "postgresql", "mysql"))
        require(self, "tracking.uri", known, "sqlite:///FILE or http://SERVER:PORT", example="sqlite:///runs.db")
        require(self, "tracking.experiment", bool(self.experiment), "a name")


@dataclass
class PathSettings:
    """Folders, relative to where the command is typed."""

    data: str = "data_output"
    output: str = "outputs"

    def __post_init__(self) -> None:
        require(self, "paths.data", bool(self.data), "a folder")
        require(self, "paths.output", bool(self.output), "a folder")


@dataclass
class TrainSettings:
    """Everything that decides a training run.

    Attributes:
        model: `net` names a class of `ste.models`; the other keys are its arguments.
        resume: id of a stopped run to go on with.
    """

    model: dict[str, Any]
    data: Any
    optimizer: OptimizerSettings
    scheduler: SchedulerSettings
    fit: FitSettings
    trainer: TrainerSettings
    tracking: TrackingSettings
    paths: PathSettings
    seed: int = 0
    resume: str | None = None

    def __post_init__(self) -> None:
        require(self, "seed", 0 <= self.seed < 2**32, "a whole number from 0 to 2**32 - 1")


@dataclass
class GenerateSettings:
    """A table to write: the `data` group and the folder it goes to."""

    data: Any
    paths: PathSettings


@dataclass
class ReproduceSettings:
    """Folders of the seed document's experiment; its settings are its own."""

    paths: PathSettings


@dataclass
class EvaluateSettings:
    """A tracked run to score again.

    Attributes:
        run: a run id, `latest` or `best`.
        split: `train`, `validation`, `test` or `all`.
    """

    tracking: TrackingSettings
    paths: PathSettings
    run: str = "latest"
    split: str = "all"

    def __post_init__(self) -> None:
        choice(self, "split", ("train", "validation", "test", "all"))


@dataclass
class UiSettings:
    """Where the MLflow UI listens, and on which runs."""

    tracking: TrackingSettings
    paths: PathSettings
    host: str = "127.0.0.1"
    port: int = 5000

    def __post_init__(self) -> None:
        require(self, "port", 0 < self.port < 65536, "a port from 1 to 65535")
