"""Settings of each command beside `ste.train`."""

import re
from dataclasses import dataclass
from math import inf
from typing import Any

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import choice, require


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


@dataclass
class EnsembleSettings:
    """Tracked runs to make one forecast of.

    Attributes:
        runs: `best:N`, `children:RUN_ID` of a sweep, or two run ids or more.
        method: `average`, `validation` (weights) or `stacked` (`ste.ensembles.pooling`).
        C: inverse of the L2 penalty of the stacked regression.
    """

    tracking: TrackingSettings
    paths: PathSettings
    runs: Any = "best:5"
    method: str = "average"
    C: float = 0.1

    def __post_init__(self) -> None:
        choice(self, "method", ("average", "validation", "stacked"))
        number = isinstance(self.C, int | float) and not isinstance(self.C, bool)
        require(self, "C", number and 0 < self.C < inf, "a finite number above 0")
        require(self.tracking, "tracking.enabled", self.tracking.enabled, "true: an ensemble is made of tracked runs")
        if isinstance(self.runs, list):
            self.runs = [str(run) for run in self.runs]
            known = len(self.runs) > 1
        else:
            known = re.fullmatch(r"best:(?!0*1?$)\d+|children:\w+", str(self.runs)) is not None
        require(self, "runs", known, "best:N with N of 2 or more, children:RUN_ID, or [RUN_ID,RUN_ID]")
