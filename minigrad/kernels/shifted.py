"""Convolution as sums of shifted planes, for few channels: compiled loops that need no columns.

Along an axis window o reads position o*stride + t*dilation - padding for tap t. With the padded input sorted by
remainder, position r*stride + phase - padding at row r of its phase, tap t reads phase (t*dilation) % stride at row
o + t*dilation // stride: every tap sees all windows as one plane, shifted by a fixed *place*. Flattened, windows lie in
the pitch of the input's rows, so a plane of `length` numbers from place on is all that a tap needs, in one long loop:

    out[k] = sum over (c, t) of w[k, c, t] * x[place(c, t) : place(c, t) + length]

The numbers between a row's last window and the next row's first come along and are dropped. The transposes go through
the same places: `conv_input` adds shifted planes, `conv_weight` multiplies them; between the rows of g are zeros, which
an infinite weight or input makes nan, so there it can make nan of more results than the plain sum does.

The loops take two rows of outputs and four of inputs at a time: weights are padded with zeros to whole pairs and
quadruples, which read a plane of zeros. Shapes: x (N, groups, numbers of a sample), w (groups, rows, columns).
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.loops import compiled
from minigrad.kernels.threads import get_num_threads, over
from minigrad.kernels.windows import span, taps

Array = Any
Shape = tuple[int, ...]

BLOCK_BYTES = 1 << 19  # of planes at once: they stay in the cache


class Places(NamedTuple):
    """Where a convolution's numbers lie in the buffers."""

    phases: list[Any]  # of each: its index, its rows, the input's positions there, an axis each
    planes: Shape  # a channel: phases and their rows, (*stride, *rows)
    first: list[int]  # place of each tap for channel 0
    channel: int  # how far a channel is from the next
    pitched: Shape  # windows in the pitch of the rows: (windows, *rows[1:])
    length: int  # from the first window to the last


@lru_cache(maxsize=256)
def places(sizes: Shape, kernel: Shape, windows: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Places:
    """Where everything lies."""
    rows = tuple(o + (span(k, d) - 1) // s for o, k, d, s in zip(windows, kernel, dilation, stride))
    pitch = [math.prod(rows[i + 1 :]) for i in range(len(rows))]
    plane = math.prod(rows)
    along = [taps(size, r, s, s, p, 1) for size, r, s, p in zip(sizes, rows, stride, padding)]
    phases = [tuple(zip(*parts)) for parts in itertools.product(*along)]
    first = []
    for tap in itertools.product(*map(range, kernel)):
        place = phase = 0
        for t, d, s, step in zip(tap, dilation, stride, pitch):
            phase = phase * s + t * d % s
            place += t * d // s * step
        first.append(phase * plane + place)
    length = sum((o - 1) * step for o, step in zip(windows, pitch)) + 1
    return Places(phases, (*stride, *rows), first, math.prod(stride) * plane, (windows[0], *rows[1:]), length)


def pays(sizes: Shape, w_shape: Shape, shape: Shape, how: Conv) -> bool:
    """Whether `conv` and `conv_weight` are faster than in columns: for few outputs, and rows mostly of windows.

    In several threads for more outputs, as columns are made in many short calls that wait for Python's lock.
    """
    at = places(sizes, w_shape[2:], shape[2:], *how[:3])
    few = 20 if get_num_threads() == 1 else 32
    return w_shape[0] // how.groups <= few * (math.prod(shape[2:]) / at.length) ** 2


def pays_for_input(sizes: Shape, w_shape: Shape, shape: Shape, how: Conv) -> bool:
    """Whether `conv_input` is faster than in columns: for few inputs, and planes that are long loops."""
    return w_shape[1] <= 32 and places(sizes, w_shape[2:], shape[2:], *how[:3]).length >= 128


def conv(x: Array, w: Array, how: Conv, shape: Shape) -> Array:
    """`convolution.conv` of arrays that fit together; the result has `shape`."""
    groups, (k, c) = how.groups, w.shape[:2]
    at = places(x.shape[2:], w.shape[2:], shape[2:], *how[:3])
    weights, where = _filled_up(w.reshape(groups, k // groups, -1), at, c)
    out = np.empty((shape[0], groups, k // groups, *shape[2:]), x.dtype)
    loop, pitch = compiled(add_planes, fast=True), math.prod(at.pitched)
    targets = np.arange(weights.shape[1]) * pitch

    def work(start: int, stop: int) -> None:
        buffer, planes = _planes(at, groups, c, stop - start, x.dtype)
        sums = np.empty((len(buffer), groups, weights.shape[1], pitch), x.dtype)
        flat = sums.reshape(len(buffer), groups, -1)
        for block in _blocks(start, stop, len(buffer)):
            m = block.stop - block.start
            _fill(planes[:m], x[block], at)
            loop(buffer[:m], where, weights, targets, flat[:m], at.length)
            out[block] = _windows(sums[:m], at, shape[2:])[:, :, : k // groups]

    over(len(x), work, out.size * w[0].size)
    return out.reshape(shape)


def conv_weight(g: Array, x: Array, how: Conv, w_shape: Shape) -> Array:
    """`convolution.conv_weight` of arrays that fit together."""
    groups, (k, c) = how.groups, w_shape[:2]
    at = places(x.shape[2:], w_shape[2:], g.shape[2:], *how[:3])
    where = np.add.outer(np.arange(c) * at.channel, at.first).ravel()
    where = np.append(where, np.repeat(where[-1:], -len(where) % 4))
    rows = k // groups
    loop = compiled(multiply, fast=True)

    def work(start: int, stop: int) -> Array:
        buffer, planes = _planes(at, groups, c, stop - start, x.dtype)
        pitched = np.zeros((len(buffer), groups, rows + rows % 2, math.prod(at.pitched)), g.dtype)
        out = np.zeros((groups, rows + rows % 2, len(where)), g.dtype)
        for block in _blocks(start, stop, len(buffer)):
            m = block.stop - block.start
            _fill(planes[:m], x[block], at)
            _windows(pitched[:m], at, g.shape[2:])[:, :, :rows] = g[block].reshape(m, groups, rows, *g.shape[2:])
            loop(pitched[:m], buffer[:m], where, out, at.length)
        return out

    first, *others = over(len(x), work, g.size * math.prod(w_shape[1:]))
    for other in others:
        first += other
    return first[:, :rows, : math.prod(w_shape[1:])].reshape(w_shape)


def conv_input(g: Array, w: Array, how: Conv, x_shape: Shape) -> Array:
    """`convolution.conv_input` of arrays that fit together."""
    groups, (k, c) = how.groups, w.shape[:2]
    at = places(x_shape[2:], w.shape[2:], g.shape[2:], *how[:3])
    rows, even = k // groups, c + c % 2
    four = rows + -rows % 4
    weights = np.zeros((groups, len(at.first), even, four), w.dtype)  # two channels of a tap together never overlap
    weights[:, :, :c, :rows] = w.reshape(groups, rows, c, -1).transpose(0, 3, 2, 1)
    where = np.add.outer(at.first, np.arange(even) * at.channel).ravel()
    out = np.zeros((x_shape[0], groups, c, *x_shape[2:]), g.dtype)  # where no window reads nothing is added
    loop, pitch = compiled(add_planes, fast=True), math.prod(at.pitched)
    weights, sources = weights.reshape(groups, -1, four), np.arange(four) * pitch

    def work(start: int, stop: int) -> None:
        buffer, planes = _planes(at, groups, even, stop - start, g.dtype)
        pitched = np.zeros((len(buffer), groups, four, pitch), g.dtype)
        flat = pitched.reshape(len(buffer), groups, -1)
        for block in _blocks(start, stop, len(buffer)):
            m = block.stop - block.start
            _windows(pitched[:m], at, g.shape[2:])[:, :, :rows] = g[block].reshape(m, groups, rows, *g.shape[2:])
            loop(flat[:m], sources, weights, where, buffer[:m], at.length)
            for phase, rows_of, positions in at.phases:
                out[block][(..., *positions)] = planes[(slice(m), slice(None), slice(c), *phase, *rows_of)]

    over(x_shape[0], work, g.size * w[0].size)
    return out.reshape(x_shape)


# -- the loops ---------------------------------------------------------------------------------------------------------


def add_planes(x, places, w, targets, out, length):
    """out[n, i, targets[k] + p] = sum over r of w[i, k, r] * x[n, i, places[r] + p]; a pair's targets never overlap."""
    out[:] = 0
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for r in range(0, w.shape[2], 4):
                p0, p1, p2, p3 = places[r], places[r + 1], places[r + 2], places[r + 3]
                x0, x1 = x[n, i, p0 : p0 + length], x[n, i, p1 : p1 + length]
                x2, x3 = x[n, i, p2 : p2 + length], x[n, i, p3 : p3 + length]
                for k in range(0, w.shape[1], 2):
                    p0, p1 = targets[k], targets[k + 1]
                    a, b = out[n, i, p0 : p0 + length], out[n, i, p1 : p1 + length]
                    a0, a1, a2, a3 = w[i, k, r], w[i, k, r + 1], w[i, k, r + 2], w[i, k, r + 3]
                    b0, b1, b2, b3 = w[i, k + 1, r], w[i, k + 1, r + 1], w[i, k + 1, r + 2], w[i, k + 1, r + 3]
                    for p in range(length):
                        s0, s1, s2, s3 = x0[p], x1[p], x2[p], x3[p]
                        a[p] += a0 * s0 + a1 * s1 + a2 * s2 + a3 * s3
                        b[p] += b0 * s0 + b1 * s1 + b2 * s2 + b3 * s3


def multiply(g, x, places, out, length):
    """out[i, k, r] += sum over n, p of g[n, i, k, p] * x[n, i, places[r] + p]."""
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for k in range(0, g.shape[2], 2):
                a, b = g[n, i, k, :length], g[n, i, k + 1, :length]
                for r in range(0, len(places), 4):
                    p0, p1, p2, p3 = places[r], places[r + 1], places[r + 2], places[r + 3]
                    x0, x1 = x[n, i, p0 : p0 + length], x[n, i, p1 : p1 + length]
                    x2, x3 = x[n, i, p2 : p2 + length], x[n, i, p3 : p3 + length]
                    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
                    for p in range(length):
                        u, v = a[p], b[p]
                        a0 += u * x0[p]
                        a1 += u * x1[p]
                        a2 += u * x2[p]
                        a3 += u * x3[p]
                        b0 += v * x0[p]
                        b1 += v * x1[p]
                        b2 += v * x2[p]
                        b3 += v * x3[p]
                    out[i, k, r] += a0
                    out[i, k, r + 1] += a1
                    out[i, k, r + 2] += a2
                    out[i, k, r + 3] += a3
                    out[i, k + 1, r] += b0
                    out[i, k + 1, r + 1] += b1
                    out[i, k + 1, r + 2] += b2
                    out[i, k + 1, r + 3] += b3


# -- buffers -----------------------------------------------------------------------------------------------------------


def _planes(at: Places, groups: int, channels: int, samples: int, dtype: Any) -> tuple[Array, Array]:
    """Zeros for a block of samples, (B, groups, numbers), a plane of zeros last; and the channels' phases in it."""
    size = channels * at.channel
    step = max(1, BLOCK_BYTES // ((size + at.length) * groups * dtype.itemsize))
    buffer = np.zeros((min(step, samples), groups, size + at.length), dtype)
    return buffer, buffer[:, :, :size].reshape(*buffer.shape[:2], channels, *at.planes)


def _fill(planes: Array, x: Array, at: Places) -> None:
    """x (B, groups * C, *sizes) sorted into its phases."""
    x = x.reshape(*planes.shape[:3], *x.shape[2:])
    for phase, rows, positions in at.phases:
        planes[(..., *phase, *rows)] = x[(..., *positions)]


def _windows(pitched: Array, at: Places, windows: Shape) -> Array:
    """The windows in rows of (B, groups, K, numbers), a view."""
    return pitched.reshape(*pitched.shape[:3], *at.pitched)[(..., *map(slice, windows))]


def _filled_up(w: Array, at: Places, channels: int) -> tuple[Array, Array]:
    """`w` with zeros that make its rows twos and its columns (c, t) fours; and the columns' places."""
    rows, columns = w.shape[1:]
    out = np.zeros((len(w), rows + rows % 2, columns + -columns % 4), w.dtype)
    out[:, :rows, :columns] = w
    where = np.full(out.shape[2], channels * at.channel)
    where[:columns] = np.add.outer(np.arange(channels) * at.channel, at.first).ravel()
    return out, where


def _blocks(start: int, stop: int, step: int) -> list[slice]:
    return [slice(i, min(i + step, stop)) for i in range(start, stop, step)]
