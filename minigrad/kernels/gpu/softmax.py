"""softmax and log_softmax as one kernel each way; a block reads its row three times, twice of them from the cache."""

from __future__ import annotations

import math

from minigrad.backend import Array, module_of
from minigrad.kernels.gpu.launch import flat, launch


def softmax(x: Array, dim: int, log: bool) -> Array:
    """softmax(x), or its logarithm, along `dim` of x, which is not empty."""
    x = flat(x)
    out = module_of(x).empty_like(x)
    rows, n, inner = _rows(x, dim)
    launch("softmax", "softmax", x, rows, x, out, rows, n, inner, log)
    return out


def softmax_back(g: Array, out: Array, dim: int, log: bool) -> Array:
    """The gradient of the input, from that of the result and the result."""
    g, out = flat(g), flat(out)
    result = module_of(g).empty_like(g)
    rows, n, inner = _rows(g, dim)
    launch("softmax", "softmax_back", g, rows, g, out, result, rows, n, inner, log)
    return result


def _rows(x: Array, dim: int) -> tuple[int, int, int]:
    """How many rows there are, their length, and how far apart their elements lie."""
    n = x.shape[dim]
    return x.size // n, n, math.prod(x.shape[dim + 1 :])
