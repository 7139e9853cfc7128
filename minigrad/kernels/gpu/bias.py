"""Adding a bias in place, and sums over all dims but some that lie side by side, which are its gradient.

Sums are taken in parts, and the parts added in a second launch: always in the same order, so results repeat.
"""

from __future__ import annotations

import math

from minigrad.backend import Array, module_of
from minigrad.kernels.gpu.launch import THREADS, flat, launch, over_elements

ENOUGH = 1024  # blocks that keep a GPU busy
SEGMENT = 1024  # elements of a plane that a warp adds up at once
LEAST = 64  # rows, or segments, of a part: fewer are not worth a second launch


def add_bias(out: Array, bias: Array) -> Array:
    """out (N, C, *inner) += bias (C,) in place; `out` has no gaps."""
    bias, channels = flat(bias), out.shape[1]
    inner = math.prod(out.shape[2:])
    if inner < THREADS // 2:
        over_elements("bias", "add_to_rows", out, out.size, out, bias, out.size, channels, inner)
    else:
        planes = out.size // inner
        launch("bias", "add_to_planes", out, planes, out, bias, planes, channels, inner)
    return out


def sums_around(x: Array, first: int, stop: int) -> Array:
    """The sums over all dims of x but those from `first` to `stop`, in their shape; x is not empty."""
    x, kept = flat(x), x.shape[first:stop]
    n, channels, inner = math.prod(x.shape[:first]), math.prod(kept), math.prod(x.shape[stop:])
    if inner == 1:
        return _sum_rows(x, n, channels).reshape(kept)
    segments = n * -(-inner // SEGMENT)
    parts = _parts(segments, channels)
    length = -(-segments // parts)
    parts = -(-segments // length)
    out = module_of(x).empty((parts, channels), x.dtype)
    launch("bias", "sum_planes", x, channels * parts, x, out, n, channels, inner, SEGMENT, length)
    return (_sum_rows(out, parts, channels) if parts > 1 else out).reshape(kept)


def _sum_rows(x: Array, rows: int, columns: int) -> Array:
    tiles = -(-columns // 32)
    length = -(-rows // _parts(rows, tiles))
    parts = -(-rows // length)
    out = module_of(x).empty((parts, columns), x.dtype)
    launch("bias", "sum_rows", x, tiles * parts, x, out, rows, columns, length)
    return _sum_rows(out, parts, columns) if parts > 1 else out


def _parts(count: int, blocks: int) -> int:
    """Into how many parts `count` rows are cut, so that there are blocks enough, of `blocks` for each part."""
    return max(1, min(count // LEAST, ENOUGH // blocks))
