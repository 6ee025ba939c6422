"""Let glibc retain freed memory during a fit.

By default glibc returns large blocks to the kernel at every `free` and maps them again, page by page, at every
`malloc`: half of a step's time at batches of 256 and more (docs/decisions.md). The results do not change.
"""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Of malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_MIB = 1 << 20
_FITTING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2047 * _MIB, _TOP_PAD: 16 * _MIB}
# Upper ends of glibc's dynamic thresholds, which it no longer adjusts once one is set.
_AFTER = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 64 * _MIB, _TOP_PAD: 128 * 1024}


@contextmanager
def retain_memory() -> Iterator[bool]:
    """Allocate blocks of every size from the heap and retain it within the context; return it afterwards.

    Do nothing where the C library is not glibc, or where the user has set it (`GLIBC_TUNABLES`, `MALLOC_*_`).

    Yields:
        Whether memory is retained.
    """
    if platform.libc_ver()[0] != "glibc" or _chosen_by_user():
        yield False
        return
    library = ctypes.CDLL(None)
    for name, value in _FITTING.items():
        library.mallopt(name, value)
    try:
        yield True
    finally:
        for name, value in _AFTER.items():
            library.mallopt(name, value)
        library.malloc_trim(0)


def _chosen_by_user() -> bool:
    names = (f"MALLOC_{name}_" for name in ("MMAP_MAX", "MMAP_THRESHOLD", "TRIM_THRESHOLD", "TOP_PAD"))
    return "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name in os.environ for name in names)
