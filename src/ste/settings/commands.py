"""Settings of each command beside `ste.train`."""

from dataclasses import dataclass
from typing import Any

from ste.settings.checks import choice, require
from ste.settings.run import PathSettings, TrackingSettings


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


@dataclass
class AuditSettings:
    """Data to look for leaks in.

    Attributes:
        data: the `data` group.
        strict: whether an association that no real week has shown is an alarm, though a synthetic world can have it.
        shuffles: permutations of the labels that quick models are tried on; 0 leaves out all that fits a model.
    """

    data: Any
    paths: PathSettings
    strict: bool = False
    shuffles: int = 2

    def __post_init__(self) -> None:
        require(self, "strict", isinstance(self.strict, bool), "true or false", example="true")
        require(self, "shuffles", self.shuffles >= 0, "0 or more")


@dataclass
class ReportSettings:
    """A tracked run to tell of on one page.

    Attributes:
        run: a run id, `latest` or `best`.
        file: page to write; None is `reports/RUN_ID.html` in the output folder.
        importance: measure what the features are worth.
    """

    tracking: TrackingSettings
    paths: PathSettings
    run: str = "latest"
    file: str | None = None
    importance: bool = True


@dataclass
class CompareSettings:
    """The leaderboard of an experiment (`tracking.experiment`).

    Attributes:
        data_digest: of the tables; None is the data of the experiment's latest run.
        file: page to write; None is `reports/leaderboard-EXPERIMENT.html` in the output folder.
        split: whose figures are shown, `test` or `validation`.
    """

    tracking: TrackingSettings
    paths: PathSettings
    data_digest: str | None = None
    file: str | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        choice(self, "split", ("test", "validation"))
