"""Max unpooling: numbers put back where max pooling found them, zeros elsewhere."""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd.op import Op
from minigrad.kernels import places
from minigrad.kernels import pooling as kernel
from minigrad.ops.checks import need_float
from minigrad.ops.layers.pool import take_maxima
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.shape import squeeze, unsqueeze

__all__: list[str] = []


def _unpooled(input, indices, n: int, shape: tuple, *, xp):
    """Zeros of `shape` with every number of `input` at its index in the last n dimensions."""
    return kernel.unpool(input, indices, n, shape, xp)


# As in torch a number's gradient is that of its place, though another may have replaced it there.
_UNPOOL = {n: Op(_unpooled, node=f"MaxUnpool{n}DBackward0") for n in (2, 3)}
for _op in _UNPOOL.values():
    _op.derivative(input=lambda g, indices, n: take_maxima(g, indices, n))


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Max unpooling over one dimension; see `max_unpool2d`."""
    need_tensor("max_unpool1d", input=input, indices=indices)
    _, size = _sizes(1, input, kernel_size, stride, padding, output_size)
    return squeeze(_unpool(2, unsqueeze(input, -1), unsqueeze(indices, -1), (*size, 1)), -1)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Zeros with the numbers of `input` (N, C, H, W) or (C, H, W) where `indices` of `max_pool2d` say.

    The output is as large as the input of a pooling with these `kernel_size`, `stride` and `padding` was at least; as
    several sizes are pooled to one, `output_size` may name another, less than a stride away. ValueError if it is not.
    """
    need_tensor("max_unpool2d", input=input, indices=indices)
    _, size = _sizes(2, input, kernel_size, stride, padding, output_size)
    return _unpool(2, input, indices, size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Max unpooling over three dimensions; see `max_unpool2d`."""
    need_tensor("max_unpool3d", input=input, indices=indices)
    steps, size = _sizes(3, input, kernel_size, stride, padding, output_size)
    if len(size) == len(steps) == 3 and min(steps) < 1:
        raise RuntimeError(f"strides should be greater than zero, but got stride: {list(steps)}")
    return _unpool(3, input, indices, size)


def _sizes(
    n: int, input: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The strides, and the output's sizes."""
    kernel, margin = _each(kernel_size, n), _each(padding, n)
    steps = kernel if stride is None else _each(stride, n)
    count = len(kernel)
    sizes = input.array.shape[input.array.ndim - count :]
    smallest = tuple([(sizes[i] - 1) * steps[i] + kernel[i] - 2 * margin[i] for i in range(count)])
    wanted = smallest
    if output_size is not None:
        wanted = output_size[2:] if len(output_size) == count + 2 else output_size
        if len(wanted) != count:
            raise ValueError(
                f"output_size should be a sequence containing {count} or {count + 2} elements, but it has a length of "
                f"'{len(wanted)}'"
            )
        for i in range(count):
            low, high = smallest[i] - steps[i], smallest[i] + steps[i]
            if not low < wanted[i] < high:
                raise ValueError(f'invalid output_size "{wanted}" (dim {i} must be between {low} and {high})')
    for i, size in enumerate(wanted):
        if size < 0:
            raise ValueError(
                f"max_unpooling: output_size must contain non-negative spatial dimensions, but got "
                f"output_size[{i}]={size}"
            )
    return steps, tuple(wanted)


def _each(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)


def _unpool(n: int, input: Any, indices: Any, size: tuple[int, ...]) -> Any:
    shape = input.array.shape
    if indices.array.dtype != "int64":
        raise RuntimeError(
            "elements in indices should be type int64" + (f" but got: {indices.dtype.type_name}" if n == 2 else "")
        )
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {len(shape)} "
            f"dimensions."
        )
    if len(size) != n:
        names = {2: "two elements (height, width)", 3: "three elements (depth, height, width)"}[n]
        raise RuntimeError(f"There should be exactly {names} in output_size, but got {len(size)} elements.")
    if indices.array.shape != shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but got indices tensor "
            f"with shape: {list(indices.array.shape)}"
        )
    if 0 in shape[1:]:
        raise RuntimeError(
            f"max_unpooling{n}d_forward_out_cpu(): Expected input to have non-zero size for non-batch dimensions, but "
            f"got {list(shape)} with dimension {shape.index(0, 1)} being empty."
        )
    need_float(input.array, f"max_unpool{n}d")
    wrong = places.first_outside(indices.array, 0, math.prod(size))
    if wrong is not None:
        volume = "x".join(map(str, size))
        raise RuntimeError(f"Found an invalid max index: {wrong} (output volumes are of size {volume})")
    return _UNPOOL[n](input, indices, n, (*shape[: len(shape) - n], *size))
