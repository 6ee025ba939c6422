"""How libraries are loaded: with what is set before they are, and without the garbage collector.

Torch, Lightning and MLflow make 850,000 objects that stay; while they come in, Python looks through all of them again
and again, and once more at the end: two fifths of the time that a process takes which only imports the three.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = {"GOMP_SPINCOUNT": "10000", "ARROW_DEFAULT_MEMORY_POOL": "system"}


def before() -> dict[str, str]:
    """Return the environment variables that libraries read when they are loaded, as our commands set them.

    10,000 turns, in which torch's threads wait for each other before they sleep, are as fast as libgomp's 300,000 on a
    quiet machine, and cost a tenth of them on a busy one (docs/decisions.md). Arrow's own pool keeps the memory that
    it gets back: tables in parts are built in a sixth less memory without it.
    """
    return dict(_VARIABLES)


def set_before() -> None:
    """Set the variables in this process and its children; those that are set stay."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)


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
