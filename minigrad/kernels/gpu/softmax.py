"""softmax and log_softmax as one kernel each way: a row is read three times, twice of them from the cache."""

from __future__ import annotations

import math

from minigrad.backend import Array, module_of
from minigrad.kernels.gpu.launch import THREADS, flat, launch, team_for


def softmax(x: Array, dim: int, log: bool) -> Array:
    """softmax(x), or its logarithm, along `dim` of x, which is not empty."""
    x = flat(x)
    out = module_of(x).empty_like(x)
    _launch("softmax", dim, log, x, out)
    return out


def softmax_back(g: Array, out: Array, dim: int, log: bool) -> Array:
    """The gradient of the input, from that of the result and the result."""
    g, out = flat(g), flat(out)
    result = module_of(g).empty_like(g)
    _launch("softmax_back", dim, log, g, out, result)
    return result


def _launch(name: str, dim: int, log: bool, *arrays: Array) -> None:
    x = arrays[0]
    n, inner = x.shape[dim], math.prod(x.shape[dim + 1 :])
    rows = x.size // n
    team = 1 if inner > 1 else team_for(n)
    launch("softmax", name, x, -(-rows * team // THREADS), *arrays, rows, n, inner, log, team)
