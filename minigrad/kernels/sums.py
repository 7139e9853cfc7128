"""Sums over the first or the last dims of an array, or all; on the CPU as a product with a vector of ones.

BLAS reads the memory once, in whole registers, where NumPy adds row to row or starts anew at each row: 64 x 10 floats
take 0.5 us against 2.5, 768 x 512 20 us against 55 to 75. Down the rows the result is also closer (four partial sums,
not one); along them it is not, as NumPy adds in pairs, so long rows are left to it.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from minigrad.backend import as_array, module_of, np
from minigrad.kernels.gpu import bias as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.products import with_vector

LARGE = 1 << 15  # elements from which the sum of all is taken in rows of LONGEST, three times faster and as close
LONGEST = 1024  # elements in a row: from there on NumPy's sums are closer by more than a digit's third


@functools.lru_cache(maxsize=256)
def _ones(n: int, dtype: Any) -> Any:
    return np.ones(n, dtype)


def whole(x: Any) -> Any:
    """x.sum() of floats."""
    if x.size < LARGE or type(x) is not np.ndarray or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return x.sum()
    flat, n = x.reshape(-1), x.size // LONGEST
    return (
        with_vector(flat[: n * LONGEST].reshape(n, LONGEST), _ones(LONGEST, x.dtype)).sum() + flat[n * LONGEST :].sum()
    )


def total(x: Any, dim: tuple[int, ...], keepdim: bool = False) -> Any:
    """x.sum(axis=dim) of floats; `dim` counts from the front."""
    k, shape = len(dim), x.shape
    if type(x) is np.ndarray and 0 < k < x.ndim and x.size and x.dtype.char in "fd" and x.flags.c_contiguous:
        if dim[0] == 0 and (k == 1 or dim == tuple(range(k))):
            n = math.prod(shape[:k])
            out = with_vector(_ones(n, x.dtype), x.reshape(n, x.size // n))
            return out.reshape((1,) * k + shape[k:] if keepdim else shape[k:])
        first = x.ndim - k
        if dim[0] == first and (k == 1 or dim == tuple(range(first, x.ndim))):
            n = math.prod(shape[first:])
            if n <= LONGEST:
                out = with_vector(x.reshape(x.size // n, n), _ones(n, x.dtype))
                return out.reshape(shape[:first] + (1,) * k if keepdim else shape[:first])
    elif type(x) is not np.ndarray and takes(x) and x.flags.c_contiguous:
        kept = [i for i in range(x.ndim) if i not in dim]
        if kept and kept[0] and kept[-1] - kept[0] < len(kept) < x.ndim:  # side by side, and not in front
            out = gpu.sums_around(x, kept[0], kept[-1] + 1)
            return out.reshape([1 if i in dim else n for i, n in enumerate(shape)]) if keepdim else out
    return whole(x) if k == x.ndim and not keepdim else x.sum(axis=dim, keepdims=keepdim)


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Sum x over the dims along which `shape` was broadcast to it: the adjoint of broadcasting."""
    extra = x.ndim - len(shape)
    dims = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1)
    if type(x) is not np.ndarray and dims and takes(x):
        return total(x, dims, True).reshape(shape)
    # Not `x.sum`: NumPy would warn of inf - inf from a module of its own, which nobody has told to be silent.
    return as_array(module_of(x).add.reduce(x, axis=dims, keepdims=True).reshape(shape))
