"""Max and average pooling, one kernel each way; the functions beside these in `kernels.pooling` say what they are.

`how` are the windows, `even` ones too. Transposes gather, so that results repeat; only where nothing is known of the
windows are numbers added to their places as they come (atomically, in an order left to chance).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minigrad.backend import Array, module_of, np
from minigrad.kernels.gpu.launch import flat, over_elements
from minigrad.kernels.gpu.windows import moves

if TYPE_CHECKING:
    from minigrad.kernels.pooling import Pool

Shape = tuple[int, ...]


def _pool(how: Pool, sizes: Shape, windows: Shape) -> Any:
    """The kernels' struct."""
    return moves(sizes, windows, *how[:4])


def max_pool(x: Array, how: Pool, windows: Shape) -> tuple[Array, Array]:
    """The largest number of every window, and its flat position in its plane."""
    x, n, xp = flat(x), len(windows), module_of(x)
    shape = (*x.shape[:-n], *windows)
    values, indices = xp.empty(shape, x.dtype), xp.empty(shape, np.int64)
    pool = _pool(how, x.shape[-n:], windows)
    over_elements("pooling", "max_pool", x, values.size, x, values, indices, values.size, pool)
    return values, indices


def max_pool_back(g: Array, indices: Array, how: Pool | None, n: int, shape: Shape) -> Array:
    """Zeros of `shape` with every g added where its maximum stood in the last n dims."""
    g, indices, xp = flat(g), flat(indices), module_of(g)
    sizes, windows = shape[-n:], g.shape[-n:]
    if how is None or any(size < d for size, d in zip(sizes, how.dilation)):  # a window can then miss the input
        out = xp.zeros(shape, g.dtype)
        volumes = math.prod(windows), math.prod(sizes)
        over_elements("pooling", "add_to_places", g, g.size, g, indices, out, g.size, *volumes)
    else:
        out = xp.empty(shape, g.dtype)
        pool = _pool(how, sizes, windows)
        over_elements("pooling", "max_pool_back", g, out.size, g, indices, out, out.size, pool)
    return out


def read_places(x: Array, indices: Array, n: int) -> Array:
    """The numbers of x that stand at `indices` of its last n dims."""
    x, indices = flat(x), flat(indices)
    out = module_of(x).empty(indices.shape, x.dtype)
    volumes = math.prod(indices.shape[-n:]), math.prod(x.shape[-n:])
    over_elements("pooling", "read_places", x, out.size, x, indices, out, out.size, *volumes)
    return out


def avg_pool(x: Array, how: Pool, windows: Shape, padded: bool, divisor: float | None) -> Array:
    """The sum of every window over the number of its positions, with those in the padding if `padded`, or `divisor`."""
    x, n = flat(x), len(windows)
    out = module_of(x).empty((*x.shape[:-n], *windows), x.dtype)
    pool = _pool(how, x.shape[-n:], windows)
    over_elements("pooling", "avg_pool", x, out.size, x, out, out.size, pool, padded, float(divisor or 0))
    return out


def avg_pool_back(g: Array, how: Pool, shape: Shape, padded: bool, divisor: float | None) -> Array:
    """Every g spread evenly over its window, in zeros of `shape`."""
    g, n = flat(g), len(how.kernel)
    out = module_of(g).empty(shape, g.dtype)
    pool = _pool(how, shape[-n:], g.shape[-n:])
    over_elements("pooling", "avg_pool_back", g, out.size, g, out, out.size, pool, padded, float(divisor or 0))
    return out
