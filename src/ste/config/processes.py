"""Cores of this process, and its rank in a distributed run, as its launcher put it into the environment."""

import os
import signal


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment_rank() -> int:
    """Return the rank of this process among all of its run, 0 where the environment names none.

    Lightning's launcher sets LOCAL_RANK alone; several machines need NODE_RANK then. Any process but the first of the
    first machine gets a number above 0, not always its final rank.
    """
    environment = os.environ
    if "RANK" in environment:
        return int(environment["RANK"])
    if "LOCAL_RANK" in environment:
        return int(environment["LOCAL_RANK"]) + int(environment.get("NODE_RANK", "0"))
    return int(environment.get("NODE_RANK", environment.get("SLURM_PROCID", "0")))


def launched_by_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def worker_overrides() -> list[str]:
    """Prepare a process of rank above 0: ignore Ctrl-C, which a terminal sends to all and rank 0 handles.

    Returns:
        Hydra overrides with which the process writes no folder and no log file.
    """
    if not (launched_by_torchrun() or "LOCAL_RANK" in os.environ) or environment_rank() == 0:
        return []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = ["hydra.run.dir=."] if launched_by_torchrun() else []  # Lightning's launcher names rank 0's
    return ["hydra/job_logging=stdout", "hydra.output_subdir=null", *folder]
