"""Memory that a step gives back is the next step's: glibc keeps it while a fit goes on.

By itself glibc gives large blocks back to the kernel at every `free` and takes them again, page by page, at every
`malloc`: at batches of 256 and more half of a step's time (docs/decisions.md). The numbers do not change.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Of malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_MIB = 1 << 20
_FITTING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2047 * _MIB, _TOP_PAD: 16 * _MIB}
# glibc moves its thresholds with what a program frees, up to these, until one is set by hand.
_AFTER = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 64 * _MIB, _TOP_PAD: 128 * 1024}


@contextmanager
def kept_memory() -> Iterator[bool]:
    """Within, blocks of every size come from the heap, which is not given back; afterwards it is.

    Nothing is done where the C library is not glibc, or where its user has set it (`GLIBC_TUNABLES`, `MALLOC_*_`).

    Yields:
        Whether it was done.
    """
    library = _glibc()
    if library is None or _chosen_by_user():
        yield False
        return
    _set(library.mallopt, _FITTING)
    try:
        yield True
    finally:
        _set(library.mallopt, _AFTER)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        known = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):  # Windows; macOS and musl do not know the name
        return None
    return ctypes.CDLL(None) if known and known.startswith("glibc") else None


def _chosen_by_user() -> bool:
    names = (f"MALLOC_{name}_" for name in ("MMAP_MAX", "MMAP_THRESHOLD", "TRIM_THRESHOLD", "TOP_PAD"))
    return "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name in os.environ for name in names)


def _set(mallopt: Callable[[int, int], int], values: dict[int, int]) -> None:
    for name, value in values.items():
        mallopt(name, value)
