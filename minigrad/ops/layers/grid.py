"""nn.functional.grid_sample: an image read at the points of a grid; and affine_grid, which makes grids.

A point lies between pixels of which each counts by a weight. Which pixels these are has no slope; the weights are
ordinary functions of the point, so their derivatives, in the grid, come of their own.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import wrap
from minigrad.kernels import places
from minigrad.kernels.products import stacked
from minigrad.ops.checks import need_float
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.shape import reshape

__all__ = ["affine_grid_generator", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d"]

MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


# -- reading pixels, and the adjoint -----------------------------------------------------------------------------------


@Op
def read_pixels(input, pixel: Any, inside: Any, *, xp):
    """Of images (N, C, *sizes) the channels at flat places `pixel` (N, P), 0 unless `inside`: (N, P, C)."""
    flat = input.reshape(*input.shape[:2], math.prod(input.shape[2:])).swapaxes(1, 2)
    out = places.read(flat, (xp.arange(len(pixel))[:, None], pixel), xp)
    if xp is backend.np:
        out[~inside] = 0
        return out
    return xp.where(inside[..., None], out, out.dtype.type(0))  # without a mask as an index, for which the host waits


@Op
def add_pixels(input, pixel: Any, inside: Any, shape: tuple, *, xp):
    """The adjoint of `read_pixels`: channels (N, P, C) added at their places to zeros of `shape`."""
    values = xp.where(inside[..., None], input, 0).astype(input.dtype, copy=False)
    where = xp.arange(len(pixel))[:, None], pixel
    flat = places.added(values, where, (shape[0], math.prod(shape[2:]), shape[1]), xp)
    return xp.ascontiguousarray(flat.swapaxes(1, 2)).reshape(shape)


def _channels_first(input, sizes: tuple):
    """(N, P, C) -> (N, C, *sizes) for as many points as there are places in `sizes`."""
    n, _, channels = input.shape
    return input.swapaxes(1, 2).copy().reshape(n, channels, *sizes)


# The last step of `grid_sampler`, under the name that torch gives its node in two and in three dimensions.
_LAST = {n: Op(_channels_first, node=f"GridSampler{n}DBackward0") for n in (2, 3)}
for _op in _LAST.values():
    _op.derivative(input=lambda g, input_shape: g.reshape(*g.shape[:2], input_shape[1]).swapaxes(1, 2))

read_pixels.derivative(input=lambda g, pixel, inside, input_shape: add_pixels(g, pixel, inside, input_shape))
add_pixels.derivative(input=lambda g, pixel, inside: read_pixels(g, pixel, inside))


# -- points ------------------------------------------------------------------------------------------------------------


@Op
def with_slope(input, value: Any, slope: Any):
    """`value`, whose derivative in `input` is said to be `slope`."""
    return value


with_slope.derivative(input=lambda g, slope: g * slope)


def _led_back(place: Any, size: int, padding: int, align_corners: bool, xp: Any) -> tuple[Any, Any]:
    """Places outside the image led back to it, border or reflection, and the slope of that: 1, -1, or 0 at borders.

    A nan goes to 0.
    """
    slope = xp.ones_like(place)
    if padding == PADDINGS["reflection"]:
        low, span = (0, size - 1) if align_corners else (-0.5, size)
        if not span:
            return xp.zeros_like(place), xp.zeros_like(place)
        away = abs(place - low)
        turned = xp.floor(away / span) % 2 == 1
        rest = xp.fmod(away, span)
        slope = xp.where((place < low) != turned, -slope, slope)
        place = xp.where(turned, span - rest, rest) + low
    return xp.clip(xp.where(place == place, place, 0), 0, size - 1), slope * ((place > 0) & (place < size - 1))


def _taps(place: Any, size: int, mode: int, padding: int, align_corners: bool) -> list[tuple[Any, Any]]:
    """Along one axis, the places (arrays) of the pixels that count at `place` (a tensor), with their weights."""
    xp = backend.module_of(place.array)

    def pixels(array: Any) -> Any:
        return array if padding == PADDINGS["zeros"] else _led_back(array, size, padding, align_corners, xp)[0]

    if mode == MODES["bicubic"]:
        left = xp.floor(place.array)
        part = place - wrap(left)
        weights = [_far(part + 1), _near(part), _near(1 - part), _far(2 - part)]
        return [(pixels(left + k), weight) for k, weight in zip((-1, 0, 1, 2), weights)]
    if padding != PADDINGS["zeros"]:
        place = with_slope(place, *_led_back(place.array, size, padding, align_corners, xp))
    if mode == MODES["nearest"]:
        nearest = xp.rint(place.array)
        return [(nearest, with_slope(place, xp.ones_like(nearest), xp.zeros_like(nearest)))]
    left = xp.floor(place.array)
    part = place - wrap(left)
    return [(left, 1 - part), (left + 1, part)]


def _near(x: Any) -> Any:
    """Keys' kernel (1981) with a = -3/4 at a distance x of 0 to 1."""
    return (1.25 * x - 2.25) * x * x + 1


def _far(x: Any) -> Any:
    """Keys' kernel at a distance of 1 to 2."""
    return ((-0.75 * x + 3.75) * x - 6) * x + 3


def grid_sampler(input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """`grid_sample` with its modes as numbers, in the order of its docstring."""
    ndim = 4 if input.dim() == grid.dim() == 4 else 5
    return _sampled(input, grid, interpolation_mode, padding_mode, align_corners, ndim)


def grid_sampler_2d(input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """`grid_sampler` of images."""
    return _sampled(input, grid, interpolation_mode, padding_mode, align_corners, 4)


def grid_sampler_3d(input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """`grid_sampler` of volumes."""
    return _sampled(input, grid, interpolation_mode, padding_mode, align_corners, 5)


def _sampled(input: Any, grid: Any, mode: int, padding: int, align_corners: bool, ndim: int) -> Any:
    need_tensor("grid_sampler", input=input, grid=grid)
    _check(input.array, grid.array, mode, ndim)
    if input.array.dtype == "float16":
        return _sampled(input.float(), grid.float(), mode, padding, align_corners, ndim).half()
    batch, _, *sizes = input.array.shape
    shape, n = grid.array.shape, len(sizes)
    points = reshape(grid, (batch, math.prod(shape[1:-1]), n))
    xp = backend.module_of(points.array)
    taps = []
    for axis, size in enumerate(sizes):  # the grid's last dim goes from the last axis to the first
        place = (points[..., n - 1 - axis] + 1) * ((size - 1 if align_corners else size) / 2)
        if not align_corners:
            place = place - 0.5
        taps.append(_taps(place, size, mode, padding, align_corners))
    out: Any = 0
    for corner in itertools.product(*taps):
        pixel: Any = 0
        inside: Any = True
        weight: Any = 1
        for size, (at, factor) in zip(sizes, corner):
            within = (at >= 0) & (at <= size - 1)
            pixel = pixel * size + xp.where(within, at, 0).astype("int64")
            inside, weight = within & inside, factor * weight
        out = read_pixels(input, pixel, inside) * weight.unsqueeze(-1) + out
    return _LAST[n](out, shape[1:-1])


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Any:
    """`input` (N, C, H, W) read at the points of `grid` (N, h, w, 2): (N, C, h, w); likewise for volumes.

    A point (x, y) goes from (-1, -1), the first column and row, to (1, 1), the last: the middles of the corner pixels
    with `align_corners`, else their outer edges.

    mode          bilinear: between neighbours; nearest: the nearest, of two the even; bicubic: of 4 x 4, images only
    padding_mode  what lies outside. zeros; border: the nearest edge; reflection: the image mirrored at its edges
    """
    if mode not in MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in PADDINGS:
        raise ValueError(
            f"nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        _warn_of_default()
    return grid_sampler(input, grid, MODES[mode], PADDINGS[padding_mode], bool(align_corners))


def _warn_of_default() -> None:
    warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
        "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
    )


def _check(input: Any, grid: Any, mode: int, ndim: int) -> None:
    """torch's errors, in its order; `ndim` is what the input should have."""
    if not (input.ndim and grid.ndim):
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    given = f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {given}")
    if grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
            f"{list(input.shape)} with dimension {input.shape.index(0, 2)} being empty"
        )
    if input.ndim != ndim or grid.ndim != ndim:
        raise RuntimeError(f"grid_sampler(): expected {ndim}D input and grid with same number of dimensions, {given}")
    if mode == MODES["bicubic"] and ndim == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    need_float(input, "grid_sampler_2d_cpu_kernel_impl" if ndim == 4 else "grid_sampler3d_cpu")
    if input.dtype != grid.dtype:
        x, y = backend.dtype_of(input), backend.dtype_of(grid)
        raise RuntimeError(f"expected scalar type {x.type_name} but found {y.type_name}")


# -- affine grids ------------------------------------------------------------------------------------------------------


def _base(sizes: tuple[int, ...], align_corners: bool, dtype: Any, xp: Any) -> Any:
    """The points of the image itself, (product of sizes, n + 1): x first, last the 1 that a translation multiplies."""
    lines = [
        xp.linspace(-1, 1, m, dtype=dtype) * (1 if align_corners else (m - 1) / m) if m > 1 else xp.zeros(1, dtype)
        for m in sizes
    ]
    axes = xp.meshgrid(*lines, indexing="ij")
    return xp.stack([*axes[::-1], xp.ones(sizes, dtype)], axis=-1).reshape(math.prod(sizes), len(sizes) + 1)


@Op(node="AffineGridGeneratorBackward0")
def affine_points(theta, sizes: tuple, align_corners: bool, *, xp):
    """Matrices (N, n, n + 1) applied to the points of an image of `sizes`: (N, *sizes, n)."""
    points = stacked(_base(sizes, align_corners, theta.dtype, xp), theta.swapaxes(1, 2))
    return points.reshape(len(theta), *sizes, len(sizes))


@Op
def affine_moments(grid, align_corners: bool, *, xp):
    """The adjoint of `affine_points`: (N, *sizes, n) -> (N, n, n + 1)."""
    n, *sizes, dims = grid.shape
    points = grid.reshape(n, math.prod(sizes), dims)
    return stacked(points.swapaxes(1, 2), _base(tuple(sizes), align_corners, grid.dtype, xp))


affine_points.derivative(theta=lambda g, align_corners: affine_moments(g, align_corners))
affine_moments.derivative(
    grid=lambda g, align_corners, grid_shape: affine_points(g, tuple(grid_shape[1:-1]), align_corners)
)


def affine_grid_generator(theta: Any, size: Any, align_corners: bool) -> Any:
    """`affine_grid` without its checks."""
    if theta.array.shape[0] != size[0]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{size[0]}, {len(size) - 1}] but got: "
            f"[{theta.array.shape[0]}, {len(size) - 1}]."
        )
    return affine_points(theta, tuple(size[2:]), bool(align_corners))


def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Any:
    """The grid for `grid_sample` at which images of `size` are read when moved by the matrices `theta`.

    theta (N, 2, 3) and size (N, C, H, W) -> (N, H, W, 2); theta (N, 3, 4) and size (N, C, D, H, W) -> (N, D, H, W, 3).
    """
    if align_corners is None:
        _warn_of_default()
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n, size = len(size) - 2, tuple(size)
    if n not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{size}."
        )
    if theta.array.shape[1:] != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got {theta.shape}."
        )
    if align_corners and min(size[2:]) == 1:
        warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This "
            "is not an intended use case of affine_grid. See the documentation of affine_grid for details."
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, align_corners)
