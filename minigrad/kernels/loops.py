"""Loops that numba compiles where it is installed (`pip install 'minigrad-engine[fast]'`), beside NumPy's way.

A loop is written in plain Python, over flat arrays. It is compiled at its first use, a second's work whose result numba
keeps on disk. Nothing is imported before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


@functools.cache
def compiled(loop: Callable[..., Any], fast: bool = False) -> Any:
    """The loop as machine code, None without numba. Divisions by 0 give inf and nan, as in NumPy.

    Every operation is rounded as written; with `fast`, sums may be taken in another order, and a product with its sum
    rounded once.
    """
    try:
        import numba
    except ImportError:
        return None
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    if fast:
        options["fastmath"] = {"contract", "reassoc", "nsz"}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder for the cache can be written to
        return numba.njit(**options)(loop)
