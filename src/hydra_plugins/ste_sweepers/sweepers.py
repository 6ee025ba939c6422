"""Hydra's side of a sweep: what was typed becomes a plan, and trials become jobs of the launcher.

Hydra imports this at every start: nothing heavy is imported before a sweep begins.
"""

import hashlib
import shlex
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from ste.config import TrainSettings
from ste.config.fast_imports import set_before
from ste.config.load import load_settings
from ste.errors import ConfigError, SteError
from ste.tuning.search_space import Choice, Space
from ste.tuning.trial_outcome import FAILED, LOST, Outcome, Trial, brief, exit_code
from ste.tuning.workers import Workers, workers_of

from ._composing import Composer
from ._jobs import decides, extra, samples
from ._overrides import drawn, listed, split
from .forking import ForkLauncher


@dataclass
class GridConf:
    """`hydra/sweeper=ste_grid`."""

    _target_: str = "hydra_plugins.ste_sweepers.sweepers.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


@dataclass
class OptunaConf:
    """`hydra/sweeper=ste_optuna`."""

    _target_: str = "hydra_plugins.ste_sweepers.sweepers.OptunaSweeper"


for _name, _node in (("ste_grid", GridConf), ("ste_optuna", OptunaConf)):
    ConfigStore.instance().store(group="hydra/sweeper", name=_name, node=_node, provider="ste")


class _SteSweeper(Sweeper):
    """What both have in common.

    Args:
        params: overrides that stand before those of the command line.
        max_batch_size: jobs that are launched at once; None leaves it to the launcher.
    """

    kind: str

    def __init__(self, params: dict[str, str] | None = None, max_batch_size: int | None = None) -> None:
        self._params = [f"{key}={value}" for key, value in (params or {}).items()]
        self._most = max_batch_size
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives."""
        from hydra.core.plugins import Plugins

        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Make every trial; leaves with an exit code other than 0 where one failed.

        Raises:
            SteError: a mistake that every trial would make, told before anything is tracked.
            SystemExit: trials failed.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        fixed, swept = self._split(parser.parse_overrides(self._params + arguments), parser)
        settings = self._check(fixed, swept)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        self._launched = 0
        rows = self._run(fixed, swept, settings, folder)
        code = exit_code(rows)
        if code:
            first = next(row for row in rows if row.outcome.status in (FAILED, LOST))
            print(
                f"error: at least one job of the sweep failed, the first with: {first.outcome.error}", file=sys.stderr
            )
            sys.exit(code)
        return [row.outcome for row in rows]

    def _split(self, overrides: list[Override], parser: OverridesParser) -> tuple[dict[str, str], Space]:
        raise NotImplementedError

    def _source(self, plan: Any, swept: Space) -> Any:
        raise NotImplementedError

    def _run(self, fixed: dict[str, str], swept: Space, settings: TrainSettings, folder: Path) -> Any:
        set_before()
        from ste.tuning.sweep import Plan, run_sweep  # heavier from here on

        assert self.config is not None
        launcher = OmegaConf.to_container(self.config.hydra.launcher, resolve=True)
        assert isinstance(launcher, dict)
        workers = workers_of(launcher, settings.sweep.workers)  # type: ignore[arg-type]
        plan = Plan(
            kind=self.kind,
            name=self._name(swept, settings),
            command=_command(),
            fixed=fixed,
            swept={key: str(values) for key, values in swept.items()},
            settings=self._settings(settings, fixed, swept),
            tracking=settings.tracking,
            output=Path(settings.paths.output),
            folder=folder,
            monitor=settings.fit.monitor,
            mode=settings.fit.mode,
            width=self._width(workers),
            extra=extra(fixed, swept, settings, workers),
        )
        if not isinstance(self.launcher, ForkLauncher):
            return run_sweep(plan, self._source(plan, swept), self._launch)[0]
        self.launcher.begin(workers.count, settings)
        try:
            return run_sweep(plan, self._source(plan, swept), self._launch)[0]
        finally:
            self.launcher.end()

    def _width(self, workers: Workers) -> int:
        return self._most or workers.count

    def _settings(self, settings: TrainSettings, fixed: dict[str, str], swept: Space) -> Any:
        return settings.sweep

    def _name(self, swept: Space, settings: TrainSettings) -> str:
        assert self.config is not None
        choices = self.config.hydra.runtime.choices
        given = "" if "model" in swept else f"{choices.model} "
        what = choices.get("experiment") or choices.data
        words = [brief(key, str(values)) for key, values in swept.items()] if self.kind == "grid" else []
        return settings.tracking.run_name or " ".join([f"{self.kind} {given}{what}", *words])[:250]

    def _check(self, fixed: dict[str, str], swept: Space) -> TrainSettings:
        """Compose a job for each value: settings of the first that can be used.

        Raises:
            HydraException: a job that cannot be composed.
            SteError: every one of them is wrong.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        fault: SteError | None = None
        good: TrainSettings | None = None
        composer = Composer(self.hydra_context.config_loader, self.config)
        for values in samples(swept):
            config = composer.compose([f"{key}={value}" for key, value in (fixed | values).items()])
            try:
                own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
                good = good or load_settings(TrainSettings, own)
            except SteError as error:
                fault = fault or error
        if good is None:
            raise fault or ConfigError("nothing to try: give a setting several values, optimizer=adam,sgd.")
        return good

    def _launch(self, batch: list[tuple[Trial, list[str]]]) -> Iterator[tuple[Trial, Outcome]]:
        """Run a batch by the launcher; a fault of the launcher itself loses the whole of it."""
        assert self.launcher is not None
        first, self._launched = self._launched, self._launched + len(batch)
        jobs = [job for _, job in batch]
        if isinstance(self.launcher, ForkLauncher):
            for place, done in self.launcher.results(jobs, first):
                yield batch[place][0], _outcome(done)
            return
        try:
            outcomes = [_outcome(job) for job in self.launcher.launch(jobs, initial_job_idx=first)]
        except Exception as error:
            traceback.print_exc()
            fault = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            outcomes = [Outcome(LOST, error=fault) for _ in batch]
        yield from zip([trial for trial, _ in batch], outcomes, strict=True)


class GridSweeper(_SteSweeper):
    """Every combination of the values on the command line, as Hydra's own sweeper, tracked as one."""

    kind = "grid"

    def _split(self, overrides: list[Override], parser: OverridesParser) -> tuple[dict[str, str], Space]:
        fixed, swept = split(overrides, listed)
        return fixed, dict(swept)

    def _width(self, workers: Workers) -> int:
        # A launcher that holds back by itself gets all: no worker waits for the slowest of a batch.
        return self._most or (10**6 if workers.ahead else workers.count)

    def _source(self, plan: Any, swept: Space) -> Any:
        from ste.tuning.study import Grid

        return Grid({key: values for key, values in swept.items() if isinstance(values, Choice)})


class OptunaSweeper(_SteSweeper):
    """A search over a space, by Optuna, that can be stopped and gone on with."""

    kind = "search"

    def _split(self, overrides: list[Override], parser: OverridesParser) -> tuple[dict[str, str], Space]:
        assert self.config is not None
        fixed, typed = split(overrides, drawn)
        chosen = OmegaConf.to_container(self.config.sweep.space, resolve=True)
        assert isinstance(chosen, dict)
        space: Space = {}
        for key, text in ((str(key), text) for key, text in chosen.items()):
            if key in fixed:
                continue  # one value on the command line: not searched
            (override,) = parser.parse_overrides([f"{key}={text}"])
            if not override.is_sweep_override():
                raise ConfigError(f"sweep.space: {key}={text} has one value. Try {key}=choice(1,2,3).")
            space[key] = drawn(override)
        space |= typed
        if not space:
            raise ConfigError("nothing to search: choose sweep=lstm, or give settings several values.")
        return fixed, space

    def _settings(self, settings: TrainSettings, fixed: dict[str, str], swept: Space) -> Any:
        from ste.tuning.study import default_storage

        chosen = settings.sweep
        words = decides(fixed, swept)
        name = f"{fixed.get('sweep', 'search')}-{hashlib.sha256(words.encode()).hexdigest()[:10]}"
        storage = chosen.storage or default_storage(Path(settings.paths.output))
        return replace(chosen, study=chosen.study or name, storage=storage)

    def _source(self, plan: Any, swept: Space) -> Any:
        from ste.tuning.study import Search

        return Search(plan.settings, swept, plan.mode, decides(plan.fixed, swept))


def _command() -> str:
    from ste.config.hydra_app import without_password

    typed = sys.argv[1:] if sys.argv else []
    return shlex.join(["python", "-m", "ste.train", *(without_password(text) or "" for text in typed)])


def _outcome(job: JobReturn) -> Outcome:
    """What a job gave back; its exceptions are not raised here."""
    value = job._return_value
    if job.status == JobStatus.COMPLETED and isinstance(value, Outcome):
        return value
    if isinstance(value, SteError):
        return Outcome(FAILED, error=str(value), mistake=True)
    if isinstance(value, BaseException):
        text = str(value).strip().splitlines()
        return Outcome(FAILED, error=f"{type(value).__name__}: {text[0] if text else ''}"[:300])
    return Outcome(LOST, error="the job gave nothing back")
