"""Products of vectors, matrices and stacks of matrices; on the GPU all of them are `gpu.blas`'s.

Where work is split over threads of ours, so are large products, and BLAS is held to one thread for all that it would
split itself (see `threads`).
"""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, is_gpu_array, np
from minigrad.kernels.gpu import blas
from minigrad.kernels.threads import WORTH, held, is_splitting, over

SPLITS = 1 << 18  # multiplications from which OpenBLAS uses its threads for a product of matrices
READS = 9216  # numbers of a matrix from which it does for a product with a vector
TURNED = 1 << 15  # numbers of a transposed matrix that is worth turning around


def product(a: Array, b: Array) -> Array:
    """a @ b of two matrices; ValueError if they do not fit. (`dot` is as fast as @, for small ones twice as fast.)"""
    if type(a) is not np.ndarray and is_gpu_array(a):
        return blas.matmul(a, b)
    cost = len(a) * b.size
    if cost < SPLITS or type(b) is not np.ndarray or b.dtype.char not in "fd" or a.shape[1] != len(b):
        return a.dot(b)
    if not is_splitting():
        return _product(a, b)
    if cost < 2 * WORTH:
        with held:
            return _product(a, b)
    m, n = len(a), b.shape[1]
    out: Any = np.empty((m, n), a.dtype)

    def columns(start: int, stop: int) -> None:
        if _is_turned(a, b):
            out[:, start:stop] = b[:, start:stop].T.dot(a.T).T
        else:
            np.matmul(a, b[:, start:stop], out=out[:, start:stop])

    if n > m:
        over(n, columns, cost)
    else:
        over(m, lambda start, stop: np.matmul(a[start:stop], b, out=out[start:stop]), cost)
    return out


def _product(a: Array, b: Array) -> Array:
    return np.ascontiguousarray(b.T.dot(a.T).T) if _is_turned(a, b) else a.dot(b)


def _is_turned(a: Array, b: Array) -> bool:
    """Whether OpenBLAS is faster at the product of the transposes.

    It is for few rows times a large transposed matrix, as a linear layer has it: by a tenth for 64 rows, half for 16.
    """
    return b.size >= TURNED and 1 < len(a) <= 128 and b.flags.f_contiguous


def stacked(a: Array, b: Array) -> Array:
    """a @ b of two stacks of matrices, whose dims in front are broadcast; ValueError if they do not fit."""
    if type(a) is not np.ndarray and is_gpu_array(a):
        return blas.matmul(a, b)
    cost = a.size * b.shape[-1]
    if cost < SPLITS or type(b) is not np.ndarray or b.dtype.char not in "fd" or not is_splitting():
        return a @ b
    if a.ndim == b.ndim == 2:
        return product(a, b)
    if cost < 2 * WORTH or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        with held:
            return a @ b
    out: Any = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    over(len(a), lambda start, stop: np.matmul(a[start:stop], b[start:stop], out=out[start:stop]), cost)
    return out


def with_vector(a: Array, b: Array) -> Array:
    """a @ b where one is a vector, or both."""
    if type(a) is not np.ndarray and is_gpu_array(a):  # a vector is a matrix of one row
        if a.ndim == 1:
            return blas.matmul(a[None], b if b.ndim == 2 else b[:, None]).reshape(b.shape[1:])
        return blas.matmul(b[None], a.T).reshape(a.shape[:1])
    if max(a.size, b.size) < READS or type(a) is not np.ndarray or not is_splitting():
        return a.dot(b)
    with held:
        return a.dot(b)


# -- in the caller's thread, which may hold BLAS, or be one of several -------------------------------------------------


def unsplit(a: Array, b: Array) -> Array:
    """a @ b of two stacks of matrices."""
    if type(a) is not np.ndarray and is_gpu_array(a):
        return blas.matmul(a, b)
    return a @ b


def write_product(a: Array, b: Array, out: Array) -> None:
    """out[...] = a @ b of two stacks of matrices."""
    if type(a) is not np.ndarray and is_gpu_array(a):
        blas.matmul(a, b, out)
    else:
        np.matmul(a, b, out=out)


def add_product(a: Array, b: Array, out: Array) -> None:
    """out += a @ b of two stacks of matrices."""
    if type(a) is not np.ndarray and is_gpu_array(a):
        blas.matmul(a, b, out, add=True)
    else:
        out += a.dot(b) if b.ndim == 2 else a @ b
