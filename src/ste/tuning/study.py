"""Where trials come from: every combination of a grid, or an Optuna study by ask and tell."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ste.config import SweepSettings
from ste.errors import ConfigError, RunError
from ste.tuning.search_space import Choice, Space, distributions, text_of
from ste.tuning.trial_outcome import FAILED, FINISHED, LOST, PRUNED, Outcome, Row, Trial

_OUTCOME, _COMMAND, _PARENT, _ABANDONED = "outcome", "command", "parent", "abandoned"
_BUSY = 60.0  # seconds that a writer waits for another


class Source(Protocol):
    """Gives trials and takes what came of them."""

    total: int

    def earlier(self) -> list[Row]:
        """Trials that ended before this process."""

    def ask(self, count: int) -> list[Trial]:
        """The next trials, at most `count`; none when all are made."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take what came of a trial."""


class Grid:
    """Every combination of values, the last key's changing fastest."""

    def __init__(self, space: dict[str, Choice]) -> None:
        combinations = itertools.product(*(values.values for values in space.values()))
        self._trials = [Trial(i, dict(zip(space, values, strict=True))) for i, values in enumerate(combinations)]
        self.total = len(self._trials)
        self._next = 0

    def earlier(self) -> list[Row]:
        """A grid begins anew."""
        return []

    def ask(self, count: int) -> list[Trial]:
        """The next trials."""
        batch = self._trials[self._next : self._next + count]
        self._next += len(batch)
        return batch

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """A grid learns nothing."""


class Search:
    """An Optuna study that can be gone on with.

    Trials count that ended by themselves: finished, pruned or failed. One whose process died does not, and its
    values are tried again.

    Args:
        settings: of the sweep, `storage` and `study` filled in.
        space: to choose from.
        mode: whether the value is better `min` or `max`.
        command: what decides the trials; a study of another command is refused.

    Raises:
        ConfigError: a space that cannot be drawn from, or a study that was begun otherwise.
        RunError: the storage does not answer.
    """

    def __init__(self, settings: SweepSettings, space: Space, mode: str, command: str) -> None:
        self._settings = settings
        self._space = distributions(space)
        self.total = settings.trials
        self.study = open_study(settings, mode)
        known = self.study.user_attrs.get(_COMMAND)
        if known is None:
            self.study.set_user_attr(_COMMAND, command)
        elif known != command:
            raise ConfigError(
                f"sweep.study={settings.study}: that search was begun with {known}, which is not {command}. "
                "Go on with the same settings, or choose another sweep.study."
            )

    @property
    def parent(self) -> str | None:
        """MLflow run of the search, where it had one."""
        found: str | None = self.study.user_attrs.get(_PARENT)
        return found

    @parent.setter
    def parent(self, run_id: str) -> None:
        self.study.set_user_attr(_PARENT, run_id)

    def recover(self, look: Callable[[int], Outcome | None]) -> list[int]:
        """Settle trials that a dead process left behind.

        Args:
            look: gives what came of a trial by its number, where its run ended all the same.

        Returns:
            Numbers of those that are made again.
        """
        from optuna.trial import TrialState

        again = []
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            outcome = look(frozen.number)
            if outcome is not None and outcome.status in (FINISHED, PRUNED, FAILED):
                self._tell(frozen.number, outcome)
                continue
            self.study._storage.set_trial_user_attr(frozen._trial_id, _ABANDONED, True)
            self.study.tell(frozen.number, state=TrialState.FAIL)
            if frozen.params:
                self.study.enqueue_trial(frozen.params, user_attrs={"replaces": frozen.number})
            again.append(frozen.number)
        return again

    def earlier(self) -> list[Row]:
        """Trials that count, in order."""
        rows = []
        for frozen in self._counted():
            trial = Trial(frozen.number, {key: text_of(value) for key, value in frozen.params.items()})
            known = frozen.user_attrs.get(_OUTCOME)
            rows.append(Row(trial, Outcome.read(json.loads(known)) if known else Outcome(LOST)))
        return rows

    def ask(self, count: int) -> list[Trial]:
        """The next trials, as many as are still missing."""
        count = min(count, self.total - len(self._counted()))
        # Drawn anew for each batch: a search that goes on draws what it would have drawn.
        self.study.sampler = build_sampler(self._settings, len(self.study.get_trials(deepcopy=False)))
        asked = [self.study.ask(self._space) for _ in range(count)]
        return [Trial(t.number, {key: text_of(value) for key, value in t.params.items()}) for t in asked]

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Keep what came of a trial."""
        self._tell(trial.number, outcome)

    def _tell(self, number: int, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        frozen = self.study.get_trials(deepcopy=False)[number]
        # Before its state, which cannot be changed afterwards.
        self.study._storage.set_trial_user_attr(frozen._trial_id, _OUTCOME, json.dumps(outcome.plain()))
        if outcome.status == FINISHED and outcome.value is not None:
            self.study.tell(number, outcome.value)
        else:
            self.study.tell(number, state=TrialState.PRUNED if outcome.status == PRUNED else TrialState.FAIL)

    def _counted(self) -> list[Any]:
        from optuna.trial import TrialState

        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        trials = self.study.get_trials(deepcopy=False, states=ended)
        return [trial for trial in trials if not trial.user_attrs.get(_ABANDONED)]


def default_storage(output: Path) -> str:
    """Storage of searches that name none."""
    return f"sqlite:///{(output / 'studies.db').resolve()}"


def open_study(settings: SweepSettings, mode: str | None = None) -> Any:
    """A study of Optuna's, made where it is missing and `mode` is given.

    Raises:
        RunError: the storage does not answer.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assert settings.storage is not None
    try:
        storage = open_storage(settings.storage)
        if mode is None:
            return optuna.load_study(study_name=settings.study, storage=storage, pruner=build_pruner(settings))
        return optuna.create_study(
            study_name=settings.study,
            storage=storage,
            direction="minimize" if mode == "min" else "maximize",
            pruner=build_pruner(settings),
            load_if_exists=True,
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        shown = settings.storage.split("@")[-1]
        raise RunError(
            f"sweep.storage={shown}: the search cannot be kept there ({reason[:200]}). Start the database, or leave "
            "sweep.storage out."
        ) from None


def open_storage(url: str) -> Any:
    """Optuna's storage of a URL; writers of a SQLite file wait for each other."""
    from optuna.storages import RDBStorage

    if not url.startswith("sqlite:///"):
        return url
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _BUSY}})


def build_sampler(settings: SweepSettings, drawn: int) -> Any:
    """The sampler, its seed made of the search's and of how many trials were drawn so far."""
    import numpy as np
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(np.random.SeedSequence([settings.seed, drawn]).generate_state(1)[0])
    if settings.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=settings.startup)


def build_pruner(settings: SweepSettings) -> Any:
    """The rule that stops hopeless trials."""
    from optuna.pruners import MedianPruner, NopPruner

    if settings.pruner == "none":
        return NopPruner()
    return MedianPruner(n_startup_trials=max(1, settings.startup), n_warmup_steps=settings.warmup)
