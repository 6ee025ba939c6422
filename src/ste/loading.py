"""How libraries are loaded: with what is set before they are, and without the garbage collector.

Torch, Lightning and MLflow make 850,000 objects that stay; while they come in, Python looks through all of them again
and again, and once more at the end: two fifths of the time that a process takes which only imports the three.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

BEFORE = {
    # Torch's threads spin while they wait, for milliseconds: beside another busy process that costs many times the
    # fit. A thousand turns cost little on a quiet machine (docs/decisions.md).
    "GOMP_SPINCOUNT": "1000",
    # Arrow's own pool keeps what it gives back: tables in parts are built in a sixth less memory without it.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What libraries read when they are loaded, as our commands set it; whoever has set one of them keeps it."""


def set_before() -> None:
    """Set it, in this process and those that it begins."""
    for name, value in BEFORE.items():
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
