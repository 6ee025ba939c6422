"""Settings of a sweep, and of one trial of it."""

from dataclasses import dataclass, field
from typing import Any

from ste.config.validation import choice, require


@dataclass
class SweepSettings:
    """What `python -m ste.train -m` tries, how, and where it is kept.

    Attributes:
        space: override key to its values in Hydra's own sweep syntax, such as `choice(3,5,10)` or
            `tag(log,interval(1e-4,1e-1))`; empty for a grid, which takes its values from the command line.
        trials: of a search, those before it was stopped included.
        workers: trials at once; None is what the launcher offers.
        sampler: `tpe` (tree-structured Parzen estimator, Bergstra et al., NeurIPS 2011) or `random`.
        seed: of the sampler.
        startup: trials drawn at random before the sampler learns and the pruner stops any.
        pruner: `median` stops a trial whose best figure so far is worse than the median of the others' at that
            epoch; `none` stops none.
        warmup: epochs before a trial can be stopped.
        storage: Optuna storage; None is `sqlite:///` and `studies.db` in the output folder.
        study: name of the search in its storage; None is made of the command, so that the same command goes on.
        parent: MLflow run of the sweep. This and the rest are the sweeper's, for each trial.
        trial: its number.
        keys: override keys that are swept.
        values: theirs in this trial, as they were typed.
    """

    space: dict[str, Any] = field(default_factory=dict)
    trials: int = 40
    workers: int | None = None
    sampler: str = "tpe"
    seed: int = 0
    startup: int = 10
    pruner: str = "median"
    warmup: int = 5
    storage: str | None = None
    study: str | None = None
    parent: str | None = None
    trial: int | None = None
    keys: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self, "sweep.trials", self.trials >= 1, "1 or more")
        require(self, "sweep.workers", self.workers is None or self.workers >= 1, "1 or more, or null")
        choice(self, "sweep.sampler", ("tpe", "random"))
        require(self, "sweep.seed", 0 <= self.seed < 2**31, "a whole number from 0 to 2**31 - 1")
        require(self, "sweep.startup", self.startup >= 0, "0 or more")
        choice(self, "sweep.pruner", ("median", "none"))
        require(self, "sweep.warmup", self.warmup >= 0, "0 or more")
        known = self.storage is None or "://" in self.storage
        require(self, "sweep.storage", known, "a URL", example="sqlite:///studies.db")
        require(self, "sweep.study", self.study is None or bool(self.study), "a name, or null")
