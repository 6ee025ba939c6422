"""`hydra/launcher=fork`: jobs in processes of this machine that share what is imported.

A process that starts anew imports torch, Lightning and MLflow, which takes longer than many a fit. Forked ones have
them already. They are forked before any store is opened: a connection must not be shared.
"""

import gc
import multiprocessing
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from ste.errors import ConfigError

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
        self._processes: dict[Connection, BaseProcess] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def begin(self, count: int) -> None:
        """Import what jobs need, and fork.

        Args:
            count: processes.

        Raises:
            ConfigError: this system cannot fork.
        """
        if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
            raise ConfigError("hydra/launcher=fork: this system cannot fork safely. Try hydra/launcher=joblib.")
        import ste.pipeline
        import ste.sweeps.trial
        import ste.tracking.model
        import ste.tracking.trials  # noqa: F401
        from ste.tracking.provenance import provenance

        provenance()
        gc.collect()
        gc.freeze()  # else each process would look through all that is imported, again and again, and copy it
        forking = multiprocessing.get_context("fork")
        for _ in range(count):
            here, there = forking.Pipe()
            others = [here, *self._processes]
            process = forking.Process(target=self._work, args=(there, others), daemon=True)
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

    def _work(self, pipe: Connection, others: list[Connection]) -> None:
        """What a process does until its pipe is closed."""
        for other in others:
            other.close()  # else this process would keep its siblings' pipes open
        composer = Composer(self.hydra_context.config_loader, self.config)
        while True:
            try:
                number, overrides = pipe.recv()
            except (EOFError, OSError):
                return
            result = self._run(number, composer.compose(overrides))
            try:
                pipe.send(result)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                pipe.send(_lost(f"what it gave back cannot be sent: {error}"))

    def _run(self, number: int, config: DictConfig) -> JobReturn:
        setup_globals()
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            config.hydra.output_subdir = None  # the run keeps its own configuration
        HydraConfig.instance().set_config(config)
        result = run_job(
            hydra_context=self.hydra_context,
            config=config,
            task_function=self.task_function,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        result.cfg = result.hydra_cfg = None  # nobody reads them, and they are large to send
        return result


def _lost(reason: str) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError(reason))
