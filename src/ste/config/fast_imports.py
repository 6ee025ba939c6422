"""How libraries are loaded: with what is set before they are, and without the garbage collector.

Torch, Lightning and MLflow make 850,000 objects that stay; while they come in, Python looks through all of them again
and again, and once more at the end: two fifths of the time that a process takes which only imports the three.
"""

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SPINS_ALONE, SPINS_BESIDE = "10000", "1000"
"""Turns in which torch's threads wait for each other before they sleep (docs/decisions.md)."""

_NAMES = {"GOMP_SPINCOUNT", "ARROW_DEFAULT_MEMORY_POOL"}
_LOOK = 0.05
_STAT = Path("/proc/stat")


def before() -> dict[str, str]:
    """What libraries read of the environment when they are loaded, as our commands set it.

    Threads that wait spin, which saves a step's tenth where nothing else runs, and beside another busy process costs
    many times the fit. Arrow's own pool keeps what it gives back: tables in parts are built in a sixth less memory
    without it.
    """
    spins = SPINS_ALONE if _alone() else SPINS_BESIDE
    return {"GOMP_SPINCOUNT": spins, "ARROW_DEFAULT_MEMORY_POOL": "system"}


def set_before() -> None:
    """Set it once, in this process and those that it begins; whoever has set one of them keeps it."""
    if not os.environ.keys() >= _NAMES:  # else nobody would heed what is seen
        for name, value in before().items():
            os.environ.setdefault(name, value)


def _alone() -> bool:
    """Whether nothing else of the machine works, seen for a moment; not where Linux does not tell."""
    try:
        worked = _worked_elsewhere()
        time.sleep(_LOOK)
        return _worked_elsewhere() - worked < _LOOK / 2
    except (OSError, ValueError):
        return False


def _worked_elsewhere() -> float:
    """Seconds that all cores have worked since the machine began, but for this process: NumPy's threads spin too."""
    user, nice, system, _, _, *interrupts = map(int, _STAT.read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - time.process_time()


@contextmanager
def loading() -> Iterator[None]:
    """Nothing is looked through while libraries are imported within, and what they made never is."""
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:  # else what became garbage since would be kept for good
            gc.freeze()
        if enabled:
            gc.enable()
