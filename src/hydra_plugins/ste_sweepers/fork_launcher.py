"""`hydra/launcher=fork`: jobs in forked processes of this machine, which share the imported modules.

A new process imports torch, Lightning and MLflow, which takes longer than many a fit. The processes are forked before
any store is opened, because database connections must not be shared.
"""

import gc
import importlib
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from hydra_plugins.ste_sweepers._job_composer import JobComposer
from ste.config.fast_imports import fast_imports
from ste.config.progress import add_note, send_steps
from ste.errors import ConfigError
from ste.tuning.trial_result import LOST, TrialResult

_MODULES = (
    *("ste.experiment.run", "ste.tuning.trial_job", "ste.tracking.logged_model", "ste.tracking.earlier_trials"),
    *("exchange_calendars", "mlflow.store.tracking.sqlalchemy_store"),
)
"""What a job imports at first use; importing it opens no store."""


@dataclass
class ForkConf:
    """`hydra/launcher=fork`."""

    _target_: str = "hydra_plugins.ste_sweepers.fork_launcher.ForkLauncher"
    n_jobs: int = -1


ConfigStore.instance().store(group="hydra/launcher", name="fork", node=ForkConf, provider="ste")


class ForkLauncher(Launcher):
    """Launch jobs in forked processes; a job that kills its process does not affect the others.

    Args:
        n_jobs: number of processes; -1 is one for each core, which the sweeper counts.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        self.n_jobs = n_jobs
        self._processes: dict[Connection, BaseProcess] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's objects."""
        self.hydra_context, self.task_function = hydra_context, task_function
        self._composer = JobComposer(hydra_context.config_loader, config)

    def start(self, count: int) -> None:
        """Import the modules that jobs use, and fork the processes.

        Args:
            count: number of processes.

        Raises:
            ConfigError: this system cannot fork.
        """
        if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
            raise ConfigError("hydra/launcher=fork: this system cannot fork safely. Try hydra/launcher=joblib.")
        with fast_imports("torch, Lightning and MLflow"):
            for name in _MODULES:
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # a collection in a forked process would write to, and so copy, the memory of all imported objects
        context = multiprocessing.get_context("fork")
        for _ in range(count):
            here, there = context.Pipe()
            others = [here, *self._processes]
            process = context.Process(target=self._work, args=(there, others), daemon=True)
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the process ignores it
            process.start()
            self._processes[here] = process
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            there.close()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs and return their results in the same order."""
        returned = dict(self.results(job_overrides, initial_job_idx))
        return [returned[i] for i in range(len(job_overrides))]

    def results(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Iterator[tuple[int, JobReturn]]:
        """Run jobs and yield the index and result of each as it ends."""
        waiting = list(enumerate(job_overrides))[::-1]
        busy: dict[Connection, int] = {}
        for pipe in self._processes:
            if waiting:
                self._send(pipe, waiting, busy, initial_job_idx)
        while busy:
            for ended in wait(list(busy)):
                pipe = next(one for one in busy if one is ended)
                try:
                    result = pipe.recv()
                except (EOFError, OSError):
                    process = self._processes.pop(pipe)
                    process.join()
                    result = _lost(f"its process ended with exit code {process.exitcode}")
                if isinstance(result, str):
                    add_note(f"trial {initial_job_idx + busy[pipe]}: {result}")
                    continue
                yield busy.pop(pipe), result
                if waiting and pipe in self._processes:
                    self._send(pipe, waiting, busy, initial_job_idx)
        for index, _ in waiting:
            yield index, _lost("every process has ended")

    def stop(self) -> None:
        """Terminate the processes; their current runs are marked KILLED."""
        for pipe, process in self._processes.items():
            pipe.close()
            process.terminate()
        for process in self._processes.values():
            process.join()
        self._processes.clear()

    def _send(
        self, pipe: Connection, waiting: list[tuple[int, Sequence[str]]], busy: dict[Connection, int], first: int
    ) -> None:
        index, overrides = waiting.pop()
        busy[pipe] = index
        try:
            pipe.send((first + index, list(overrides)))
        except OSError:  # the process has ended; `recv` reports it
            return

    def _work(self, pipe: Connection, others: list[Connection]) -> None:
        """Run jobs in a forked process until its pipe is closed."""
        for other in others:
            other.close()  # inherited ends would keep the pipes of the other processes open
        send_steps(pipe.send)
        # A terminal sends Ctrl-C to all processes; the sweep's own process handles it and ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while True:
            try:
                number, overrides = pipe.recv()
            except (EOFError, OSError):
                return
            pipe.send(self._run(number, overrides))

    def _run(self, number: int, overrides: list[str]) -> JobReturn:
        setup_globals()
        config = self._composer.compose(overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            config.hydra.output_subdir = None  # the run stores its own configuration
        HydraConfig.instance().set_config(config)
        result = run_job(
            hydra_context=self.hydra_context,
            config=config,
            task_function=self.task_function,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        result.cfg = result.hydra_cfg = None  # large and not used
        return result


def _lost(reason: str) -> JobReturn:
    lost = JobReturn(status=JobStatus.COMPLETED)
    lost.return_value = TrialResult(LOST, error=reason)
    return lost
