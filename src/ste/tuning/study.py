"""Sources of trials: every combination of a grid, or an Optuna study through ask and tell."""

import itertools
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config import SweepSettings
from ste.errors import ConfigError, RunError
from ste.tuning.search_space import Choices, Space, distributions, text_of
from ste.tuning.trial_result import FINISHED, PRUNED, SweepTrial, TrialResult, TrialRow

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

PARENT = "parent"
"""Attribute of a study: MLflow run of the search, if it has one."""
_RESULT, _COMMAND = "outcome", "command"
"""Attributes of trials and studies; their values are stored, so they never change."""
_SQLITE_TIMEOUT = 60.0
"""Seconds that a writer waits for another one."""


class GridSearch:
    """Every combination of values; the last key changes fastest.

    Args:
        space: values by override key.
    """

    def __init__(self, space: dict[str, Choices]) -> None:
        combinations = itertools.product(*(values.values for values in space.values()))
        self._trials = [SweepTrial(i, dict(zip(space, values, strict=True))) for i, values in enumerate(combinations)]
        self.total = len(self._trials)
        self._next = 0

    def earlier(self) -> list[TrialRow]:
        """Return nothing: a grid cannot be resumed."""
        return []

    def ask(self, count: int) -> list[SweepTrial]:
        """Return the next trials."""
        batch = self._trials[self._next : self._next + count]
        self._next += len(batch)
        return batch

    def tell(self, trial: SweepTrial, result: TrialResult) -> None:
        """Ignore the result: the combinations are fixed."""


class OptunaSearch:
    """An Optuna study that can be resumed.

    Trials with a result count towards the total. A trial whose process died has none, and its values are tried again.

    Args:
        settings: of the sweep, with `storage` and `study`.
        space: search space.
        mode: whether the value is better `min` or `max`.
        command: everything that determines the trials; a study of another command is refused.

    Raises:
        ConfigError: a space that Optuna cannot sample, or a study that was started with another command.
        RunError: the storage does not answer.
    """

    def __init__(self, settings: SweepSettings, space: Space, mode: str, command: str) -> None:
        self._settings = settings
        self._space = distributions(space)
        self.total = settings.trials
        self.study = open_study(settings, mode)
        self._asked: dict[int, Trial] = {}
        known = self.study.user_attrs.get(_COMMAND)
        if known is None:
            self.study.set_user_attr(_COMMAND, command)
        elif known != command:
            raise ConfigError(
                f"sweep.study={settings.study}: that search was started with {known}, which is not {command}. "
                "Resume it with the same settings, or choose another sweep.study."
            )

    def recover(self) -> list[int]:
        """Repeat the trials that a dead process left running, and return their numbers."""
        from optuna.trial import TrialState

        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for frozen in running:
            self.study.tell(frozen.number, state=TrialState.FAIL)
            if frozen.params:
                self.study.enqueue_trial(frozen.params)
        return [frozen.number for frozen in running]

    def earlier(self) -> list[TrialRow]:
        """Return the trials that count, in order."""
        rows = []
        for frozen in self._counted():
            trial = SweepTrial(frozen.number, {key: text_of(value) for key, value in frozen.params.items()})
            rows.append(TrialRow(trial, TrialResult.from_dict(json.loads(frozen.user_attrs[_RESULT]))))
        return rows

    def ask(self, count: int) -> list[SweepTrial]:
        """Return the next trials, at most as many as are missing."""
        count = min(count, self.total - len(self._counted()))
        # A new sampler for each batch: a resumed search samples what it would have sampled.
        self.study.sampler = build_sampler(self._settings, len(self.study.get_trials(deepcopy=False)))
        asked = [self.study.ask(self._space) for _ in range(count)]
        self._asked |= {trial.number: trial for trial in asked}
        return [SweepTrial(t.number, {key: text_of(value) for key, value in t.params.items()}) for t in asked]

    def tell(self, trial: SweepTrial, result: TrialResult) -> None:
        """Store the result of a trial."""
        from optuna.trial import TrialState

        asked = self._asked.pop(trial.number)
        asked.set_user_attr(_RESULT, json.dumps(asdict(result)))  # before the state, after which it cannot be set
        if result.status == FINISHED and result.value is not None:
            self.study.tell(asked, result.value)
        else:
            self.study.tell(asked, state=TrialState.PRUNED if result.status == PRUNED else TrialState.FAIL)

    def _counted(self) -> "list[FrozenTrial]":
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.is_finished() and _RESULT in trial.user_attrs]


TrialSource = GridSearch | OptunaSearch
"""Proposes trials and takes their results."""


def default_storage(output: Path) -> str:
    """URL of the storage of searches without one.

    Args:
        output: output folder.
    """
    return f"sqlite:///{(output / 'studies.db').resolve()}"


def open_study(settings: SweepSettings, mode: str) -> "Study":
    """Open an Optuna study; create it if it is missing.

    Args:
        settings: of the sweep, with `storage` and `study`.
        mode: whether the value is better `min` or `max`.

    Raises:
        RunError: the storage does not answer.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assert settings.storage is not None
    try:
        return optuna.create_study(
            study_name=settings.study,
            storage=open_storage(settings.storage),
            direction="minimize" if mode == "min" else "maximize",
            pruner=build_pruner(settings),
            load_if_exists=True,
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        shown = settings.storage.split("@")[-1]
        raise RunError(
            f"sweep.storage={shown}: the search cannot be stored there ({reason[:200]}). Start the database, or leave "
            "sweep.storage out."
        ) from None


@cache  # opening it takes as long as a small trial
def open_storage(url: str) -> "BaseStorage":
    """Open an Optuna storage once in a process; writers of a SQLite file wait for each other."""
    from optuna.storages import RDBStorage, get_storage

    if not url.startswith("sqlite:///"):
        return get_storage(url)
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT}})


def build_sampler(settings: SweepSettings, sampled: int) -> "BaseSampler":
    """Build the sampler of the next trials.

    Args:
        settings: of the sweep.
        sampled: trials sampled so far; the seed depends on it, so that a resumed search samples as one that ran on.
    """
    import numpy as np
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(np.random.SeedSequence([settings.seed, sampled]).generate_state(1)[0])
    if settings.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=settings.startup)


def build_pruner(settings: SweepSettings) -> "BasePruner":
    """Build the pruner."""
    from optuna.pruners import MedianPruner, NopPruner

    if settings.pruner == "none":
        return NopPruner()
    return MedianPruner(n_startup_trials=max(1, settings.startup), n_warmup_steps=settings.warmup)
