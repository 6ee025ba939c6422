"""Settings of a training run: optimizer, fit, trainer, tracking, scoring and all of them together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt, Predicate

from ste.config.augmentation_settings import AugmentSettings
from ste.config.data_settings import DataSettings, FeatureAudit
from ste.config.feature_sets import DEFAULT, ChosenFeatures
from ste.config.replica_settings import ReplicaSettings
from ste.config.sweep_settings import SweepSettings
from ste.config.validation import (
    Expect,
    FileName,
    Folder,
    IsoDate,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Settings,
)
from ste.errors import ConfigError, check_name
from ste.registry import METRICS, PORTFOLIOS


@dataclass
class OptimizerSettings(Settings):
    """An optimizer of `torch.optim` by its short name, and its arguments."""

    section: ClassVar[str] = "optimizer"

    name: Literal["adam", "adamw", "sgd", "rmsprop"]
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0


@dataclass
class SchedulerSettings(Settings):
    """Learning rate schedule over the epochs.

    Attributes:
        name: `none`, `cosine` (to `min_lr` at the last epoch) or `plateau` (times `factor` after
            `patience` epochs without a better monitored metric).
    """

    section: ClassVar[str] = "scheduler"

    name: Literal["none", "cosine", "plateau"] = "none"
    min_lr: NonNegativeFloat = 0.0
    factor: Annotated[float, Gt(0), Lt(1)] = 0.5
    patience: NonNegativeInt = 3


CROSS_ENTROPY = "cross_entropy"


@dataclass
class FitSettings(Settings):
    """Objective of the training and the rule that selects the epoch.

    Attributes:
        monitor: validation metric that selects the epoch, one of `ste.registry.METRICS`; callbacks that take a
            monitor use it by default.
        class_weights: weight classes by the inverse of their frequency in the training rows.
        label_smoothing: fraction of the target spread over all classes.
        loss: of a net, one of `ste.registry.LOSSES`: `cross_entropy`, `focal`, `ordinal`, `ranking` or a
            plugin's.
        loss_arguments: keyword arguments of the loss's class, such as `gamma` of focal.
        adversarial_weight: weight, beta, of the loss on perturbed latent representations; 0 does not perturb
            (`ste.training.adversarial`).
        adversarial_size: L2 norm, epsilon, of the perturbation.
    """

    section: ClassVar[str] = "fit"

    monitor: str = "log_loss"
    class_weights: bool = False
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    loss: Name = CROSS_ENTROPY
    loss_arguments: dict[str, Any] = field(default_factory=dict)
    adversarial_weight: NonNegativeFloat = 0.0
    adversarial_size: PositiveFloat = 0.05

    def check(self) -> None:
        """Require a metric that is registered and computed after each epoch."""
        check_name("fit.monitor", self.monitor, [name for name, metric in METRICS.items() if metric.every_epoch])

    @property
    def mode(self) -> str:
        """`min` or `max`: which end of the monitored metric is better, as the metric declares."""
        mode: str = METRICS[self.monitor].mode
        return mode


@dataclass
class TrainerSettings(Settings):
    """Arguments of Lightning's Trainer by their own names, and `threads`.

    Lightning documents the arguments; None is its default. `logger` and `callbacks` have groups of their own;
    `use_distributed_sampler` is off, because the loaders split batches over the ranks themselves; `plugins` are
    objects, which a file cannot hold.

    Attributes:
        devices: processes on each machine, with a GPU each or on the CPU. torchrun's number where it starts them.
        deterministic: None is true on any accelerator but the CPU, whose kernels repeat exactly without it.
        log_every_n_steps: 0 logs metrics per epoch alone.
        threads: torch threads of each process; None is torch's default, of several processes cores / processes.
    """

    section: ClassVar[str] = "trainer"

    accelerator: Literal["cpu", "gpu", "auto", "cuda", "mps", "tpu", "hpu"] = "cpu"
    strategy: Name = "auto"
    devices: int | str | list[int] = 1
    num_nodes: PositiveInt = 1
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true"] = "32-true"
    max_epochs: int | None = 50
    min_epochs: PositiveInt | None = None
    max_steps: int = -1
    min_steps: PositiveInt | None = None
    max_time: str | None = None
    gradient_clip_val: PositiveFloat | None = 1.0
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    accumulate_grad_batches: PositiveInt = 1
    limit_train_batches: PositiveInt | PositiveFloat | None = None
    limit_val_batches: PositiveInt | PositiveFloat | None = None
    limit_test_batches: PositiveInt | PositiveFloat | None = None
    limit_predict_batches: PositiveInt | PositiveFloat | None = None
    overfit_batches: NonNegativeInt | NonNegativeFloat = 0.0
    fast_dev_run: bool | PositiveInt = False
    val_check_interval: PositiveInt | PositiveFloat | str | None = None
    check_val_every_n_epoch: PositiveInt | None = 1
    num_sanity_val_steps: int | None = 0
    log_every_n_steps: NonNegativeInt | None = 0
    enable_checkpointing: bool | None = True
    enable_progress_bar: bool | None = True
    enable_model_summary: bool | None = False
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    inference_mode: bool = True
    profiler: Literal["simple", "advanced", "pytorch"] | None = None
    detect_anomaly: bool = False
    barebones: bool = False
    sync_batchnorm: bool = False
    reload_dataloaders_every_n_epochs: NonNegativeInt = 0
    default_root_dir: str | None = None
    enable_autolog_hparams: bool = True
    model_registry: str | None = None
    threads: PositiveInt | None = None

    def check(self) -> None:
        """Check the numbers of epochs and devices."""
        epochs = self.max_epochs
        self.require(
            epochs is None or epochs >= 1 or epochs == -1, "max_epochs", "a whole number, 1 or more, -1 or null"
        )
        counted = not isinstance(self.devices, int) or self.devices >= 1 or self.devices == -1
        self.require(counted, "devices", "1 or more, -1, a list of devices or auto")

    @property
    def processes(self) -> int | None:
        """Processes in all, or None where the machine decides."""
        devices = len(self.devices) if isinstance(self.devices, list) else self.devices
        return devices * self.num_nodes if isinstance(devices, int) and devices >= 1 else None


_STORES = ("sqlite:///", "http://", "https://", "postgresql", "mysql")
StoreUri = Annotated[
    str, Predicate(lambda uri: uri.startswith(_STORES)), Expect("sqlite:///FILE or http://SERVER:PORT")
]


@dataclass
class TrackingSettings(Settings):
    """The MLflow store and experiment of the runs.

    Attributes:
        enabled: False keeps everything in the run folder.
        uri: a `sqlite:///` file or a server; None is `mlflow.db` in the output folder.
        experiment: MLflow experiment of the runs; None, for a command that reads, is that of the latest run.
        run_name: name of the run; None is the model's and the data's.
    """

    section: ClassVar[str] = "tracking"

    enabled: bool = True
    uri: StoreUri | None = None
    experiment: Name | None = "ste"
    run_name: str | None = None


@dataclass
class PathSettings(Settings):
    """Folders, relative to the working directory."""

    section: ClassVar[str] = "paths"

    data: Folder = "data_output"
    output: Folder = "outputs"


@dataclass
class StoreSettings(Settings):
    """Settings that every command has which reads or writes tracked runs."""

    tracking: TrackingSettings
    paths: PathSettings


@dataclass
class ValidationSettings(Settings):
    """The splits of the data that a model is trained and scored on.

    Attributes:
        method: `holdout` (the tables' own split), `walk_forward` (fold by fold, each tested on the block of
            periods after its training periods) or `combinatorial` (combinatorial purged cross-validation,
            Lopez de Prado 2018, chapter 12).
        folds: blocks that are tested, one after the other or in combinations.
        test_folds: blocks tested at once, for `combinatorial`.
        window: `expanding` trains on all earlier periods, `rolling` on the latest `train_periods` of them.
        train_periods: of a rolling window; None is as many as come before the first test.
        test_start: first date that is tested, ISO; None is after the first 40 % of the periods.
        fraction: fraction of each fold's training periods that validate it, the last ones.
        embargo: periods left out between training and testing, in addition to the purge.
    """

    section: ClassVar[str] = "validation"

    method: Literal["holdout", "walk_forward", "combinatorial"] = "holdout"
    folds: PositiveInt = 8
    test_folds: PositiveInt = 2
    window: Literal["expanding", "rolling"] = "expanding"
    train_periods: PositiveInt | None = None
    test_start: IsoDate | None = None
    fraction: Annotated[float, Gt(0), Le(0.5)] = 0.15
    embargo: NonNegativeInt = 0

    def check(self) -> None:
        """Check the numbers that depend on the method and the window."""
        minimum = 2 if self.method != "combinatorial" else 3
        self.require(self.folds >= minimum, "folds", f"{minimum} or more")
        few = self.method != "combinatorial" or 2 <= self.test_folds < self.folds
        self.require(few, "test_folds", f"2 to {self.folds - 1}", example=2)
        rolling = self.train_periods is None or (self.window == "rolling" and self.train_periods >= 2)
        self.require(rolling, "train_periods", "2 or more, with validation.window=rolling")


@dataclass
class ScoringSettings(Settings):
    """How predictions are scored.

    Attributes:
        resamples: number of bootstrap samples of the periods.
        blocks: periods in a bootstrap block: `horizon`, for inference on the periods that were scored, or
            `auto`, longer where the metrics are autocorrelated, for inference on such periods in the long run.
        portfolio: that trades the predictions: `long_short`, `long_only`, `topk`, `optimized`, or a plugin's.
        portfolio_arguments: of the portfolio, such as `k` of `topk`.
        execution: price at which positions enter and leave: `next_open` or `next_close` of the session after the
            prediction's close, or `same_close`. A ready table without bars always has `same_close`.
        cost_bps: transaction costs in basis points per unit of turnover.
        costs: `bps`, `cost_bps` for every ticker; `spread`, half of each ticker's estimated spread; or a CSV file of
            `ticker` and `bps`.
        borrow: cost of short positions, percent of their value a year.
        benchmark: file of `date` and `close` or `return` that the portfolio is compared with; None is all tickers at
            equal weights.
        max_rows: maximum number of examples of a split that are scored, and validated on after each epoch: a longer
            split is reduced to some of its tickers; None scores all.
        without_groups: train the model again without each group of columns, and compare.
    """

    section: ClassVar[str] = "scoring"

    resamples: Annotated[int, Ge(100)] = 2000
    blocks: Literal["horizon", "auto"] = "horizon"
    portfolio: Name = "long_short"
    portfolio_arguments: dict[str, Any] = field(default_factory=dict)
    execution: Literal["next_open", "next_close", "same_close"] = "next_open"
    cost_bps: NonNegativeFloat = 5.0
    costs: Name = "bps"
    borrow: NonNegativeFloat = 0.0
    benchmark: FileName | None = None
    max_rows: PositiveInt | None = 1_000_000
    without_groups: bool = False

    def check(self) -> None:
        """Check the portfolio with its arguments, and that its files exist, before anything is trained."""
        PORTFOLIOS.build(self.portfolio, self.portfolio_arguments, "scoring.portfolio_arguments")
        costs = self.costs in ("bps", "spread") or Path(self.costs).expanduser().is_file()
        self.require(costs, "costs", "bps, spread, or a CSV file of ticker and bps", example="bps")
        there = self.benchmark is None or Path(self.benchmark).expanduser().is_file()
        self.require(there, "benchmark", "a file of date and close", example="null")


@dataclass
class TrainSettings(Settings):
    """All settings of a training run.

    Attributes:
        features: feature sets, which `data.features` follows.
        audit: of the features, which `data.audit` follows.
        model: `net` names a class of `ste.models`, or `baseline` one of `ste.baselines`; the other keys are
            its arguments.
        validation: the splits it is trained and scored on.
        augment: augmentation of the training examples of a net.
        resume: ID of the stopped run to resume.
        sweep: the sweep that it is a trial of; not stored with the run.
        train: replicas of the net that are trained at once.
        callbacks: Lightning callbacks by key: class name and arguments of each, or None.
        loggers: Lightning loggers by key, likewise.
        calibration: of a net's probabilities on its validation rows: `temperature` divides its logits by a number that
            is fitted there, `auto` does where the cross-fitted log-loss gains by it, `none` never does.
    """

    model: dict[str, Any]
    data: DataSettings
    validation: ValidationSettings
    optimizer: OptimizerSettings
    scheduler: SchedulerSettings
    fit: FitSettings
    scoring: ScoringSettings
    trainer: TrainerSettings
    tracking: TrackingSettings
    paths: PathSettings
    features: ChosenFeatures = DEFAULT
    audit: FeatureAudit = "refuse"
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    resume: str | None = None
    sweep: SweepSettings = field(default_factory=SweepSettings)
    train: ReplicaSettings = field(default_factory=ReplicaSettings)
    callbacks: dict[str, Any] = field(default_factory=dict)
    loggers: dict[str, Any] = field(default_factory=dict)
    calibration: Literal["auto", "none", "temperature"] = "auto"

    def check(self) -> None:
        """Check that the parts can be used together."""
        self.tracking.require(self.tracking.experiment is not None, "experiment", "a name")
        self._check_augment()
        if self.fit.loss != CROSS_ENTROPY and "baseline" in self.model:
            raise ConfigError(
                f"fit.loss={self.fit.loss}: {self.model['baseline']} is a baseline, which has its own objective. "
                f"Try fit.loss={CROSS_ENTROPY}."
            )
        if self.calibration == "temperature" and "baseline" in self.model:
            raise ConfigError(
                f"calibration=temperature: {self.model['baseline']} is a baseline, and only nets are calibrated. "
                "Try calibration=auto."
            )
        if self.train.replicas > 1:
            self._check_replicas()
        if self.scoring.without_groups:
            self._check_without_groups()

    def _check_without_groups(self) -> None:
        """Check that the model can be trained again in this process, on tables in memory."""
        given = "scoring.without_groups=true"
        if self.data.format == "parts":
            raise ConfigError(
                f"{given}: trains on copies of the table with fewer columns, and data.format=parts is for tables "
                "larger than memory. Try fewer tickers with data.format=parquet."
            )
        if self.augment.name == "synthetic":
            raise ConfigError(
                f"{given}: augment=synthetic resamples a market with all of its features. Try augment=none."
            )
        if self.trainer.processes != 1:
            raise ConfigError(f"{given}: trains again in one process. Try trainer=cpu or trainer=gpu.")

    def _check_augment(self) -> None:
        """Check that the model has a training loop, and that a market to resample has daily bars in memory."""
        name, baseline = self.augment.name, self.model.get("baseline")
        if name != "none" and baseline is not None:
            raise ConfigError(
                f"augment={name}: {baseline} is a baseline, which is fitted to the original rows. Try augment=none."
            )
        if name == "synthetic" and self.data.source == "csv":
            raise ConfigError(
                "augment=synthetic: weekly tables have no daily bars to resample; expected data=market or data=world. "
                "Try augment=mixup."
            )
        if name == "synthetic" and self.data.format == "parts":
            raise ConfigError(
                "augment=synthetic: resamples a market in memory, and data.format=parts is for tables larger than "
                "memory. Try augment=mixup."
            )

    def _check_replicas(self) -> None:
        """Check that replicas are of a net, without augmentation, in one process."""
        given = f"train.replicas={self.train.replicas}"
        if "baseline" in self.model:
            raise ConfigError(
                f"{given}: {self.model['baseline']} is a baseline, not a net. Try model=lstm, or train.replicas=1."
            )
        if self.augment.name != "none":
            raise ConfigError(
                f"{given}: augment={self.augment.name} augments the batches of a single net. Try augment=none."
            )
        if self.trainer.processes != 1 or self.trainer.strategy != "auto":
            raise ConfigError(f"{given}: replicas are trained in one process. Try trainer=cpu or trainer=gpu.")
        self.require(self.seed + self.train.replicas <= 2**32, "seed", f"2**32 - {self.train.replicas} or less")
