"""Settings of every part, as plain dataclasses that check themselves.

They are the schema of the files under `conf/`: the field names are the override keys
(`data.labels.threshold=0.02`). Nothing here knows Hydra; nothing below the entry points needs it.
"""

from dataclasses import asdict, dataclass, field, fields
from datetime import date
from math import inf
from typing import Any

from ste.errors import ConfigError


def _require(settings: object, key: str, ok: bool, expected: str, example: object = None) -> None:
    """Raise unless `ok`; the last part of `key` names the field, whose default is the example to type."""
    if ok:
        return
    name = key.rsplit(".", 1)[-1]
    default = fields_of(settings)[name].default if example is None else example
    shown = "null" if default is None else default
    raise ConfigError(f"{key}={getattr(settings, name)}: expected {expected}. Try {key}={shown}.")


def fields_of(settings: object) -> dict[str, Any]:
    """The dataclass fields of a settings object or class by name."""
    return {field.name: field for field in fields(settings)}  # type: ignore[arg-type]


def _choice(settings: object, key: str, allowed: tuple[str, ...]) -> None:
    found = getattr(settings, key.rsplit(".", 1)[-1])
    _require(settings, key, found in allowed, "one of " + ", ".join(allowed), allowed[0])


def _date(key: str, found: str | None) -> None:
    if found is None:
        return
    try:
        if date.fromisoformat(str(found)).isoformat() != str(found):  # 20150131 would not sort with the others
            raise ValueError(found)
    except ValueError:
        raise ConfigError(f"{key}={found}: expected a date such as {key}=2015-01-31.") from None


@dataclass
class LabelSettings:
    """How the coming weeks' return becomes a class.

    Attributes:
        horizon: weeks ahead.
        method: `fixed` (threshold is a simple return), `volatility` (threshold is a multiple of the
            ticker's trailing weekly volatility) or `balanced` (terciles of the training rows).
        threshold: above it is an Uptrend, below its negative a Downtrend.
    """

    horizon: int = 1
    method: str = "fixed"
    threshold: float = 0.01

    def __post_init__(self) -> None:
        _require(self, "data.labels.horizon", self.horizon >= 1, "1 week or more")
        _choice(self, "data.labels.method", ("fixed", "volatility", "balanced"))
        _require(self, "data.labels.threshold", self.threshold >= 0, "0 or more")
        _require(
            self,
            "data.labels.threshold",
            self.method != "volatility" or self.threshold >= 0.05,
            "a multiple of the trailing volatility, 0.05 or more, with data.labels.method=volatility",
            example=0.5,
        )


@dataclass
class SplitSettings:
    """Where training ends and validation and test begin.

    By dates or by shares. Between two splits lie `max(purge, horizon) + embargo` weeks whose rows
    serve as features of later windows and are neither learnt from nor scored.

    Attributes:
        by: `date`; `row` cuts anywhere, without purge, and is the seed document's own way.
        validation, test: share of the weeks (or rows) for each; the rest is training. None is 0.2 where
            no date is given; a date and a share together are refused.
        validation_start, test_start: first date of each, ISO; without test_start there is no test.
        purge: weeks; None is the horizon, and less than the horizon is refused.
        embargo: further weeks.
    """

    by: str = "date"
    validation: float | None = None
    test: float | None = None
    validation_start: str | None = None
    test_start: str | None = None
    purge: int | None = None
    embargo: int = 0

    def __post_init__(self) -> None:
        _choice(self, "data.split.by", ("date", "row"))
        validation, test = self.shares()
        for key, share in (("data.split.validation", self.validation), ("data.split.test", self.test)):
            alone = share is None or self.validation_start is None or (share == 0 and self.test_start is None)
            expected = f"null, as data.split.validation_start={self.validation_start} is a date"
            _require(self, key, alone, expected, example="null data.split.validation_start=2021-01-01")
        _require(self, "data.split.validation", 0 < validation < 1, "a share in (0, 1)", example=0.2)
        _require(self, "data.split.test", 0 <= test < 1, "a share in [0, 1)", example=0.2)
        most = f"less than {1 - validation:g}, what data.split.validation leaves"
        _require(self, "data.split.test", validation + test < 1, most, example=0)
        _date("data.split.validation_start", self.validation_start)
        _date("data.split.test_start", self.test_start)
        if self.test_start is not None:
            _require(
                self,
                "data.split.validation_start",
                self.validation_start is not None,
                "a date too, as data.split.test_start is one",
                example="2021-01-01",
            )
            _require(
                self,
                "data.split.test_start",
                str(self.validation_start) < str(self.test_start),
                f"a date after data.split.validation_start={self.validation_start}",
            )
        _require(self, "data.split.embargo", self.embargo >= 0, "0 weeks or more")

    def shares(self) -> tuple[float, float]:
        """Shares of validation and test, where no date decides."""
        return (0.2 if self.validation is None else self.validation), (0.2 if self.test is None else self.test)

    def gap(self, horizon: int) -> int:
        """Weeks between the last row of one split that counts and the first of the next."""
        if self.by == "row":
            return 0
        return max(self.purge or 0, horizon) + self.embargo


@dataclass
class DataSettings:
    """What every source of weekly tables has in common.

    Attributes:
        source: which kind of source it is; fixed by the config group.
        labels, split: see there.
        format: `csv` or `parquet`, of the files that are written.
        folder: where they are written; None is a folder of its own in `data_output`.
        sequence_length: weeks in a window of a sequence model.
        batch_size: windows or rows in a training batch.
        representation: how features enter a net: `stationary` or `standard`.
    """

    source: str
    labels: LabelSettings = field(default_factory=LabelSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    format: str = "csv"
    folder: str | None = None
    sequence_length: int = 4
    batch_size: int = 64
    representation: str = "stationary"

    def __post_init__(self) -> None:
        _choice(self, "data.format", ("csv", "parquet"))
        _choice(self, "data.representation", ("stationary", "standard"))
        _require(self, "data.sequence_length", self.sequence_length >= 1, "1 or more")
        _require(self, "data.batch_size", self.batch_size >= 1, "1 or more")
        purge, horizon = self.split.purge, self.labels.horizon
        _require(
            self.split,
            "data.split.purge",
            purge is None or purge >= horizon,
            f"at least data.labels.horizon={horizon}, or a training label would reach into validation",
        )
        _require(
            self.split,
            "data.split.by",
            self.split.by == "date" or self._is_the_documents(),
            "date; only data=seed, with its own weeks and a horizon of 1, repeats the document's cut through a week",
        )

    def _is_the_documents(self) -> bool:
        """Whether this is the seed document's own table, whose cut purges nothing."""
        split = self.split
        return (
            self.source == "seed"
            and (getattr(self, "start", None), getattr(self, "end", None)) == ("2024-11-01", "2024-11-30")
            and self.labels.horizon == 1
            and (split.purge, split.embargo, split.validation_start) == (None, 0, None)
        )

    def table_settings(self) -> dict[str, Any]:
        """The settings that decide the table's bytes, plain; the others only decide how it is read."""
        views = ("folder", "sequence_length", "batch_size", "representation")
        return {key: value for key, value in asdict(self).items() if key not in views}


@dataclass
class WorldSettings(DataSettings):
    """A synthetic world.

    Attributes:
        tickers: names, or a number of them.
        start, end: first and last date of the table, ISO.
        seed: the world's own seed.
        signal: how much of next week the features reveal; 0 is the null world, at most 1.
    """

    tickers: Any = 7
    start: str = "2015-01-01"
    end: str = "2024-12-31"
    seed: int = 0
    signal: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        named = isinstance(self.tickers, list | tuple)
        counted = isinstance(self.tickers, int) and not isinstance(self.tickers, bool)
        expected = "a number such as data.tickers=50 or names such as data.tickers=[AAPL,MSFT]"
        _require(self, "data.tickers", named or counted, expected)
        _require(self, "data.tickers", len(self.tickers) > 0 if named else self.tickers > 0, expected)
        if named:
            self.tickers = [str(name) for name in self.tickers]
            _require(self, "data.tickers", len(set(self.tickers)) == len(self.tickers), "different names")
        _date("data.start", self.start)
        _date("data.end", self.end)
        _require(
            self,
            "data.end",
            "1960-01-01" <= self.start < self.end <= "2100-01-01",
            f"a date after data.start={self.start}, both between 1960 and 2099",
            example=f"{min(int(self.start[:4]) + 5, 2099)}-12-31",
        )
        _require(self, "data.signal", 0 <= self.signal <= 1, "a number from 0 (null world) to 1")
        _require(self, "data.seed", self.seed >= 0, "0 or more")


@dataclass
class MarketSettings(DataSettings):
    """Files of a real market.

    Attributes:
        bars: daily bars: ticker, date, open, high, low, close, volume and, if prices are not fully
            adjusted, adj_close.
        news, macro, policy: optional files; what is not given is filled by a neutral value.
        tickers: names to keep; None keeps all.
        start, end: first and last date of the table; None is what the bars allow.
    """

    bars: str = ""
    news: str | None = None
    macro: str | None = None
    policy: str | None = None
    tickers: list[str] | None = None
    start: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "data.bars", bool(self.bars), "a file of daily bars", example="bars.csv")
        _date("data.start", self.start)
        _date("data.end", self.end)

    def files(self) -> dict[str, str]:
        """The files given, by kind."""
        named = {"bars": self.bars, "news": self.news, "macro": self.macro, "policy": self.policy}
        return {kind: path for kind, path in named.items() if path is not None}


@dataclass
class TableSettings(DataSettings):
    """Ready weekly tables.

    Attributes:
        train, validation, test: files; test may be missing. `labels.horizon` must be theirs.
    """

    train: str = ""
    validation: str = ""
    test: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "data.train", bool(self.train), "a weekly table", example="training_data.csv")
        _require(self, "data.validation", bool(self.validation), "a weekly table", example="validation_data.csv")

    def files(self) -> dict[str, str]:
        """The files given, by split."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: path for split, path in named.items() if path is not None}


@dataclass
class OptimizerSettings:
    """An optimizer of `torch.optim` by its short name, and its arguments."""

    name: str
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _choice(self, "optimizer.name", ("adam", "adamw", "sgd", "rmsprop"))
        _require(self, "optimizer.lr", 0 < self.lr < inf, "a finite number above 0")
        _require(self, "optimizer.weight_decay", 0 <= self.weight_decay < inf, "a finite number, 0 or more")
        _require(self, "optimizer.momentum", 0 <= self.momentum < 1, "a number in [0, 1)")


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
        _choice(self, "scheduler.name", ("none", "cosine", "plateau"))
        _require(self, "scheduler.min_lr", self.min_lr >= 0, "0 or more")
        _require(self, "scheduler.factor", 0 < self.factor < 1, "a number in (0, 1)")
        _require(self, "scheduler.patience", self.patience >= 0, "0 or more")


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
        _choice(self, "fit.monitor", MONITORS)
        _require(self, "fit.patience", self.patience is None or self.patience >= 1, "1 or more, or null")
        _require(self, "fit.label_smoothing", 0 <= self.label_smoothing < 1, "a number in [0, 1)")

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
        _choice(self, "trainer.accelerator", ("cpu", "gpu", "auto"))
        _choice(self, "trainer.strategy", ("auto", "ddp"))
        _require(self, "trainer.limit_batches", self.limit_batches is None or self.limit_batches >= 1, "1 or more")
        _require(self, "trainer.max_epochs", self.max_epochs >= 1, "1 or more")
        _require(self, "trainer.devices", self.devices >= 1, "1 or more")
        _require(self, "trainer.threads", self.threads is None or self.threads >= 1, "1 or more")
        _require(
            self,
            "trainer.gradient_clip",
            self.gradient_clip is None or self.gradient_clip > 0,
            "more than 0, or null",
        )
        _choice(self, "trainer.precision", ("32-true", "64-true", "bf16-mixed", "16-mixed"))


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
        _require(self, "tracking.uri", known, "sqlite:///FILE or http://SERVER:PORT", example="sqlite:///runs.db")
        _require(self, "tracking.experiment", bool(self.experiment), "a name")


@dataclass
class PathSettings:
    """Folders, relative to where the command is typed."""

    data: str = "data_output"
    output: str = "outputs"

    def __post_init__(self) -> None:
        _require(self, "paths.data", bool(self.data), "a folder")
        _require(self, "paths.output", bool(self.output), "a folder")


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
        _require(self, "seed", 0 <= self.seed < 2**32, "a whole number from 0 to 2**32 - 1")


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
        _choice(self, "split", ("train", "validation", "test", "all"))


@dataclass
class UiSettings:
    """Where the MLflow UI listens, and on which runs."""

    tracking: TrackingSettings
    paths: PathSettings
    host: str = "127.0.0.1"
    port: int = 5000

    def __post_init__(self) -> None:
        _require(self, "port", 0 < self.port < 65536, "a port from 1 to 65535")


SOURCES: dict[str, type[DataSettings]] = {
    "world": WorldSettings,
    "seed": WorldSettings,
    "market": MarketSettings,
    "csv": TableSettings,
}
"""Settings class of each `data` group."""
