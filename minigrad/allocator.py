"""glibc's allocator, told to keep memory that a training step frees: the next step asks for the same again.

A step keeps many large arrays alive and frees them together. By default glibc then returns the memory to the system,
and the next step takes it back page by page, which costs more than the arithmetic. Two settings end that; both are
needed. `MINIGRAD_KEEP_MALLOC=1` leaves the allocator alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Set both thresholds so high that freed memory stays with the process; False where that cannot be done."""
    if os.environ.get("MINIGRAD_KEEP_MALLOC") == "1" or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library that is not glibc
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
