"""Convolution over n spatial dimensions, and its two transposes.

    out[b, k, o] = sum over c, t of x[b, c, o*stride + t*dilation - padding] * w[k, c, t]      (x is 0 outside)

where o (output position) and t (tap) have n coordinates. As a matrix product: the *columns* of x hold, for every output
position, the C*taps numbers under the kernel; then out = w @ columns. out is linear in x and in w, so `conv_input` and
`conv_weight`, its transposes in x and in w, are all that its derivatives of every order need.

Shapes: x (N, C, *sizes), w (K, C/groups, *kernel), out and g (N, K, *windows). Channels are split into `groups` equal
parts; part i of the output sees only part i of the input. Samples are taken in blocks whose columns stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrad.kernels.windows import half_in_single, span, taps

Array = Any
Shape = tuple[int, ...]

CACHE_BYTES = 1 << 19  # columns of a block on the CPU: best of 2**17 to 2**22 over LeNet's layers and 3x3 64->64
GPU_BYTES = 1 << 28  # on the GPU a block only bounds the memory, for columns are taps times as large as x


class Conv(NamedTuple):
    """How the kernel moves: one number a spatial dimension (padding on both sides), and the number of groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@half_in_single
def conv(x: Array, w: Array, how: Conv, xp: ModuleType) -> Array:
    """The convolution of `x` with `w`; RuntimeError with torch's text if they do not fit (see `check`)."""
    shape = check(x.shape, w.shape, how)
    groups, n, k = how.groups, shape[0], shape[1]
    rows = w.reshape(groups, k // groups, math.prod(w.shape[1:]))
    out = xp.empty((n, groups, k // groups, math.prod(shape[2:])), x.dtype)
    for block, columns in _columns(x, w.shape, shape, how, xp):
        xp.matmul(rows, columns, out=out[block])
    return out.reshape(shape)


@half_in_single
def conv_weight(g: Array, x: Array, how: Conv, w_shape: Shape, xp: ModuleType) -> Array:
    """The transpose of `conv` in w: <conv(x, w), g> = <w, conv_weight(g, x)>."""
    groups, k = how.groups, w_shape[0]
    g_rows = g.reshape(g.shape[0], groups, k // groups, math.prod(g.shape[2:]))
    out = xp.zeros((groups, math.prod(w_shape[1:]), k // groups), x.dtype)
    for block, columns in _columns(x, w_shape, g.shape, how, xp):
        out += (columns @ g_rows[block].swapaxes(2, 3)).sum(axis=0)  # the sum of small products beats one tensordot
    return out.swapaxes(1, 2).reshape(w_shape)


@half_in_single
def conv_input(g: Array, w: Array, how: Conv, x_shape: Shape, xp: ModuleType) -> Array:
    """The transpose of `conv` in x: <conv(x, w), g> = <x, conv_input(g, w)>."""
    groups, n, k = how.groups, g.shape[0], g.shape[1]
    w_columns = w.reshape(groups, k // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    g_rows = g.reshape(n, groups, k // groups, math.prod(g.shape[2:]))
    out = xp.empty(x_shape, g.dtype)
    for block in _blocks(n, x_shape[1] * math.prod(w.shape[2:] + g.shape[2:]) * g.itemsize, xp):
        columns = w_columns @ g_rows[block]
        columns = columns.reshape(len(columns), x_shape[1], *w.shape[2:], *g.shape[2:])
        out[block] = fold(columns, x_shape[2:], how, xp)
    return out


# -- columns -----------------------------------------------------------------------------------------------------------


def _columns(x: Array, w_shape: Shape, out_shape: Shape, how: Conv, xp: ModuleType) -> Iterator[tuple[slice, Array]]:
    """Blocks of samples with their columns, (B, groups, C/groups * taps, windows)."""
    rows, windows = math.prod(w_shape[1:]), math.prod(out_shape[2:])
    for block in _blocks(len(x), how.groups * rows * windows * x.itemsize, xp):
        columns = unfold(x[block], w_shape[2:], out_shape[2:], how, xp)
        yield block, columns.reshape(len(columns), how.groups, rows, windows)


def unfold(image: Array, kernel: Shape, windows: Shape, how: Conv, xp: ModuleType) -> Array:
    """(B, C, *sizes) copied out to columns (B, C, *kernel, *windows), one axis at a time, the last first."""
    n = len(kernel)
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


def _blocks(samples: int, bytes_each: int, xp: ModuleType) -> Iterator[slice]:
    """Slices of samples whose columns fit the block size."""
    step = max(1, (CACHE_BYTES if xp is np else GPU_BYTES) // max(1, bytes_each))
    return (slice(start, start + step) for start in range(0, samples, step))


# -- shapes ------------------------------------------------------------------------------------------------------------


def check(x_shape: Shape, w_shape: Shape, how: Conv, bias_shape: Shape | None = None) -> Shape:
    """The shape of conv(x, w); RuntimeError with torch's text if the shapes and `how` do not fit together."""
    n, groups, size = len(w_shape) - 2, how.groups, list(w_shape)
    if n < 1:
        raise RuntimeError(f"weight should have at least three dimensions\nThe weight has shape {size}.")
    if len(x_shape) != n + 2:
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to conv{n}d, "
            f"but got input of size: {list(x_shape)}"
        )
    _check_how(how, n)
    given = f"Given groups={groups}, "
    if w_shape[0] < groups:
        raise RuntimeError(
            f"{given}expected weight to be at least {groups} at dimension 0, but got weight of size {size} instead"
        )
    if w_shape[0] % groups:
        raise RuntimeError(
            f"{given}expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{size}] instead"
        )
    if x_shape[1] != w_shape[1] * groups:
        raise RuntimeError(
            f"{given}weight of size {size}, expected input{list(x_shape)} to have {w_shape[1] * groups} channels, "
            f"but got {x_shape[1]} channels instead"
        )
    if bias_shape is not None and bias_shape != w_shape[:1]:
        raise RuntimeError(
            f"Given weight of size {size}, expected bias to be 1-dimensional with {w_shape[0]} elements, "
            f"but got bias of size {list(bias_shape)} instead"
        )
    if not all(w_shape[2:]):
        raise RuntimeError(f"kernel size should be greater than zero, but got weight of size {size}")
    padded = [s + 2 * p for s, p in zip(x_shape[2:], how.padding, strict=True)]
    kernel = [span(k, d) for k, d in zip(w_shape[2:], how.dilation, strict=True)]
    if any(s < k for s, k in zip(padded, kernel, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_times(padded)}). Kernel size: ({_times(kernel)}). "
            f"Kernel size can't be greater than actual input size\n"
            f"The input has shape {list(x_shape)}: pad it, or choose a smaller kernel or dilation."
        )
    if not all(x_shape[2:]):
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {list(x_shape)}"
        )
    return (*x_shape[:1], w_shape[0], *((s - k) // d + 1 for s, k, d in zip(padded, kernel, how.stride, strict=True)))


def check_transposed(
    x_shape: Shape, w_shape: Shape, how: Conv, output_padding: Shape, bias_shape: Shape | None = None
) -> Shape:
    """The shape of the transposed convolution of x (N, K, *windows) with w (K, C/groups, *kernel).

    RuntimeError with torch's text if the shapes, `how` and `output_padding` do not fit together.
    """
    n, groups, size = len(w_shape) - 2, how.groups, list(w_shape)
    _check_how(how, n)
    _check_numbers("output_padding", output_padding, n)
    if min(output_padding) < 0:
        raise RuntimeError(f"negative output_padding is not supported\nGot {list(output_padding)}.")
    if w_shape[0] < groups or w_shape[0] % groups:
        fit = f"at least {groups}" if w_shape[0] < groups else f"divisible by {groups}"
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be {fit} at dimension 0, but got weight of size {size} instead"
        )
    given = f"Given transposed=1, weight of size {size}, expected"
    if x_shape[1] != w_shape[0]:
        raise RuntimeError(
            f"{given} input{list(x_shape)} to have {w_shape[0]} channels, but got {x_shape[1]} channels instead"
        )
    channels = w_shape[1] * groups
    if bias_shape is not None and bias_shape != (channels,):
        raise RuntimeError(
            f"{given} bias to be 1-dimensional with {channels} elements, but got bias of size {list(bias_shape)} "
            f"instead"
        )
    if not all(x_shape[2:]):
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {list(x_shape)}"
        )
    if not all(w_shape[1:]):
        raise RuntimeError(f"non-empty weight tensor expected, but got: {size}")
    if any(extra >= max(s, d) for extra, s, d in zip(output_padding, how.stride, how.dilation)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding "
            f"{list(output_padding)}, stride {list(how.stride)} and dilation {list(how.dilation)}"
        )
    sizes = [
        (windows - 1) * s - 2 * p + span(k, d) + extra
        for windows, k, s, p, d, extra in zip(x_shape[2:], w_shape[2:], *how[:3], output_padding)
    ]
    if min(sizes) < 1:
        raise RuntimeError(
            f"Given input size per channel: ({_times(list(x_shape[2:]))}). Calculated output size per channel: "
            f"({_times(sizes)}). Output size is too small"
        )
    return (x_shape[0], channels, *sizes)


def _check_numbers(name: str, values: Shape, n: int) -> None:
    if len(values) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution "
            f"dimensions, but got {name}={list(values)}"
        )


def _check_how(how: Conv, n: int) -> None:
    """RuntimeError unless `how` has n positive numbers a field."""
    if how.groups < 1:
        raise RuntimeError(f"non-positive groups is not supported\nGot groups={how.groups}.")
    for name, values in zip(how._fields[:3], how[:3], strict=True):
        _check_numbers(name, values, n)
    for wrong, text, values in (
        (min(how.padding) < 0, "negative padding is not supported", how.padding),
        (min(how.stride) < 1, "non-positive stride is not supported", how.stride),
        (min(how.dilation) < 0, "dilation should be greater than zero", how.dilation),
        (min(how.dilation) == 0, "non-positive dilation is not supported", how.dilation),
    ):
        if wrong:
            raise RuntimeError(f"{text}\nGot {list(values)}, one number a spatial dimension.")


def _times(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))
