"""`hydra/launcher=fork`: jobs in processes of this machine that share what is imported.

A process that starts anew imports torch, Lightning and MLflow, which takes longer than many a fit. Forked ones have
them already. They are forked before any store is opened: a connection must not be shared.
"""

import gc
import logging
import multiprocessing
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from ste.config import TrainSettings
from ste.errors import ConfigError
from ste.tuning.warm_up import import_all, warm

from ._composing import Composer


@dataclass
class ForkConf:
    """`hydra/launcher=fork`."""

    _target_: str = "hydra_plugins.ste_sweepers.forking.ForkLauncher"
    n_jobs: int = -1


ConfigStore.instance().store(group="hydra/launcher", name="fork", node=ForkConf, provider="ste")


class ForkLauncher(Launcher):
    """A job that kills its process is lost alone; the others go on.

    Args:
        n_jobs: processes; -1 is one for each core, which the sweeper counts.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        self.n_jobs = n_jobs
        self._logs: list[logging.FileHandler] | None = None  # of the process's first job
        self._processes: dict[Connection, BaseProcess] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def begin(self, count: int, settings: TrainSettings) -> None:
        """Import what jobs need, and fork.

        Args:
            count: processes.
            settings: of one of the jobs, for what each process does before its first.

        Raises:
            ConfigError: this system cannot fork.
        """
        if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
            raise ConfigError("hydra/launcher=fork: this system cannot fork safely. Try hydra/launcher=joblib.")
        import_all()
        gc.collect()
        gc.freeze()  # else each process would look through all that is imported, again and again, and copy it
        forking = multiprocessing.get_context("fork")
        for _ in range(count):
            here, there = forking.Pipe()
            others = [here, *self._processes]
            process = forking.Process(target=self._work, args=(there, others, settings), daemon=True)
            process.start()
            there.close()
            self._processes[here] = process

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Results in the order of the jobs."""
        done = dict(self.results(job_overrides, initial_job_idx))
        return [done[i] for i in range(len(job_overrides))]

    def results(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Iterator[tuple[int, JobReturn]]:
        """Each job's place and result, as they come."""
        waiting = list(enumerate(job_overrides))[::-1]
        busy: dict[Connection, int] = {}
        for pipe in self._processes:
            if waiting:
                self._send(pipe, waiting, busy, initial_job_idx)
        while busy:
            for ready in wait(list(busy)):
                pipe = next(one for one in busy if one is ready)
                place = busy.pop(pipe)
                try:
                    result = pipe.recv()
                except (EOFError, OSError):
                    process = self._processes.pop(pipe)
                    process.join()
                    result = _lost(f"its process ended with exit code {process.exitcode}")
                yield place, result
                if waiting and pipe in self._processes:
                    self._send(pipe, waiting, busy, initial_job_idx)
        for place, _ in waiting:
            yield place, _lost("no process is left to run it")

    def end(self) -> None:
        """Stop the processes; what they are at is marked as stopped."""
        for pipe, process in self._processes.items():
            pipe.close()
            process.terminate()
        for process in self._processes.values():
            process.join()
        self._processes.clear()

    def _send(self, pipe: Connection, waiting: list[Any], busy: dict[Connection, int], first: int) -> None:
        place, overrides = waiting.pop()
        busy[pipe] = place
        try:
            pipe.send((first + place, list(overrides)))
        except OSError:  # it died idle: what is read next says so
            return

    def _work(self, pipe: Connection, others: list[Connection], settings: TrainSettings) -> None:
        """What a process does until its pipe is closed."""
        for other in others:
            other.close()  # else this process would keep its siblings' pipes open
        self._prepare(settings)
        while True:
            try:
                number, overrides = pipe.recv()
            except (EOFError, OSError):
                return
            result = self._run(number, overrides)
            try:
                pipe.send(result)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                pipe.send(_lost(f"what it gave back cannot be sent: {error}"))

    def _prepare(self, settings: TrainSettings) -> None:
        """What a process does before its first job."""
        self._composer = Composer(self.hydra_context.config_loader, self.config)
        warm(settings.data, Path(settings.paths.data))

    def _run(self, number: int, overrides: list[str]) -> JobReturn:
        setup_globals()
        config = self._composer.compose(overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            config.hydra.output_subdir = None  # the run keeps its own configuration
        HydraConfig.instance().set_config(config)
        folder = Path(config.hydra.sweep.dir) / str(config.hydra.sweep.subdir)
        for handler in self._logs or ():  # of another job's folder
            _write_to(handler, folder / Path(handler.baseFilename).name)
        result = run_job(
            hydra_context=self.hydra_context,
            config=config,
            task_function=self.task_function,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            configure_logging=self._logs is None,
        )
        self._logs = [one for one in logging.getLogger().handlers if isinstance(one, logging.FileHandler)]
        result.cfg = result.hydra_cfg = None  # nobody reads them, and they are large to send
        return result


def _write_to(handler: logging.FileHandler, path: Path) -> None:
    """Let a log's handler go on with another file, which it opens when there is something to write."""
    handler.close()
    handler.baseFilename = str(path.absolute())
    handler._closed = False  # type: ignore[attr-defined]  # else it would not open again


def _lost(reason: str) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError(reason))
