"""Settings of a sweep, and of one trial of it."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt, Predicate

from ste.config.validation import Expect, Name, NonNegativeInt, PositiveInt, Settings

StorageUrl = Annotated[str, Predicate(lambda url: "://" in url), Expect("a URL such as sqlite:///studies.db")]


@dataclass
class SweepSettings(Settings):
    """Search space, sampler, pruner and storage of `python -m ste.train -m`.

    Attributes:
        space: override key to its values in Hydra's own sweep syntax, such as `choice(3,5,10)` or
            `tag(log,interval(1e-4,1e-1))`; empty for a grid, which takes its values from the command line.
        trials: number of trials of a search, those before it was stopped included.
        workers: trials at once; None is what the launcher offers.
        sampler: `tpe` (tree-structured Parzen estimator, Bergstra et al., NeurIPS 2011) or `random`.
        seed: of the sampler.
        startup: random trials before the sampler uses earlier results and the pruner stops any.
        pruner: `median` stops a trial whose best value so far is worse than the median of the other trials at that
            epoch; `none` stops none.
        warmup: epochs before a trial can be stopped.
        storage: Optuna storage; None is `sqlite:///` and `studies.db` in the output folder.
        study: name of the study in its storage; None is derived from the command, so that the same command resumes it.
        parent: MLflow run of the sweep. This and the following are set by the sweeper for each trial.
        trial: number of the trial.
        keys: override keys that are swept.
        values: their values in this trial, as typed.
    """

    section: ClassVar[str] = "sweep"

    space: dict[str, Any] = field(default_factory=dict)
    trials: PositiveInt = 40
    workers: PositiveInt | None = None
    sampler: Literal["tpe", "random"] = "tpe"
    seed: Annotated[int, Ge(0), Lt(2**31)] = 0
    startup: NonNegativeInt = 10
    pruner: Literal["median", "none"] = "median"
    warmup: NonNegativeInt = 5
    storage: StorageUrl | None = None
    study: Name | None = None
    parent: str | None = None
    trial: NonNegativeInt | None = None
    keys: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
