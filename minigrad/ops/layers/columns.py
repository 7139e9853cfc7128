"""nn.functional.unfold and fold: the blocks that a window meets as columns, and columns added up to an image.

Both are linear, each the transpose of the other.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.kernels import convolution as kernel
from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.windows import span
from minigrad.ops.checks import not_implemented
from minigrad.ops.dims import normalize_dim
from minigrad.ops.shape import numbers

__all__: list[str] = []

Pair = tuple[int, ...]


@Op(node="Im2ColBackward0")
def columns_of(input, size: tuple, how: Conv, *, xp):
    """The blocks of `size` of images (..., C, H, W) as columns (..., C * block, blocks)."""
    if input.dtype.kind in "iu":
        not_implemented("im2col_out_cpu", input)
    *batch, channels, height, width = input.shape
    blocks = _blocks((height, width), size, how)
    columns = kernel.unfold(input.reshape(-1, channels, height, width), size, blocks, how, xp)
    return columns.reshape(*batch, channels * math.prod(size), math.prod(blocks))


@Op(node="Col2ImBackward0")
def image_of(input, output_size: tuple, size: tuple, how: Conv, *, xp):
    """Columns (..., C * block, blocks) added up to images (..., C, *output_size), where `columns_of` reads them."""
    if input.dtype.kind in "iu":
        not_implemented("col2im_out_cpu", input)
    *batch, rows, _ = input.shape
    columns = input.reshape(-1, rows // math.prod(size), *size, *_blocks(output_size, size, how))
    return kernel.fold(columns, output_size, how, xp).reshape(*batch, columns.shape[1], *output_size)


columns_of.derivative(input=lambda g, size, how, input_shape: image_of(g, tuple(input_shape[-2:]), size, how))
image_of.derivative(input=lambda g, size, how: columns_of(g, size, how))


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The blocks that a sliding window meets, each a column: (N, C, H, W) -> (N, C * kH * kW, blocks).

    Without a batch dimension the result has none either. `F.conv2d` is a matrix product with these columns.
    RuntimeError if no block fits.
    """
    size, how = _window("im2col", input, kernel_size, dilation, padding, stride)
    shape = input.array.shape
    if len(shape) < 3:
        normalize_dim(len(shape), len(shape))  # torch misses the dim itself
    if len(shape) not in (3, 4) or not all(shape[len(shape) - 3 :]):
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
            f"input, but got: {list(shape)}"
        )
    blocks = _blocks(shape[-2:], size, how)
    if min(blocks) < 1:
        raise RuntimeError(
            f"Given input with spatial size {shape[-2:]}, kernel_size={size}, dilation={how.dilation}, "
            f"padding={how.padding}, calculated shape of the array of sliding blocks as {blocks}, but its components "
            f"must be at least one."
        )
    return columns_of(input, size, how)


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Columns added up where `unfold` reads them: (N, C * kH * kW, blocks) -> (N, C, *output_size).

    What overlapping blocks share is their sum. RuntimeError unless there are as many columns as blocks.
    """
    size, how = _window("col2im", input, kernel_size, dilation, padding, stride)
    whole, shape = _pair("col2im", "output_size", output_size), input.array.shape
    if len(shape) not in (2, 3) or not all(shape[len(shape) - 2 :]):
        raise RuntimeError(
            f"Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {list(shape)}"
        )
    if shape[-2] % math.prod(size):
        raise RuntimeError(
            f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={size}."
        )
    rows, columns = _blocks(whole, size, how)
    if shape[-1] != rows * columns or min(rows, columns) < 1:
        raise RuntimeError(
            f"Given output_size={whole}, kernel_size={size}, dilation={how.dilation}, padding={how.padding}, "
            f"stride={how.stride}, expected size of input's dimension 2 to match the calculated number of sliding "
            f"blocks {rows} * {columns} = {rows * columns}, but got input.size(2)={shape[-1]}."
        )
    return image_of(input, whole, size, how)


def _blocks(sizes: Pair, kernel_size: Pair, how: Conv) -> Pair:
    """How many blocks fit along each dimension."""
    return tuple((n + 2 * p - span(k, d)) // s + 1 for n, k, s, p, d in zip(sizes, kernel_size, *how[:3], strict=True))


def _pair(name: str, argument: str, value: Any) -> Pair:
    pair = (value, value) if isinstance(value, int) else numbers(name, argument, (value,))
    if len(pair) != 2:
        raise RuntimeError(f"It is expected {argument} equals to 2, but got size {len(pair)}")
    return pair


def _window(name: str, input: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Pair, Conv]:
    """The window's size and how it moves; torch's errors for what is none."""
    if not isinstance(input, Variable):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    size = _pair(name, "kernel_size", kernel_size)
    moves = [
        _pair(name, argument, v) for argument, v in (("dilation", dilation), ("padding", padding), ("stride", stride))
    ]
    for argument, least, fit, (h, w) in zip(
        ("kernel size", "dilation", "padding", "stride"),
        (1, 1, 0, 1),
        ("greater than zero", "greater than zero", "non-negative", "greater than zero"),
        (size, *moves),
    ):
        if min(h, w) < least:
            short = {"kernel size": "kernel", "padding": "pad"}.get(argument, argument)
            raise RuntimeError(f"{argument} should be {fit}, but got {short}_height: {h} {short}_width: {w}")
    dilation, padding, stride = moves
    return size, Conv(stride, padding, dilation, 1)
