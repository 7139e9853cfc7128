"""relu and its gradient on large arrays as compiled loops, split over threads: one pass, and no branch to guess."""

from __future__ import annotations

from typing import Any

from minigrad.backend import Array, np
from minigrad.kernels.loops import compiled, takes
from minigrad.kernels.threads import WORTH, over

COMPILED = 1 << 12  # numbers from which a compiled loop pays
COST = 4  # a number's part in the work, in multiplications


def fits(x: Array) -> bool:
    """Whether these loops may take it, which must be without gaps."""
    return takes(COMPILED, x) and x.flags.c_contiguous


def relu(x: Array) -> Array:
    """0 where x <= 0, else x."""
    return _split(compiled(positive), x)


def relu_back(g: Array, out: Array) -> Array:
    """0 where out <= 0, else g."""
    return _split(compiled(where_positive), g, out)


def _split(loop: Any, *arrays: Array) -> Array:
    result = np.empty_like(arrays[0])
    flat = [a.reshape(-1) for a in (*arrays, result)]
    if COST * result.size < 2 * WORTH:
        loop(*flat)
    else:
        over(result.size, lambda start, stop: loop(*(a[start:stop] for a in flat)), COST * result.size)
    return result


def positive(x, result):
    zero = x.dtype.type(0)
    for i in range(len(x)):
        result[i] = zero if x[i] <= zero else x[i]


def where_positive(g, out, result):
    zero = g.dtype.type(0)
    for i in range(len(g)):
        result[i] = zero if out[i] <= zero else g[i]
