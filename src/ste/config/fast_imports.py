"""Environment variables and garbage collection while libraries are imported.

Importing torch, Lightning and MLflow creates 850,000 objects that live as long as the process. Collecting garbage among
them takes two fifths of the time of a process that only imports the three.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from ste.config.progress import step

# 10,000 turns, in which torch's threads wait for each other before they sleep, are as fast as libgomp's 300,000 on an
# idle machine, and cost a tenth of them on a busy one (docs/decisions.md). Arrow's own pool keeps freed memory: tables
# in parts are built in a sixth less memory without it.
VARIABLES = {"GOMP_SPINCOUNT": "10000", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Environment variables that libraries read when they are loaded."""


def set_before() -> None:
    """Set the variables in this process and its children; those that are set stay."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)


@contextmanager
def fast_imports(libraries: str = "") -> Iterator[None]:
    """Pause garbage collection during imports and freeze the imported objects.

    Args:
        libraries: names of what is imported, shown while it is.
    """
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        with step(f"loading {libraries}") if libraries else nullcontext():
            yield
    finally:
        if len(sys.modules) > known:  # without imports there is only garbage to freeze
            gc.freeze()
        if enabled:
            gc.enable()
