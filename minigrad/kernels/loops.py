"""Loops that numba compiles where it is installed (`pip install 'minigrad-engine[fast]'`), beside NumPy's way.

A loop is written in plain Python, over flat arrays. It is compiled at its first use, a second's work whose result numba
keeps on disk. Nothing is imported before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad.backend import Array, np


def takes(least: int, first: Array, *more: Array | None, dtypes: str = "fd") -> bool:
    """Whether loops may take the arrays: of one of the dtypes, large enough, on the CPU, with numba there."""
    if first.size < least or first.dtype.char not in dtypes:
        return False
    for a in (first, *more):
        if a is not None and (type(a) is not np.ndarray or a.dtype != first.dtype):
            return False
    return _numba() is not None


@functools.cache
def _numba() -> Any:
    try:
        import numba
    except ImportError:
        return None
    return numba


@functools.cache
def compiled(loop: Callable[..., Any], fast: bool = False) -> Any:
    """The loop as machine code, None without numba. Divisions by 0 give inf and nan, as in NumPy.

    Every operation is rounded as written; with `fast`, sums may be taken in another order, and a product with its sum
    rounded once.
    """
    numba = _numba()
    if numba is None:
        return None
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    if fast:
        options["fastmath"] = {"contract", "reassoc", "nsz"}
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # no folder for the cache can be written to
        return numba.njit(**options)(loop)
