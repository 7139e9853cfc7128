"""Max, average and power pooling over one, two or three dimensions.

A maximum passes its gradient to where it stood: `put_maxima` adds to the places that `take_maxima` reads, each the
other's derivative. Averages are linear: `spread_average` is the transpose of `average_pool`.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd.op import Op
from minigrad.kernels import pooling as kernel
from minigrad.kernels.pooling import Pool
from minigrad.ops.checks import not_implemented, refuse_bool
from minigrad.ops.dims import normalize_dim
from minigrad.ops.layers.activation import relu
from minigrad.ops.layers.windows import need_tensor, per_dimension
from minigrad.ops.rounding import sign
from minigrad.ops.shape import squeeze, unsqueeze

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]


# -- maximum -----------------------------------------------------------------------------------------------------------


def _maxima(input, how: Pool, *, xp):
    """The largest number of every window and its flat place in the plane: of equal ones the first, nan before all."""
    refuse_bool(input, f"max_pool{len(how.kernel)}d")
    return kernel.max_pool(input, how, xp)


@Op
def take_maxima(input, indices, n: int, *, xp):
    """The numbers of `input` that stand at `indices` of its last n dimensions."""
    return kernel.max_pool_gather(input, indices, n, xp)


@Op
def put_maxima(grad, indices, n: int, shape: tuple, how: Pool | None = None, *, xp):
    """Zeros of `shape`, to which every number of `grad` is added at its index; `how` are the windows, if known."""
    return kernel.max_pool_backward(grad, indices, n, shape, xp, how)


take_maxima.derivative(input=lambda g, indices, n, input_shape: put_maxima(g, indices, n, input_shape))
put_maxima.derivative(grad=lambda g, indices, n: take_maxima(g, indices, n))

# The same operation, under the name that torch gives the node in two and in three dimensions.
max_pool_of_planes = Op(_maxima, outputs=("out", "indices"), node="MaxPool2DWithIndicesBackward0")
max_pool_of_volumes = Op(_maxima, outputs=("out", "indices"), node="MaxPool3DWithIndicesBackward0")
for _op in (max_pool_of_planes, max_pool_of_volumes):
    _op.derivative(input=lambda g, indices, how, input_shape: put_maxima(g, indices, len(how.kernel), input_shape, how))


def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Max pooling over one dimension; see `max_pool2d`."""
    how = _how("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode)
    if input.array.ndim not in (2, 3):
        raise RuntimeError(
            f"max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{list(input.array.shape)}"
        )
    if how.padding[0] > how.kernel[0] // 2:
        raise RuntimeError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={how.padding[0]} and "
            f"kernel_size={how.kernel[0]}"
        )
    values, indices = max_pool_of_planes(unsqueeze(input, -2), _as_planes(how))
    values = squeeze(values, -2)
    return (values, squeeze(indices, -2)) if return_indices else values


def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest number of every window of the last two dimensions: (N, C, H, W) or (C, H, W) -> (..., windows).

    `stride` is `kernel_size` if not given; padding counts as -inf; `ceil_mode` keeps a last window that leaves the
    input. With `return_indices` also where each maximum stands, as its flat position in its plane. Of equal numbers the
    first counts. RuntimeError if the windows do not fit.
    """
    how = _how("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode)
    values, indices = max_pool_of_planes(input, how)
    return (values, indices) if return_indices else values


def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Max pooling over three dimensions; see `max_pool2d`."""
    how = _how("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode)
    values, indices = max_pool_of_volumes(input, how)
    return (values, indices) if return_indices else values


def _how(
    name: str, n: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Pool:
    """The windows that the arguments describe; RuntimeError for a number of numbers that does not fit."""
    need_tensor(name, input=input)
    ints = {1: "one int", 2: "two ints", 3: "three ints"}[n]

    def numbers(argument: str, value: Any, choices: str) -> tuple[int, ...]:
        values = per_dimension(value, n)
        if len(values) != n:
            raise RuntimeError(f"{name}: {argument} must {choices}, or a tuple of {ints}")
        return values

    size = numbers("kernel_size", kernel_size, "either be a single int")
    step = (
        size if stride is None or stride in ([], ()) else numbers("stride", stride, "either be omitted, a single int")
    )
    return Pool(
        size,
        step,
        numbers("padding", padding, "either be a single int"),
        numbers("dilation", dilation, "be either a single int"),
        bool(ceil_mode),
    )


def check_line(name: str, input: Any) -> None:
    if input.array.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input.array.ndim}-dimensional tensor for argument #1 'self' (while "
            f"checking arguments for {name})"
        )


def _as_planes(how: Pool) -> Pool:
    """Windows on a line as windows on a plane of height 1."""
    return Pool((1, *how.kernel), (1, *how.stride), (0, *how.padding), (1, *how.dilation), how.ceil_mode)


# -- average -----------------------------------------------------------------------------------------------------------


def _averages(input, how: Pool, count_include_pad: bool, divisor: int | None, *, xp):
    """The sum of every window over the number of its elements, or over `divisor`; of int64 cut off at the point."""
    if input.dtype.kind != "f":
        if input.dtype != "int64":
            not_implemented(f"avg_pool{len(how.kernel)}d", input)
        return xp.trunc(kernel.avg_pool(input, how, count_include_pad, divisor, xp)).astype(input.dtype)
    return kernel.avg_pool(input, how, count_include_pad, divisor, xp)


@Op
def spread_average(grad, how: Pool, shape: tuple, count_include_pad: bool, divisor: int | None, *, xp):
    """Every number of `grad` spread evenly over its window in zeros of `shape`."""
    return kernel.avg_pool_backward(grad, how, shape, count_include_pad, divisor, xp)


average_of_planes = Op(_averages, node="AvgPool2DBackward0")
average_of_volumes = Op(_averages, node="AvgPool3DBackward0")
for _op in (average_of_planes, average_of_volumes):
    _op.derivative(
        input=lambda g, how, count_include_pad, divisor, input_shape: spread_average(
            g, how, input_shape, count_include_pad, divisor
        )
    )
spread_average.derivative(
    grad=lambda g, how, count_include_pad, divisor: average_of_planes(g, how, count_include_pad, divisor)
)


def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Average pooling over one dimension; see `avg_pool2d`."""
    how = _how("avg_pool1d", 1, input, kernel_size, stride, padding, 1, ceil_mode)
    check_line("avg_pool1d", input)
    return squeeze(average_of_planes(unsqueeze(input, -2), _as_planes(how), count_include_pad, None), -2)


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The average of every window of the last two dimensions: (N, C, H, W) or (C, H, W) -> (..., windows).

    `stride` is `kernel_size` if not given. Padding counts as zeros, or not at all without `count_include_pad`; sums are
    divided by `divisor_override` instead of the number of elements, if given. RuntimeError if the windows do not fit.
    """
    how = _how("avg_pool2d", 2, input, kernel_size, stride, padding, 1, ceil_mode)
    normalize_dim(-3, input.array.ndim)  # torch's IndexError for a tensor of fewer dimensions
    return average_of_planes(input, how, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """Average pooling over three dimensions; see `avg_pool2d`."""
    how = _how("avg_pool3d", 3, input, kernel_size, stride, padding, 1, ceil_mode)
    if any(size < k for size, k in zip(input.array.shape[-3:], how.kernel)):  # torch says so of this one only
        sizes, kernel = (
            "T: {} H: {} W: {}".format(*input.array.shape[-3:]),
            "kT: {} kH: {} kW: {}".format(*how.kernel),
        )
        raise RuntimeError(f"input image ({sizes}) smaller than kernel size ({kernel})")
    return average_of_volumes(input, how, count_include_pad, divisor_override)


# -- the mean of powers ------------------------------------------------------------------------------------------------


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """Power pooling over one dimension; see `lp_pool2d`."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(sum of x**p)**(1/p) over every window of the last two dimensions, for p = `norm_type`; of |x| for p = +-inf.

    Negative sums count as 0 before the root, unless p = 1. As in torch a window that `ceil_mode` cuts is scaled up.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """Power pooling over three dimensions; see `lp_pool2d`."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(n: int, input: Any, p: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    largest = (max_pool1d, max_pool2d, max_pool3d)[n - 1]
    average = (avg_pool1d, avg_pool2d, avg_pool3d)[n - 1]
    if p == math.inf:
        return largest(abs(input), kernel_size, stride, 0, 1, ceil_mode)
    if p == -math.inf:
        return -largest(-abs(input), kernel_size, stride, 0, 1, ceil_mode)
    mean = average(input**p, kernel_size, stride, 0, ceil_mode)
    return (sign(mean) * relu(abs(mean)) * math.prod(per_dimension(kernel_size, n))) ** (1 / p)
