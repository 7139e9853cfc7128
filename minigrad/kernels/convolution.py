"""Convolution over n spatial dimensions, and its two transposes.

    out[b, k, o] = sum over c, t of x[b, c, o*stride + t*dilation - padding] * w[k, c, t]      (x is 0 outside)

where o (output position) and t (tap) have n coordinates. As a matrix product: the *columns* of x hold, for every output
position, the C*taps numbers under the kernel; then out = w @ columns. out is linear in x and in w, so `conv_input` and
`conv_weight`, its transposes in x and in w, are all that its derivatives of every order need.

Shapes: x (N, C, *sizes), w (K, C/groups, *kernel), out and g (N, K, *windows). Channels are split into `groups` equal
parts; part i of the output sees only part i of the input. Samples are taken in blocks whose columns stay in the cache,
and on the CPU are split over threads. Where numba is installed, `winograd` takes the 3x3 kernels of many channels, and
`shifted` what has few channels on a side. On the GPU `cudnn` comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.kernels import shifted, winograd
from minigrad.kernels.convolution_shapes import Conv, check
from minigrad.kernels.gpu import columns as gpu_columns
from minigrad.kernels.gpu import cudnn
from minigrad.kernels.gpu.launch import takes as kernel_takes
from minigrad.kernels.loops import takes
from minigrad.kernels.products import unsplit, write_product
from minigrad.kernels.threads import over
from minigrad.kernels.windows import half_in_single, taps

Array = Any
Shape = tuple[int, ...]

CACHE_BYTES = 1 << 19  # columns of a block on the CPU: best of 2**17 to 2**22 over LeNet's layers and 3x3 64->64
GPU_BYTES = 1 << 28  # on the GPU a block only bounds the memory, for columns are taps times as large as x
COMPILED = 1 << 16  # multiplications from which a compiled loop pays


def conv(x: Array, w: Array, how: Conv, xp: ModuleType) -> Array:
    """The convolution of `x` with `w`; RuntimeError with torch's text if they do not fit (see `check`)."""
    shape = check(x.shape, w.shape, how)
    out = None if xp is np else cudnn.conv(x, w, how, shape)
    return _conv(x, w, how, shape, xp) if out is None else out


def conv_weight(g: Array, x: Array, how: Conv, w_shape: Shape, xp: ModuleType) -> Array:
    """The transpose of `conv` in w: <conv(x, w), g> = <w, conv_weight(g, x)>."""
    out = None if xp is np else cudnn.conv_weight(g, x, how, w_shape)
    return _conv_weight(g, x, how, w_shape, xp) if out is None else out


def conv_input(g: Array, w: Array, how: Conv, x_shape: Shape, xp: ModuleType) -> Array:
    """The transpose of `conv` in x: <conv(x, w), g> = <x, conv_input(g, w)>."""
    out = None if xp is np else cudnn.conv_input(g, w, how, x_shape)
    return _conv_input(g, w, how, x_shape, xp) if out is None else out


# -- as products -------------------------------------------------------------------------------------------------------


@half_in_single
def _conv(x: Array, w: Array, how: Conv, shape: Shape, xp: ModuleType) -> Array:
    if _compiled(x, w.shape, shape):
        if winograd.pays(w.shape, how):
            return winograd.conv(x, w, how.padding, shape[2:])
        if shifted.pays(x.shape[2:], w.shape, shape, how):
            return shifted.conv(x, w, how, shape)
    groups, n, k = how.groups, shape[0], shape[1]
    rows = w.reshape(groups, k // groups, math.prod(w.shape[1:]))
    out = xp.empty((n, groups, k // groups, math.prod(shape[2:])), x.dtype)

    def work(start: int, stop: int) -> None:
        for block, columns in _columns(x, start, stop, w.shape, shape, how, xp):
            write_product(rows, columns, out[block])

    over(n, work, w.size * out.size // k if xp is np else 0)
    return out.reshape(shape)


@half_in_single
def _conv_weight(g: Array, x: Array, how: Conv, w_shape: Shape, xp: ModuleType) -> Array:
    if _compiled(x, w_shape, g.shape):
        if winograd.pays(w_shape, how):
            return winograd.conv_weight(g, x, how.padding)
        if shifted.pays(x.shape[2:], w_shape, g.shape, how):
            return shifted.conv_weight(g, x, how, w_shape)
    groups, k = how.groups, w_shape[0]
    g_rows = g.reshape(g.shape[0], groups, k // groups, math.prod(g.shape[2:]))

    def work(start: int, stop: int) -> Array:
        out = xp.zeros((groups, math.prod(w_shape[1:]), k // groups), x.dtype)
        for block, columns in _columns(x, start, stop, w_shape, g.shape, how, xp):
            # small products summed beat one tensordot
            out += unsplit(columns, g_rows[block].swapaxes(2, 3)).sum(axis=0)
        return out

    first, *others = over(len(x), work, math.prod(w_shape) * g.size // max(1, k) if xp is np else 0)
    for other in others:
        first += other
    return first.swapaxes(1, 2).reshape(w_shape)


@half_in_single
def _conv_input(g: Array, w: Array, how: Conv, x_shape: Shape, xp: ModuleType) -> Array:
    if _compiled(g, w.shape, g.shape):
        if winograd.pays(w.shape, how):
            return winograd.conv_input(g, w, how.padding, x_shape[2:])
        if shifted.pays_for_input(x_shape[2:], w.shape, g.shape, how):
            return shifted.conv_input(g, w, how, x_shape)
    groups, n, k = how.groups, g.shape[0], g.shape[1]
    w_columns = w.reshape(groups, k // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    g_rows = g.reshape(n, groups, k // groups, math.prod(g.shape[2:]))
    out = xp.empty(x_shape, g.dtype)

    def work(start: int, stop: int) -> None:
        for block in _blocks(start, stop, x_shape[1] * math.prod(w.shape[2:] + g.shape[2:]) * g.itemsize, xp):
            columns = unsplit(w_columns, g_rows[block])
            columns = columns.reshape(len(columns), x_shape[1], *w.shape[2:], *g.shape[2:])
            out[block] = fold(columns, x_shape[2:], how, xp)

    over(n, work, w.size * g.size // max(1, k) if xp is np else 0)
    return out


def _compiled(x: Array, w_shape: Shape, shape: Shape) -> bool:
    """Whether compiled loops may take it: of floats, enough of them, with numba installed."""
    return math.prod(w_shape[1:]) * math.prod(shape) >= COMPILED and takes(0, x)


# -- columns -----------------------------------------------------------------------------------------------------------


def _columns(
    x: Array, start: int, stop: int, w_shape: Shape, out_shape: Shape, how: Conv, xp: ModuleType
) -> Iterator[tuple[slice, Array]]:
    """Blocks of samples with their columns, (B, groups, C/groups * taps, windows)."""
    rows, windows = math.prod(w_shape[1:]), math.prod(out_shape[2:])
    for block in _blocks(start, stop, how.groups * rows * windows * x.itemsize, xp):
        columns = unfold(x[block], w_shape[2:], out_shape[2:], how, xp)
        yield block, columns.reshape(len(columns), how.groups, rows, windows)


def unfold(image: Array, kernel: Shape, windows: Shape, how: Conv, xp: ModuleType) -> Array:
    """(B, C, *sizes) copied out to columns (B, C, *kernel, *windows), one axis at a time, the last first."""
    n = len(kernel)
    if image.shape[2:] == windows and math.prod(kernel) == 1 and not any(how.padding):  # they are the image
        return image
    if xp is not np and kernel_takes(image):
        return gpu_columns.unfold(image, kernel, windows, how)
    for axis in reversed(range(n)):  # turns the axis, at 1 + n, into taps at 2 and windows at 2 + n
        shape = (*image.shape[:2], kernel[axis], *image.shape[2 : 1 + n], windows[axis], *image.shape[2 + n :])
        columns = (xp.zeros if how.padding[axis] else xp.empty)(shape, image.dtype)
        after = (slice(None),) * (n - 1 - axis)
        for tap, reads, positions in _taps(axis, image.shape[1 + n], windows[axis], kernel[axis], how):
            columns[:, :, tap][(..., reads, *after)] = image[(..., positions, *after)]
        image = columns
    return image


def fold(columns: Array, sizes: Shape, how: Conv, xp: ModuleType) -> Array:
    """The transpose of `unfold`: columns (B, C, *kernel, *windows) added to (B, C, *sizes), the first axis first."""
    n = len(sizes)
    if xp is not np and kernel_takes(columns):
        return gpu_columns.fold(columns, sizes, how)
    for axis in range(n):  # turns the axis' taps at 2 and its windows at 2 + n into positions at 1 + n
        kernel, windows = columns.shape[2], columns.shape[2 + n]
        shape = (*columns.shape[:2], *columns.shape[3 : 2 + n], sizes[axis], *columns.shape[3 + n :])
        image = xp.zeros(shape, columns.dtype)
        after = (slice(None),) * (n - 1 - axis)
        for tap, reads, positions in _taps(axis, sizes[axis], windows, kernel, how):
            image[(..., positions, *after)] += columns[:, :, tap][(..., reads, *after)]
        columns = image
    return columns


def _taps(axis: int, size: int, windows: int, kernel: int, how: Conv) -> list[tuple[int, slice, slice]]:
    return taps(size, windows, kernel, how.stride[axis], how.padding[axis], how.dilation[axis])


def _blocks(start: int, stop: int, bytes_each: int, xp: ModuleType) -> Iterator[slice]:
    """Slices of samples whose columns fit the block size."""
    step = max(1, (CACHE_BYTES if xp is np else GPU_BYTES) // max(1, bytes_each))
    return (slice(i, min(i + step, stop)) for i in range(start, stop, step))
