"""Hydra sweepers: plan a sweep from the typed overrides, and run its trials as jobs of the launcher.

Hydra imports this module at every start, so heavy libraries are imported only when a sweep starts.
"""

import hashlib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ste_sweepers._job_composer import JobComposer
from hydra_plugins.ste_sweepers._job_overrides import extra_overrides, sample_jobs, search_identity
from hydra_plugins.ste_sweepers._result_task import ResultTask
from hydra_plugins.ste_sweepers._typed_overrides import grid_values, search_values, split_overrides
from hydra_plugins.ste_sweepers.fork_launcher import ForkLauncher
from ste.config import SweepSettings, TrainSettings
from ste.config.fast_imports import fast_imports, set_before
from ste.config.hydra_app import end_reading, shell_command
from ste.config.load import load_settings
from ste.errors import ConfigError, SteError
from ste.tuning.search_space import Choices, Space
from ste.tuning.trial_result import FAILED, LOST, SweepTrial, TrialResult, TrialRow, brief, exit_code
from ste.tuning.workers import Workers, workers_of

if TYPE_CHECKING:
    from ste.tuning.study import TrialSource
    from ste.tuning.sweep import SweepPlan

_ALL = 10**6


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


class SteSweeper(Sweeper):
    """Common base of both sweepers.

    Args:
        params: overrides that precede those of the command line.
        max_batch_size: jobs that are launched at once; None is the launcher's capacity.
    """

    kind: str
    config: DictConfig
    launcher: Launcher
    hydra_context: HydraContext

    def __init__(self, params: dict[str, str] | None = None, max_batch_size: int | None = None) -> None:
        self._params = [f"{key}={value}" for key, value in (params or {}).items()]
        self._max_batch_size = max_batch_size

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's objects and instantiate the launcher."""
        from hydra.core.plugins import Plugins

        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=ResultTask(task_function), config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run every trial; exit with a code other than 0 if one failed.

        Raises:
            SteError: an error of every trial, before anything is tracked.
            SystemExit: trials failed.
        """
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        fixed, swept = self._split(parser.parse_overrides(self._params + arguments), parser)
        settings = self._check(fixed, swept)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        self._launched = 0
        end_reading()
        rows = self._run(fixed, swept, settings, folder)
        code = exit_code(rows)
        if code:
            first = next(row for row in rows if row.result.status in (FAILED, LOST))
            print(f"error: at least one job of the sweep failed, the first with: {first.result.error}", file=sys.stderr)
            sys.exit(code)
        return [row.result for row in rows]

    def _split(self, overrides: list[Override], parser: OverridesParser) -> tuple[dict[str, str], Space]:
        raise NotImplementedError

    def _source(self, plan: "SweepPlan", swept: Space) -> "TrialSource":
        raise NotImplementedError

    def _run(self, fixed: dict[str, str], swept: Space, settings: TrainSettings, folder: Path) -> list[TrialRow]:
        set_before()
        with fast_imports("Optuna"):
            from ste.tuning.sweep import SweepPlan, run_sweep

        launcher = OmegaConf.to_container(self.config.hydra.launcher, resolve=True)
        assert isinstance(launcher, dict)
        workers = workers_of(launcher, settings.sweep.workers)  # type: ignore[arg-type]
        plan = SweepPlan(
            kind=self.kind,
            name=self._name(swept, settings),
            command=shell_command(sys.argv[1:]),
            fixed=fixed,
            swept={key: str(values) for key, values in swept.items()},
            settings=self._sweep_settings(settings, fixed, swept),
            tracking=settings.tracking,
            output=Path(settings.paths.output),
            folder=folder,
            monitor=settings.fit.monitor,
            mode=settings.fit.mode,
            width=self._width(workers),
            extra=extra_overrides(fixed, swept, settings, workers),
        )
        if not isinstance(self.launcher, ForkLauncher):
            return run_sweep(plan, self._source(plan, swept), self._launch)
        try:
            self.launcher.start(workers.count)
            return run_sweep(plan, self._source(plan, swept), self._launch)
        finally:
            self.launcher.stop()

    def _width(self, workers: Workers) -> int:
        return self._max_batch_size or workers.count

    def _sweep_settings(self, settings: TrainSettings, fixed: dict[str, str], swept: Space) -> SweepSettings:
        return settings.sweep

    def _name(self, swept: Space, settings: TrainSettings) -> str:
        choices = self.config.hydra.runtime.choices
        given = "" if "model" in swept else f"{choices.model} "
        what = choices.get("experiment") or choices.data
        words = [brief(key, str(values)) for key, values in swept.items()] if self.kind == "grid" else []
        return settings.tracking.run_name or " ".join([f"{self.kind} {given}{what}", *words])[:250]

    def _check(self, fixed: dict[str, str], swept: Space) -> TrainSettings:
        """Compose a job for each value and return the settings of the first valid one.

        Raises:
            HydraException: a job that cannot be composed.
            SteError: no job is valid.
        """
        first_error: SteError | None = None
        valid: TrainSettings | None = None
        composer = JobComposer(self.hydra_context.config_loader, self.config)
        for values in sample_jobs(swept):
            config = composer.compose([f"{key}={value}" for key, value in (fixed | values).items()])
            try:
                own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
                valid = valid or load_settings(TrainSettings, own)
            except SteError as error:
                first_error = first_error or error
        if valid is None:
            raise first_error or ConfigError("nothing to try: give a setting several values, optimizer=adam,sgd.")
        return valid

    def _launch(self, batch: list[tuple[SweepTrial, list[str]]]) -> Iterator[tuple[SweepTrial, TrialResult]]:
        """Run a batch with the launcher; an error of the launcher itself loses the whole batch."""
        first, self._launched = self._launched, self._launched + len(batch)
        jobs = [job for _, job in batch]
        if isinstance(self.launcher, ForkLauncher):
            for index, returned in self.launcher.results(jobs, first):
                yield batch[index][0], _result(returned)
            return
        try:
            results = [_result(job) for job in self.launcher.launch(jobs, initial_job_idx=first)]
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            results = [TrialResult(LOST, error=reason) for _ in batch]
        yield from zip([trial for trial, _ in batch], results, strict=True)


class GridSweeper(SteSweeper):
    """Run every combination of the values on the command line, tracked below one parent run."""

    kind = "grid"

    def _split(self, overrides: list[Override], parser: OverridesParser) -> tuple[dict[str, str], Space]:
        fixed, swept = split_overrides(overrides, grid_values)
        return fixed, dict(swept)

    def _width(self, workers: Workers) -> int:
        # A launcher with a queue gets all jobs at once, so that no worker waits for the slowest job of a batch.
        return self._max_batch_size or (_ALL if workers.ahead else workers.count)

    def _source(self, plan: "SweepPlan", swept: Space) -> "TrialSource":
        from ste.tuning.study import GridSearch

        return GridSearch({key: values for key, values in swept.items() if isinstance(values, Choices)})


class OptunaSweeper(SteSweeper):
    """Search a space with Optuna; a stopped search can be resumed."""

    kind = "search"

    def _split(self, overrides: list[Override], parser: OverridesParser) -> tuple[dict[str, str], Space]:
        fixed, typed = split_overrides(overrides, search_values)
        chosen = OmegaConf.to_container(self.config.sweep.space, resolve=True)
        assert isinstance(chosen, dict)
        space: Space = {}
        for key, text in ((str(key), text) for key, text in chosen.items()):
            if key in fixed:
                continue  # fixed on the command line
            (override,) = parser.parse_overrides([f"{key}={text}"])
            if not override.is_sweep_override():
                raise ConfigError(f"sweep.space: {key}={text} has one value. Try {key}=choice(1,2,3).")
            space[key] = search_values(override)
        space |= typed
        if not space:
            raise ConfigError("nothing to search: choose sweep=lstm, or give settings several values.")
        return fixed, space

    def _sweep_settings(self, settings: TrainSettings, fixed: dict[str, str], swept: Space) -> SweepSettings:
        from ste.tuning.study import default_storage

        chosen = settings.sweep
        identity = search_identity(fixed, swept)
        name = f"{fixed.get('sweep', 'search')}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"
        storage = chosen.storage or default_storage(Path(settings.paths.output))
        return replace(chosen, study=chosen.study or name, storage=storage)

    def _source(self, plan: "SweepPlan", swept: Space) -> "TrialSource":
        from ste.tuning.study import OptunaSearch

        return OptunaSearch(plan.settings, swept, plan.mode, search_identity(plan.fixed, swept))


def _result(job: JobReturn) -> TrialResult:
    """Result of a job; its own exceptions are failed results already, so that any other comes from the launcher."""
    if job.status == JobStatus.COMPLETED and isinstance(job.return_value, TrialResult):
        return job.return_value
    return TrialResult(LOST, error="the job returned no result")
