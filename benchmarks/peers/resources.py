"""Time and memory of a worker process and of the processes that it waited for."""

import os
import resource
import time


def clocks() -> tuple[float, float]:
    """Return wall time, and CPU time of this process and of those it waited for, in seconds."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def peak() -> int:
    """Return the largest resident size so far of this process or one it waited for, in bytes."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
