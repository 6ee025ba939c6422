"""Number of trials that run at once, and torch threads of each."""

from dataclasses import dataclass
from typing import Any

from ste.config.processes import cores

_CLUSTER = 8
"""Trials at once on Ray or SLURM: enough to keep a queue busy, few enough for the sampler to adapt. The cores of each
are those that the launcher gives it."""


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
    if name in ("RayLauncher", "SlurmLauncher"):
        return Workers(wanted or _CLUSTER, ahead=True)
    if name == "LocalLauncher":  # of submitit, which starts all jobs at once
        count = wanted or available
        return Workers(count, _threads_per_trial(available, count))
    return Workers(wanted or 1)


def _threads_per_trial(available: int, count: int) -> int | None:
    return max(1, available // count) if count > 1 else None
