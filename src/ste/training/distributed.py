"""Rank and size of a distributed run, and how its processes end.

Lightning starts the processes (`trainer.strategy=ddp`), or `torchrun` or SLURM do. Rank 0 alone tracks, writes and
prints; the other ranks train along and exit.
"""

import os
import re
import signal
import subprocess
from dataclasses import replace

import lightning.pytorch as pl
import torch
import torch.distributed as dist

from ste.config import TrainerSettings
from ste.config.processes import cores, environment_rank, launched_by_torchrun
from ste.errors import ConfigError, RunError

_LOST = re.compile(r"gloo|nccl|connection|broken pipe|timed? ?out|socket|process group", re.IGNORECASE)


def process_rank(settings: TrainerSettings) -> int:
    """Return the rank of this process; 0 where the run has one process."""
    return environment_rank() if resolve_processes(settings).processes != 1 else 0


def resolve_processes(settings: TrainerSettings) -> TrainerSettings:
    """Take the number of processes from torchrun where it started this one.

    Raises:
        ConfigError: another number was typed.
    """
    if not launched_by_torchrun():
        return settings
    total, per_node = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if settings.devices not in (1, per_node, "auto", -1):
        raise ConfigError(
            f"trainer.devices={settings.devices}: torchrun started {per_node} processes on this machine. "
            f"Try trainer.devices={per_node}, or --nproc-per-node {settings.devices}."
        )
    strategy = "ddp" if settings.strategy == "auto" and total > 1 else settings.strategy
    return replace(settings, devices=per_node, num_nodes=total // per_node, strategy=strategy)


def check_processes(settings: TrainerSettings, *, baseline: bool, method: str) -> None:
    """Check that folds are trained in one process.

    Args:
        settings: of the Trainer.
        baseline: whether the model is one; a baseline is fitted in one process.
        method: `validation.method`.

    Raises:
        ConfigError: folds in several processes.
    """
    settings = resolve_processes(settings)
    if settings.processes != 1 and not baseline and method != "holdout":
        name = "num_nodes" if settings.devices == 1 else "devices"
        raise ConfigError(
            f"trainer.{name}={getattr(settings, name)}: folds are trained in one process. Try trainer=cpu, or "
            "validation=holdout."
        )


def threads_per_process(settings: TrainerSettings) -> int | None:
    """Return torch's threads of each process: as set, else cores / processes; None leaves one process to torch."""
    if settings.threads is not None or settings.devices == 1:
        return settings.threads
    return max(1, cores() // settings.devices) if isinstance(settings.devices, int) and settings.devices > 0 else None


def use_threads(settings: TrainerSettings) -> None:
    """Set torch's threads of this process."""
    threads = threads_per_process(resolve_processes(settings))
    if threads is not None:
        torch.set_num_threads(threads)
        if settings.processes != 1:
            os.environ["OMP_NUM_THREADS"] = str(threads)  # Lightning's launcher would set another number


class OwnEnd(pl.Callback):
    """Let a distributed fit end as one of a single process does.

    It restores the process's own SIGTERM handler: Lightning's broadcasts to the other ranks, which may be waiting for a
    gradient average at that moment, so that both would wait for each other.

    It takes the launched processes from Lightning's observer, which looks at them every five seconds and kills this
    process too where one is lost, before it could mark its run. Gloo reports a lost process at the next collective
    operation; NCCL would wait for minutes, so that with it the observer stays.

    Attributes:
        processes: launched by this one, for `stop_launched`.
    """

    def __init__(self) -> None:
        self._own = signal.getsignal(signal.SIGTERM)
        self.processes: list[subprocess.Popen[bytes]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the handler and take the processes."""
        signal.signal(signal.SIGTERM, self._own)
        launched = getattr(trainer.strategy.launcher, "procs", [])
        if launched and dist.get_backend() == "gloo":
            self.processes += launched
            launched.clear()


def stop_launched(trainer: pl.Trainer, end: OwnEnd, wait: float = 0.0) -> None:
    """Wait for the processes that Lightning launched, then end those that still run.

    Args:
        trainer: of the fit that ended.
        end: callback of that fit.
        wait: seconds for each.
    """
    for processes in (end.processes, getattr(trainer.strategy.launcher, "procs", [])):
        for process in processes:
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        processes.clear()


def lost_process(error: RuntimeError) -> RunError | None:
    """Return the message for a fit that ended because another rank did, or None for another fault."""
    if not _LOST.search(str(error)):
        return None
    reason = str(error).strip().splitlines()[0][:200]
    return RunError(
        f"another process of this run ended or no longer answers ({reason}). Its own messages are above, or where its "
        "machine writes them."
    )
