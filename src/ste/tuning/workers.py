"""Number of trials that run at once, and torch threads of each."""

from dataclasses import dataclass
from typing import Any

from ste.config.processes import cores

_CLUSTER = 8
"""Trials at once if the launcher has no limit: enough to keep a queue busy, few enough for the sampler to adapt."""


@dataclass(frozen=True)
class Workers:
    """Capacity of a launcher.

    Attributes:
        count: trials at once.
        threads: torch threads of each trial; None is torch's default.
        ahead: whether the launcher queues jobs beyond `count` itself.
    """

    count: int
    threads: int | None = None
    ahead: bool = False


def workers_of(launcher: dict[str, Any], wanted: int | None = None, available: int | None = None) -> Workers:
    """Derive the capacity from a launcher's configuration.

    Args:
        launcher: Hydra's node, resolved.
        wanted: trials at once; None is the launcher's own number.
        available: cores of this machine; None counts them.
    """
    available = available or cores()
    name = str(launcher.get("_target_", "")).rsplit(".", 1)[-1]
    if name in ("JoblibLauncher", "ForkLauncher"):
        jobs = int(launcher.get("n_jobs") or -1)
        count = min(wanted or (jobs if jobs > 0 else max(1, available + 1 + jobs)), max(jobs, 0) or available)
        return Workers(count, _threads_per_trial(available, count), ahead=True)
    if name == "RayLauncher":
        ray = launcher.get("ray") or {}
        init, each = ray.get("init") or {}, float((ray.get("remote") or {}).get("num_cpus") or 1)
        if init.get("address") not in (None, "local"):
            return Workers(wanted or _CLUSTER, max(1, int(each)), ahead=True)
        count = wanted or max(1, int((init.get("num_cpus") or available) / each))
        return Workers(count, _threads_per_trial(available, count), ahead=True)
    if name == "LocalLauncher":  # of submitit, which starts all jobs at once
        cpus = launcher.get("cpus_per_task")
        count = wanted or max(1, available // int(cpus or 1))
        return Workers(count, _threads_per_trial(available, count))
    if name == "SlurmLauncher":
        cpus = launcher.get("cpus_per_task")
        limit = int(launcher.get("array_parallelism") or _CLUSTER)
        return Workers(wanted or min(limit, _CLUSTER), int(cpus) if cpus else None, ahead=True)
    return Workers(wanted or 1)


def _threads_per_trial(available: int, count: int) -> int | None:
    return max(1, available // count) if count > 1 else None
