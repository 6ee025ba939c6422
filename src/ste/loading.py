"""Imports without the garbage collector.

Torch, Lightning and MLflow make 850,000 objects that stay; while they come in, Python looks through all of them again
and again, and once more at the end: two fifths of the time that a process takes which only imports the three.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
