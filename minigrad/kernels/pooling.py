"""Max and average pooling over the last n dimensions, and their transposes.

A window of the input becomes one number. Both reductions split by axis, since the maximum (or sum) of a box is that of
its rows' maxima (or sums): every function here goes along one axis after the other, one whole-array step a tap.

Shapes: x (..., *sizes); values, indices and g (..., *windows); `check` says how many windows there are.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigrad import backend
from minigrad.kernels.gpu import pooling as gpu
from minigrad.kernels.gpu.launch import takes as gpu_takes
from minigrad.kernels.loops import compiled, takes
from minigrad.kernels.threads import over
from minigrad.kernels.windows import half_in_single, span, taps

Array = Any
Shape = tuple[int, ...]
COMPILED = 1 << 12  # numbers from which a compiled loop pays
COST = 32  # a number's part in the work, in multiplications
Slices = list[tuple[int, tuple[Any, ...], tuple[Any, ...]]]


class Pool(NamedTuple):
    """The windows: one number a spatial dimension (padding on both sides); ceil_mode keeps a last, cut window."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool


def even(n: int) -> Pool:
    """Windows that cover n dimensions evenly, however many there are, as `kernels.gpu.pooling` knows them."""
    return Pool((0,) * n, (0,) * n, (0,) * n, (1,) * n, False)


def _slices(how: Pool, axis: int, size: int, windows: int) -> Slices:
    """`taps` of a spatial axis (counted from the end, so negative) as indices into whole arrays."""
    along = taps(size, windows, how.kernel[axis], how.stride[axis], how.padding[axis], how.dilation[axis])
    after = (slice(None),) * (-1 - axis)
    return [(tap, (..., there, *after), (..., positions, *after)) for tap, there, positions in along]


def _resized(x: Array, axis: int, size: int) -> Shape:
    return (*x.shape[:axis], size, *x.shape[x.ndim + axis + 1 :])


# -- maximum -----------------------------------------------------------------------------------------------------------


def max_pool(x: Array, how: Pool, xp: ModuleType) -> tuple[Array, Array]:
    """The largest number of every window, and where it stands: its flat position in (*sizes), int64.

    Padding is -inf. Of equal numbers the first in memory order wins; a nan beats all (of several the last, as
    in torch). RuntimeError with torch's text if `how` does not fit (see `check`).

    The winner of a window is kept as the number of its tap in the kernel, in memory order: one byte instead of eight.
    Taps are met in that order, so a later winner has the larger number and "replace if it wins" is a maximum, which is
    several times faster than `where` on unpredictable data.
    """
    n, shape = len(how.kernel), check(x.shape, how)
    sizes, windows = x.shape[-n:], shape[-n:]
    if gpu_takes(x):
        return gpu.max_pool(x, how, windows)
    side_by_side = (
        how[:4] == ((2, 2), (2, 2), (0, 0), (1, 1)) and 2 * windows[0] <= sizes[0] and 2 * windows[1] <= sizes[1]
    )
    if side_by_side and takes(COMPILED, x):
        loop = compiled(largest_of_four)
        values, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
        planes = [a.reshape(-1, *a.shape[-2:]) for a in (np.ascontiguousarray(x), values, indices)]
        over(len(planes[0]), lambda start, stop: loop(*(a[start:stop] for a in planes)), COST * x.size)
        return values, indices
    number = "uint8" if math.prod(how.kernel) <= 256 else "int32"
    values, winner, unit = x, xp.zeros((), number), 1
    first = np.zeros((1,) * n, number)  # the first tap to fall inside, which stays the winner if all are -inf
    for axis in range(-1, -1 - n, -1):
        start = np.arange(windows[axis]) * how.stride[axis] - how.padding[axis]
        outside = -(np.minimum(start, 0) // how.dilation[axis])
        first = first + (unit * outside).astype(number).reshape(-1, *(1,) * (-1 - axis))
        values, winner = _max_along(values, winner, xp.asarray(first), unit, axis, windows[axis], how, xp)
        unit *= how.kernel[axis]
    indices = xp.asarray(_flat(how.kernel, how.dilation, (0,) * n, sizes).ravel()).take(winner)
    indices += xp.asarray(_flat(windows, how.stride, how.padding, sizes))
    if max(how.dilation) > 1:  # a window can then miss the input altogether: its index must not leave the plane
        xp.minimum(indices, math.prod(sizes) - 1, out=indices)
    return values, indices


def _max_along(
    values: Array, winner: Array, first: Array, unit: int, axis: int, windows: int, how: Pool, xp: ModuleType
) -> tuple[Array, Array]:
    """`max_pool` along one axis: tap t of it adds t * unit to the tap numbers that `winner` carries so far."""
    best = xp.full(_resized(values, axis, windows), _lowest(values.dtype), values.dtype)
    number = xp.empty(best.shape, first.dtype)
    number[...] = first
    for tap, there, positions in _slices(how, axis, values.shape[axis], windows):
        value, so_far, number_so_far = values[positions], best[there], number[there]
        candidate = (winner[positions] if winner.ndim else winner) + tap * unit
        if tap == 0:
            so_far[...] = value
        else:
            wins = (value > so_far) | (value != value)
            xp.maximum(so_far, value, out=so_far)
            candidate = candidate * wins.view("uint8")
        xp.maximum(number_so_far, candidate, out=number_so_far)
    return best, number


def _lowest(dtype: np.dtype) -> float:
    """What every number of a dtype beats or equals."""
    return -math.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


def _flat(counts: Shape, steps: Shape, offsets: Shape, sizes: Shape) -> np.ndarray:
    """A grid of `counts` points, `steps` apart and shifted back by `offsets`, as flat positions in (*sizes)."""
    flat = np.zeros((), np.int64)
    for count, step, offset, size in zip(counts, steps, offsets, sizes):
        flat = np.add.outer(flat * size, np.arange(count) * step - offset)
    return flat


@half_in_single
def max_pool_backward(
    g: Array, indices: Array, n: int, x_shape: Shape, xp: ModuleType, how: Pool | None = None
) -> Array:
    """The transpose of `max_pool_gather`: every g is added where its maximum stood, in windows `how` if known."""
    if gpu_takes(g):
        return gpu.max_pool_back(g, indices, how, n, x_shape)
    out, planes = xp.zeros(x_shape, g.dtype), math.prod(x_shape[:-n])
    if takes(COMPILED, g):
        compiled(add_to_planes)(
            out.reshape(planes, -1), indices.reshape(planes, -1), np.ascontiguousarray(g).reshape(planes, -1)
        )
    else:
        backend.add_at(out.reshape(-1), _places(indices, n, x_shape, xp).reshape(-1), g.reshape(-1))
    return out


def max_pool_gather(x: Array, indices: Array, n: int, xp: ModuleType) -> Array:
    """The numbers of `x` that stand at `indices` of its last n dimensions, one a window."""
    if gpu_takes(x):
        return gpu.read_places(x, indices, n)
    return x.reshape(-1).take(_places(indices, n, x.shape, xp))


@half_in_single
def unpool(x: Array, indices: Array, n: int, shape: Shape, xp: ModuleType) -> Array:
    """Zeros of `shape` with every x in its place: of several for one place, the last."""
    out = xp.zeros(shape, x.dtype)
    out.reshape(-1)[_places(indices, n, shape, xp).reshape(-1)] = x.reshape(-1)
    return out


def _places(indices: Array, n: int, x_shape: Shape, xp: ModuleType) -> Array:
    """Flat positions in a plane, the last n dimensions, as flat positions in all of x."""
    planes, plane = math.prod(x_shape[:-n]), math.prod(x_shape[-n:])
    return indices + (xp.arange(planes) * plane).reshape(*x_shape[:-n], *(1,) * n)


def largest_of_four(x, values, indices):
    """`max_pool` of planes x (M, H, W) by windows of 2x2 side by side, the most usual ones."""
    wide = x.shape[2]
    for m in range(len(x)):
        for p in range(values.shape[1]):
            upper, lower, best, at = x[m, 2 * p], x[m, 2 * p + 1], values[m, p], indices[m, p]
            for q in range(len(best)):
                value, b, c, d = upper[2 * q], upper[2 * q + 1], lower[2 * q], lower[2 * q + 1]
                wins = (b > value) | (b != b)
                value, place = b if wins else value, 1 if wins else 0
                wins = (c > value) | (c != c)
                value, place = c if wins else value, wide if wins else place
                wins = (d > value) | (d != d)
                best[q] = d if wins else value
                at[q] = 2 * (p * wide + q) + (wide + 1 if wins else place)


def add_to_planes(out, indices, g):
    """out[m, indices[m, i]] += g[m, i]."""
    for m in range(len(g)):
        for i in range(g.shape[1]):
            out[m, indices[m, i]] += g[m, i]


# -- average -----------------------------------------------------------------------------------------------------------


@half_in_single
def avg_pool(x: Array, how: Pool, count_include_pad: bool, divisor_override: int | None, xp: ModuleType) -> Array:
    """The sum of every window divided by how many numbers it holds, or by divisor_override (see `_divide`).

    how.dilation must be 1. RuntimeError with torch's text if `how` does not fit (see `check`) or divisor_override is 0.
    """
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero\nWindows' sums are divided by divisor_override, if it is given.")
    n = len(how.kernel)
    sizes, windows = x.shape[-n:], check(x.shape, how)[-n:]
    if gpu_takes(x):
        return gpu.avg_pool(x, how, windows, count_include_pad, divisor_override)
    for axis in range(-1, -1 - n, -1):
        sums = xp.zeros(_resized(x, axis, windows[axis]), x.dtype)
        for _, there, positions in _slices(how, axis, sizes[axis], windows[axis]):
            sums[there] += x[positions]
        x = sums
    return _divide(x, how, sizes, count_include_pad, divisor_override, xp)


@half_in_single
def avg_pool_backward(
    g: Array, how: Pool, x_shape: Shape, count_include_pad: bool, divisor_override: int | None, xp: ModuleType
) -> Array:
    """The transpose of `avg_pool`: every g spread evenly over its window."""
    n = len(how.kernel)
    sizes, windows = x_shape[-n:], g.shape[-n:]
    if gpu_takes(g):
        return gpu.avg_pool_back(g, how, x_shape, count_include_pad, divisor_override)
    g = _divide(g, how, sizes, count_include_pad, divisor_override, xp)
    for axis in range(-n, 0):
        spread = xp.zeros(_resized(g, axis, sizes[axis]), g.dtype)
        for _, there, positions in _slices(how, axis, sizes[axis], windows[axis]):
            spread[positions] += g[there]
        g = spread
    return g


def _divide(
    sums: Array, how: Pool, sizes: Shape, count_include_pad: bool, divisor_override: int | None, xp: ModuleType
) -> Array:
    """`sums`, one a window, divided by the number of positions in the window.

    Positions in the padding count if count_include_pad; those that ceil_mode adds beyond the padding never do.
    """
    if divisor_override is not None:
        return sums / divisor_override
    counts = np.ones((), np.int64)
    for size, windows, kernel, stride, padding in zip(sizes, sums.shape[-len(sizes) :], *how[:3]):
        margin = padding if count_include_pad else 0
        start = np.arange(windows) * stride - padding
        counts = np.multiply.outer(counts, np.minimum(start + kernel, size + margin) - np.maximum(start, -margin))
    if (counts == counts.flat[0]).all():
        return sums / int(counts.flat[0])
    return sums / xp.asarray(counts, sums.dtype)


# -- shapes ------------------------------------------------------------------------------------------------------------


def check(x_shape: Shape, how: Pool) -> Shape:
    """The shape of x, (N, C, *sizes) or (C, *sizes), once pooled; RuntimeError with torch's text if `how` does not fit.

    One dimension is checked as torch checks it: as two of which the first has size 1.
    """
    n = len(how.kernel)
    if n == 1:
        flat = Pool((1, *how.kernel), (1, *how.stride), (0, *how.padding), (1, *how.dilation), how.ceil_mode)
        shape = check((*x_shape[:-1], 1, *x_shape[-1:]), flat)
        return (*shape[:-2], shape[-1])
    ranks = f"{n + 1}D or {n + 2}D (batch mode)"
    if len(x_shape) not in (n + 1, n + 2):
        raise RuntimeError(f"non-empty {ranks} tensor expected for input\nGot the shape {list(x_shape)}.")
    _check_how(how)
    if not all(x_shape[1:]) or (len(x_shape) == n + 1 and not x_shape[0]):
        raise RuntimeError(
            f"Expected {ranks} tensor with optional 0 dim batch size for input, but got:{list(x_shape)}\n"
            f"Only the batch may be empty."
        )
    planes, sizes = x_shape[:-n], x_shape[-n:]
    windows = tuple(_windows(how, axis, size) for axis, size in enumerate(sizes))
    if min(windows) < 1:
        raise RuntimeError(
            f"Given input size: ({_by(planes[-1:] + sizes)}). Calculated output size: ({_by(planes[-1:] + windows)}). "
            f"Output size is too small\nThe window must fit the padded input: choose a smaller one, or pad."
        )
    return planes + windows


def _check_how(how: Pool) -> None:
    """RuntimeError unless kernel, stride and dilation are positive, and padding at most half the kernel."""
    kernel, stride, padding, dilation, _ = how
    names = "THW"[-len(kernel) :]
    for k, s, p, d in zip(kernel, stride, padding, dilation):
        if s == 0:
            raise RuntimeError("stride should not be zero\nIt is kernel_size where it is not given.")
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > int(span(k, d) / 2):  # towards 0, as C++ divides
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} "
                f"and dilation={d}"
            )
    for name, letter, values in zip(
        ("kernel size", "stride", "dilation"), ("k", "d", "dilation"), (kernel, stride, dilation)
    ):
        if min(values) < 1:
            got = " ".join(f"{letter}{axis}: {value}" for axis, value in zip(names, values))
            raise RuntimeError(f"{name} should be greater than zero, but got {got}")
    if any(p > k // 2 for p, k in zip(padding, kernel)):
        got = ", ".join(
            f"{a}{x} = {v}" for a, vs in (("pad", padding), ("k", kernel)) for x, v in zip(names[::-1], vs[::-1])
        )
        raise RuntimeError(f"pad should be smaller than or equal to half of kernel size, but got {got}")


def _windows(how: Pool, axis: int, size: int) -> int:
    """How many windows fit along an axis; with ceil_mode also a cut one, if it starts before the right padding."""
    stride, padding = how.stride[axis], how.padding[axis]
    room = size + 2 * padding - span(how.kernel[axis], how.dilation[axis])
    if not how.ceil_mode:
        return room // stride + 1
    windows = -(-room // stride) + 1
    return windows - 1 if (windows - 1) * stride >= size + padding else windows


def _by(sizes: Shape) -> str:
    return "x".join(map(str, sizes))
