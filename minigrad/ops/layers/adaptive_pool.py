"""Pooling to a wanted size: windows that cover the input evenly (adaptive), or are spread at random (fractional)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.kernels import pooling, uneven_pooling
from minigrad.kernels.gpu import pooling as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.products import stacked
from minigrad.ops import random
from minigrad.ops.checks import need_float
from minigrad.ops.dims import normalize_dim
from minigrad.ops.layers.pool import check_line, put_maxima
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.reduce import mean
from minigrad.ops.shape import squeeze, unsqueeze

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"]


# -- averages ----------------------------------------------------------------------------------------------------------


def _even_averages(input, wanted: tuple, *, xp):
    """The averages of `wanted` windows that cover the last dimensions evenly: a matrix along each of them."""
    if takes(input):
        return gpu.avg_pool(input, pooling.even(len(wanted)), wanted, False, None)
    return _weighted_sums(input, [_averaging(*each) for each in zip(input.shape[-len(wanted) :], wanted)], xp)


@Op
def spread_evenly(grad, shape: tuple, n: int, *, xp):
    """Every number of `grad` spread over its window in the last n dimensions of `shape`: the transpose of averaging."""
    if takes(grad):
        return gpu.avg_pool_back(grad, pooling.even(n), shape, False, None)
    return _weighted_sums(grad, [_averaging(*each).T for each in zip(shape[-n:], grad.shape[-n:])], xp)


adaptive_average_of_planes = Op(_even_averages, node="AdaptiveAvgPool2DBackward0")
adaptive_average_of_volumes = Op(_even_averages, node="AdaptiveAvgPool3DBackward0")
for _op in (adaptive_average_of_planes, adaptive_average_of_volumes):
    _op.derivative(input=lambda g, wanted, input_shape: spread_evenly(g, input_shape, len(wanted)))
spread_evenly.derivative(grad=lambda g, n, grad_shape: adaptive_average_of_planes(g, grad_shape[-n:]))


def _weighted_sums(x: Any, weights: list[Any], xp: Any) -> Any:
    """`x` multiplied by one matrix along each of its last dimensions."""
    for axis, matrix in enumerate(weights, start=-len(weights)):
        matrix = xp.asarray(matrix, x.dtype)
        x = stacked(matrix, x.swapaxes(axis, -2)).swapaxes(axis, -2) if axis < -1 else stacked(x, matrix.T)
    return x


@functools.lru_cache(maxsize=64)
def _averaging(size: int, windows: int) -> Any:
    """The matrix (windows, size) that averages over windows which cover `size` positions evenly."""
    position = backend.np.arange(size)
    start, end = (ends[:, None] for ends in uneven_pooling.even_windows(size, windows))
    return ((position >= start) & (position < end)) / (end - start)


def _adaptive_average(name: str, n: int, op: Any, input: Any, output_size: Any) -> Any:
    need_tensor(name, input=input)
    shape, ndim = input.array.shape, input.array.ndim
    wanted = _wanted(n, shape, output_size)
    if len(wanted) != n:
        raise RuntimeError(f"{name}: output_size must be {n}")
    if all(w == 1 for w in wanted):
        return mean(input, tuple(range(-n, 0)), keepdim=True)
    if min(wanted) < 0:
        listed = ", ".join(map(str, wanted))
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {{{listed}}}"
        )
    if ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got {list(shape)}")
    _refuse_empty(name, shape, 1 if n == 3 else ndim - n)  # in three dimensions torch wants channels as well
    need_float(input.array, name)
    return op(input, wanted)


def _wanted(n: int, shape: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
    """A size for each dimension; None keeps the input's."""
    if isinstance(output_size, int):
        return (output_size,) * n
    wanted = tuple(output_size)
    if len(shape) <= len(wanted):
        raise ValueError(f"Input dimension should be at least {len(wanted) + 1}, but got the shape {list(shape)}")
    return tuple([size if w is None else w for w, size in zip(wanted, shape[len(shape) - len(wanted) :])])


def _refuse_empty(name: str, shape: tuple[int, ...], first: int) -> None:
    if 0 in shape[first:]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
            f"{list(shape)} with dimension {shape.index(0, first)} being empty"
        )


def _one_size(name: str, input: Any, output_size: Any) -> int:
    """The output size on a line."""
    need_tensor(name, input=input)
    check_line(name, input)
    if isinstance(output_size, int):
        return output_size
    if not isinstance(output_size, Sequence):
        got = type(output_size).__name__
        raise TypeError(f"{name}(): argument 'output_size' (position 2) must be tuple of ints, not {got}")
    if len(output_size) != 1:
        raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(output_size)})")
    return output_size[0]


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """`output_size` averages that cover the last dimension evenly; see `adaptive_avg_pool2d`."""
    wanted = _one_size("adaptive_avg_pool1d", input, output_size)
    return squeeze(adaptive_avg_pool2d(unsqueeze(input, -2), (1, wanted)), -2)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Averages over `output_size` windows that cover the last two dimensions evenly, whatever the sizes.

    Window i of m on a dimension of size n goes from floor(i*n/m) to ceil((i+1)*n/m). `output_size` is a number or one
    for each dimension; None keeps a size.
    """
    return _adaptive_average("adaptive_avg_pool2d", 2, adaptive_average_of_planes, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """Averages over windows that cover the last three dimensions evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_average("adaptive_avg_pool3d", 3, adaptive_average_of_volumes, input, output_size)


# -- maxima ------------------------------------------------------------------------------------------------------------


def _adaptive_maxima(input, wanted: tuple, *, xp):
    """The largest number of every window, and its flat place in the plane."""
    sizes = input.shape[-len(wanted) :]
    if takes(input):
        return gpu.max_pool(input, pooling.even(len(wanted)), wanted)
    if input.size and all(w and size % w == 0 for size, w in zip(sizes, wanted)):  # equal windows, which is faster
        kernel = tuple([size // w for size, w in zip(sizes, wanted)])
        zeros, ones = (0,) * len(wanted), (1,) * len(wanted)
        return pooling.max_pool(input, pooling.Pool(kernel, kernel, zeros, ones, False), xp)
    starts, ends = zip(*[uneven_pooling.even_windows(size, w) for size, w in zip(sizes, wanted)])
    widths = tuple([int((end - start).max(initial=1)) for start, end in zip(starts, ends)])
    return uneven_pooling.max_windows(input, starts, ends, widths, xp)


def _fractional_maxima(input, samples: Any, wanted: tuple, kernel: tuple, *, xp):
    """The largest number of every window, and its flat place; `samples` (..., n) say where each plane's windows are."""
    sizes = input.shape[-len(wanted) :]
    order = (1, 0) if len(sizes) == 2 else (0, 1, 2)  # in two dimensions torch's first number is of the last one
    starts = [
        uneven_pooling.random_windows(samples[..., i], size, w, k, xp)
        for i, size, w, k in zip(order, sizes, wanted, kernel)
    ]
    ends = [start + k for start, k in zip(starts, kernel)]
    return uneven_pooling.max_windows(input, starts, ends, kernel, xp)


_ADAPTIVE = {n: Op(_adaptive_maxima, outputs=("out", "indices"), node=f"AdaptiveMaxPool{n}DBackward0") for n in (2, 3)}
_FRACTIONAL = {
    n: Op(_fractional_maxima, outputs=("out", "indices"), node=f"FractionalMaxPool{n}DBackward0") for n in (2, 3)
}
for _op in _ADAPTIVE.values():
    _op.derivative(
        input=lambda g, indices, wanted, input_shape: put_maxima(
            g, indices, len(wanted), input_shape, pooling.even(len(wanted))
        )
    )
for _op in _FRACTIONAL.values():
    _op.derivative(input=lambda g, indices, wanted, input_shape: put_maxima(g, indices, len(wanted), input_shape))


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`output_size` maxima that cover the last dimension evenly; see `adaptive_max_pool2d`."""
    wanted = _one_size("adaptive_max_pool1d", input, output_size)
    shape = input.array.shape
    _refuse_empty("adaptive_max_pool1d", shape, len(shape) - 2 if len(shape) == 2 else 1)
    results = [squeeze(t, -2) for t in adaptive_max_pool2d(unsqueeze(input, -2), (1, wanted), True)]
    return tuple(results) if return_indices else results[0]


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over `output_size` windows that cover the last two dimensions evenly, as `adaptive_avg_pool2d` has them.

    With `return_indices` also where each maximum stands, as its flat position in its plane.
    """
    return _adaptive_max(2, "adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over windows that cover the last three dimensions evenly; see `adaptive_max_pool2d`."""
    return _adaptive_max(3, "adaptive_max_pool3d_cpu", input, output_size, return_indices)


def _adaptive_max(n: int, kernel_name: str, input: Any, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{n}d"
    need_tensor(name, input=input)
    shape = input.array.shape
    wanted = _wanted(n, shape, output_size)
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(shape)}")
    _refuse_empty(name, shape, 1)
    if len(wanted) != n:
        raise RuntimeError(f"{name}(): internal error: output_size.size() must be {n}")
    _refuse_negative(shape, wanted)
    need_float(input.array, kernel_name)
    values, indices = _ADAPTIVE[n](input, wanted)
    return (values, indices) if return_indices else values


def _refuse_negative(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if min(wanted) < 0:
        result = [*shape[: -len(wanted)], *wanted]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(wanted)}: {result}")


def fractional_max_pool2d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:  # fmt: skip
    """Maxima over windows of `kernel_size` spread over the last two dimensions at random (Graham 2014).

    There are `output_size` of them, or `output_ratio` times the input's sizes. `_random_samples` (N, C, 2), of [0, 1),
    decide for every plane where the windows are. With `return_indices` also the maxima's places, as for `max_pool2d`.
    """
    return _fractional_max(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:  # fmt: skip
    """Maxima over windows spread over the last three dimensions at random; see `fractional_max_pool2d`."""
    return _fractional_max(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def _fractional_max(
    n: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, return_indices: bool, samples: Any
) -> Any:
    name = f"fractional_max_pool{n}d"
    need_tensor(name, input=input)
    shape, ndim = input.array.shape, input.array.ndim
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    normalize_dim(-1 - n, ndim)  # torch's IndexError for a tensor of fewer dimensions
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, Sequence) else (output_ratio,) * n
        output_size = tuple([int(size * ratio) for size, ratio in zip(shape[-n:], ratios)])
    if samples is None:
        need_float(input.array, "check_uniform_bounds")
        batch = 1 if ndim == n + 1 else shape[0]
        samples = random.rand(batch, shape[-n - 1], n, dtype=input.dtype, device=input.device)
    kernel, wanted = _each(name, "kernel_size", n, kernel_size), _each(name, "output_size", n, output_size)
    _check_fractional(name, n, input.array, kernel, wanted, samples.array)
    at = samples.array[: shape[0]] if ndim == n + 2 else samples.array[0]
    values, indices = _FRACTIONAL[n](input, at, wanted, kernel)
    return (values, indices) if return_indices else values


def _each(name: str, argument: str, n: int, value: Any) -> tuple[int, ...]:
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        values *= n
    if len(values) != n:
        ints = "Ints" if n == 2 else "three Ints"
        raise RuntimeError(f"{name}: {argument} must either be a single Int or tuple of {ints}")
    return values


def _check_fractional(
    name: str, n: int, input: Any, kernel: tuple[int, ...], wanted: tuple[int, ...], samples: Any
) -> None:
    """torch's errors for what does not fit, in its order."""
    shape = input.shape
    if n == 3:
        name += "_out"
    if len(shape) > n + 2:
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(shape)}")
    for axis in range(len(shape) - n - 1, len(shape)):
        if not shape[axis]:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got{list(shape)} with "
                f"dimension {axis} being empty."
            )
    for side, size, w, k in zip(("time", "height", "width")[-n:], shape[-n:], wanted, kernel):
        if w + k - 1 > size or (n == 3 and w + k - 1 >= size):
            raise RuntimeError(f"{name}(): pool {side} {k} too large relative to input {side} {size}")
    _refuse_negative(shape, wanted)
    batch = shape[0] if len(shape) == n + 2 else 1
    if samples.dtype != input.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    if samples.ndim != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {samples.ndim}")
    if samples.shape[0] < batch:
        raise RuntimeError("Expect _random_samples.size(0) no less then input batch size.")
    if samples.shape[1] != shape[-n - 1]:
        raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
    if samples.shape[2] != n:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {n}; got {samples.shape[2]}.")
    need_float(input, name)
