"""Settings of a run: optimizer, fit, trainer, tracking, and each command."""

from dataclasses import dataclass, field
from math import inf
from typing import Any

from ste.config.augmentation_settings import AugmentSettings
from ste.config.replica_settings import ReplicaSettings
from ste.config.sweep_settings import SweepSettings
from ste.config.validation import choice, iso_date, require
from ste.errors import ConfigError


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
        adversarial_weight: weight, beta, of the loss on perturbed latent representations; 0 does not perturb
            (`ste.training.adversarial`).
        adversarial_size: L2 norm, epsilon, of the perturbation.
    """

    monitor: str = "log_loss"
    patience: int | None = 10
    class_weights: bool = False
    label_smoothing: float = 0.0
    adversarial_weight: float = 0.0
    adversarial_size: float = 0.05

    def __post_init__(self) -> None:
        choice(self, "fit.monitor", MONITORS)
        require(self, "fit.patience", self.patience is None or self.patience >= 1, "1 or more, or null")
        require(self, "fit.label_smoothing", 0 <= self.label_smoothing < 1, "a number in [0, 1)")
        require(self, "fit.adversarial_weight", 0 <= self.adversarial_weight < inf, "a finite number, 0 or more")
        require(self, "fit.adversarial_size", 0 < self.adversarial_size < inf, "a finite number above 0")

    @property
    def mode(self) -> str:
        """Whether the monitored figure is better `min` or `max`."""
        return "min" if self.monitor in ("loss", "log_loss", "brier") else "max"


@dataclass
class TrainerSettings:
    """How a model is trained; what is not told here is an argument of Lightning's Trainer.

    Attributes:
        devices: processes on each machine that train together, with a GPU each or on the CPU.
        nodes: machines; each is given the same command (docs/scale.md).
        strategy: `auto` or `ddp`; several processes share each batch either way.
        threads: torch's, of each process; None is torch's own choice, of several processes a share of the cores.
    """

    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1
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
        require(self, "trainer.nodes", self.nodes >= 1, "1 or more")
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
        experiment: MLflow experiment of the runs; None, for a command that reads, is that of the latest run.
        run_name: name of the run; None is the model's and the data's.
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str | None = "ste"
    run_name: str | None = None

    def __post_init__(self) -> None:
        known = self.uri is None or self.uri.startswith(("sqlite:///", "http://", "https://", "postgresql", "mysql"))
        require(self, "tracking.uri", known, "sqlite:///FILE or http://SERVER:PORT", example="sqlite:///runs.db")
        require(self, "tracking.experiment", self.experiment != "", "a name")


@dataclass
class PathSettings:
    """Folders, relative to where the command is typed."""

    data: str = "data_output"
    output: str = "outputs"

    def __post_init__(self) -> None:
        require(self, "paths.data", bool(self.data), "a folder")
        require(self, "paths.output", bool(self.output), "a folder")


@dataclass
class ValidationSettings:
    """How many cuts of the data a model is trained and scored on.

    Attributes:
        method: `holdout` (the tables' own split), `walk_forward` (fold by fold, each tested on the block of
            periods after those it learnt from) or `combinatorial` (combinatorial purged cross-validation,
            Lopez de Prado 2018, chapter 12).
        folds: blocks that are tested, one after the other or in combinations.
        test_folds: blocks tested at once, for `combinatorial`.
        window: `expanding` keeps all earlier periods, `rolling` the latest `train_periods` of them.
        train_periods: of a rolling window; None is as many as come before the first test.
        test_start: first date that is tested, ISO; None is after the first 40 % of the periods.
        share: of each fold's training periods that validate it, the last ones.
        embargo: periods left out between learning and testing, beside the purge.
    """

    method: str = "holdout"
    folds: int = 8
    test_folds: int = 2
    window: str = "expanding"
    train_periods: int | None = None
    test_start: str | None = None
    share: float = 0.15
    embargo: int = 0

    def __post_init__(self) -> None:
        choice(self, "validation.method", ("holdout", "walk_forward", "combinatorial"))
        choice(self, "validation.window", ("expanding", "rolling"))
        least = 2 if self.method != "combinatorial" else 3
        require(self, "validation.folds", self.folds >= least, f"{least} or more")
        few = self.method != "combinatorial" or 2 <= self.test_folds < self.folds
        require(self, "validation.test_folds", few, f"2 to {self.folds - 1}", example=2)
        require(self, "validation.share", 0 < self.share <= 0.5, "a share in (0, 0.5]")
        require(self, "validation.embargo", self.embargo >= 0, "0 periods or more")
        rolling = self.train_periods is None or (self.window == "rolling" and self.train_periods >= 2)
        require(self, "validation.train_periods", rolling, "2 or more, with validation.window=rolling")
        iso_date("validation.test_start", self.test_start)


@dataclass
class ScoringSettings:
    """How predictions are scored.

    Attributes:
        resamples: of the bootstrap over periods.
        blocks: periods resampled together: `horizon`, for what is true of the periods that were scored, or
            `auto`, longer where the figures depend on their past, for what is true of such times in the long run.
        portfolio: portfolio that trades the predictions: `long_short` or `long_only`.
        cost_bps: basis points it pays per unit of turnover.
        most_rows: examples of a split that are scored, and validated on after each epoch: of a longer one those
            of some tickers; None is all of them.
    """

    resamples: int = 2000
    blocks: str = "horizon"
    portfolio: str = "long_short"
    cost_bps: float = 5.0
    most_rows: int | None = 1_000_000

    def __post_init__(self) -> None:
        require(self, "scoring.resamples", self.resamples >= 100, "100 or more")
        choice(self, "scoring.blocks", ("horizon", "auto"))
        choice(self, "scoring.portfolio", ("long_short", "long_only"))
        require(self, "scoring.most_rows", self.most_rows is None or self.most_rows >= 1, "1 or more, or null")
        require(self, "scoring.cost_bps", 0 <= self.cost_bps < inf, "a finite number, 0 or more")


@dataclass
class TrainSettings:
    """Everything that decides a training run.

    Attributes:
        model: `net` names a class of `ste.models`, or `baseline` one of `ste.baselines`; the other keys are
            its arguments.
        validation: the cuts of the data it is trained and scored on.
        augment: what is done to the training examples of a net; a run of before it was a setting has none.
        resume: id of a stopped run to go on with.
        sweep: the sweep that it is a trial of; not kept with the run.
        train: how many replicas of the net are trained at once.
    """

    model: dict[str, Any]
    data: Any
    validation: ValidationSettings
    optimizer: OptimizerSettings
    scheduler: SchedulerSettings
    fit: FitSettings
    scoring: ScoringSettings
    trainer: TrainerSettings
    tracking: TrackingSettings
    paths: PathSettings
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    seed: int = 0
    resume: str | None = None
    sweep: SweepSettings = field(default_factory=SweepSettings)
    train: ReplicaSettings = field(default_factory=ReplicaSettings)

    def __post_init__(self) -> None:
        require(self, "seed", 0 <= self.seed < 2**32, "a whole number from 0 to 2**32 - 1")
        named = self.tracking.experiment is not None
        require(self.tracking, "tracking.experiment", named, "a name", example="ste")
        self._check_augment()
        if self.train.replicas > 1:
            self._check_replicas()

    def _check_augment(self) -> None:
        """Augmentation needs the one training step, and a synthetic market daily sources."""
        name, baseline = self.augment.name, self.model.get("baseline")
        if name != "none" and baseline is not None:
            raise ConfigError(f"augment={name}: {baseline} is fitted to the rows as they are. Try augment=none.")
        if name == "synthetic" and self.data.source == "csv":
            raise ConfigError(
                "augment=synthetic: ready tables have no daily bars to resample; expected data=market or data=world. "
                "Try augment=mixup."
            )
        if name == "synthetic" and self.data.format == "parts":
            raise ConfigError(
                "augment=synthetic: resamples a market that is in memory whole, and data.format=parts is for tables "
                "that are not. Try augment=mixup."
            )

    def _check_replicas(self) -> None:
        """Replicas are seeds of a net, in one process."""
        given = f"train.replicas={self.train.replicas}"
        if "baseline" in self.model:
            raise ConfigError(f"{given}: {self.model['baseline']} is no net. Try model=lstm, or train.replicas=1.")
        if self.augment.name != "none":
            raise ConfigError(f"{given}: augment={self.augment.name} is of one net at a time. Try augment=none.")
        if self.trainer.devices * self.trainer.nodes > 1 or self.trainer.strategy == "ddp":
            raise ConfigError(f"{given}: replicas are trained in one process. Try trainer=cpu or trainer=gpu.")
        require(self, "seed", self.seed + self.train.replicas <= 2**32, f"2**32 - {self.train.replicas} or less")
