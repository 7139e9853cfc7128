"""Convolution over one, two or three dimensions.

It is linear in its input and in its weight. With the transposes in either, three operations, each the derivative of the
others, are closed under differentiation:

    out = convolution(x, w)      convolution_input(g, w) = the transpose in x      convolution_weight(g, x) = that in w

A transposed convolution is the transpose in x as a layer of its own: it makes images larger where strides make them
smaller.
"""

from __future__ import annotations

from typing import Any, NoReturn

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.kernels import convolution as kernel
from minigrad.kernels.convolution_shapes import Conv, check, check_transposed
from minigrad.kernels.gpu import bias as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.ops.checks import refuse_bool
from minigrad.ops.layers.windows import need_tensor, per_dimension
from minigrad.ops.pad import pad
from minigrad.ops.reduce import sum
from minigrad.ops.shape import squeeze, unsqueeze

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@Op
def convolution(input, weight, bias, how: Conv, *, xp):
    """The convolution of `input` (N, C, *sizes) with `weight` (K, C/groups, *kernel), plus `bias` (K) or None."""
    if input.dtype != weight.dtype or (bias is not None and bias.dtype != input.dtype):
        _refuse_mixed_dtypes(input, weight, bias)
    refuse_bool(input, f"slow_conv{max(2, weight.ndim - 2)}d_cpu")
    if bias is None:
        return kernel.conv(input, weight, how, xp)
    if bias.shape != weight.shape[:1]:
        check(input.shape, weight.shape, how, bias.shape)
    return _add_bias(kernel.conv(input, weight, how, xp), bias)


def _add_bias(out: Any, bias: Any) -> Any:
    """out (N, K, *sizes) += bias (K) in place."""
    if takes(out, bias) and out.flags.c_contiguous:
        return gpu.add_bias(out, bias)
    out += bias.reshape(-1, *(1,) * (out.ndim - 2))
    return out


@Op
def convolution_input(grad, weight, how: Conv, shape: tuple, *, xp):
    """The transpose of `convolution` in its input, of shape `shape`: <convolution(x, w), g> = <x, this(g, w)>."""
    return kernel.conv_input(grad, weight, how, shape, xp)


@Op
def convolution_weight(grad, input, how: Conv, shape: tuple, *, xp):
    """The transpose of `convolution` in its weight, of shape `shape`: <convolution(x, w), g> = <w, this(g, x)>."""
    return kernel.conv_weight(grad, input, how, shape, xp)


convolution.derivative(
    input=lambda g, weight, how, input_shape: convolution_input(g, weight, how, input_shape),
    weight=lambda g, input, how, weight_shape: convolution_weight(g, input, how, weight_shape),
    bias=lambda g: sum(g, (0, *range(2, g.ndim))),
)
convolution_input.derivative(
    grad=lambda g, weight, how: convolution(g, weight, None, how),
    weight=lambda g, grad, how, weight_shape: convolution_weight(grad, g, how, weight_shape),
)
convolution_weight.derivative(
    grad=lambda g, input, how: convolution(input, g, None, how),
    input=lambda g, grad, how, input_shape: convolution_input(grad, g, how, input_shape),
)


@Op(node="ConvolutionBackward0")
def transposed_convolution(input, weight, bias, how: Conv, shape: tuple, *, xp):
    """`convolution_input` of shape `shape`, plus `bias` or None."""
    if input.dtype != weight.dtype:
        _refuse_mixed_dtypes(input, weight, None)
    refuse_bool(input, f"slow_conv_transpose{max(2, weight.ndim - 2)}d_out_cpu")
    out = kernel.conv_input(input, weight, how, shape, xp)
    return out if bias is None else _add_bias(out, bias)


transposed_convolution.derivative(
    input=lambda g, weight, how: convolution(g, weight, None, how),
    weight=lambda g, input, how, weight_shape: convolution_weight(input, g, how, weight_shape),
    bias=lambda g: sum(g, (0, *range(2, g.ndim))),
)


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Convolution over one dimension; see `conv2d`."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """out[n, k, o] = bias[k] + sum over c, t of input[n, c, o*stride + t*dilation - padding] * weight[k, c, t].

    input (N, C, H, W) or (C, H, W), weight (K, C/groups, kH, kW), bias (K). `stride`, `padding` and `dilation` are a
    number or one for each spatial dimension; padding="same" keeps the size (for stride 1), "valid" pads nothing. With
    `groups`, each part of the channels is convolved with its own part of the weight. RuntimeError for shapes that do
    not fit.
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Convolution over three dimensions; see `conv2d`."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Transposed convolution over one dimension; see `conv_transpose2d`."""
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The transpose of `conv2d` in its input: every input[n, k, o] adds its multiple of weight[k] to the output.

    out[n, c, o*stride + t*dilation - padding] = bias[c] + sum over k, o, t of input[n, k, o] * weight[k, c, t].

    input (N, K, H, W) or (K, H, W), weight (K, C/groups, kH, kW), bias (C). With strides, images of several sizes have
    a convolution of the input's size; `output_padding` is how much larger than the smallest of them the output is.
    RuntimeError for shapes that do not fit.
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Transposed convolution over three dimensions; see `conv_transpose2d`."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed(
    name: str, n: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any,
) -> Any:  # fmt: skip
    need_tensor(name, input=input, weight=weight)
    _need_rank(name, n, input)
    if input.array.ndim == n + 1:
        batch = unsqueeze(input, 0)
        out = _transposed(name, n, batch, weight, bias, stride, padding, output_padding, groups, dilation)
        return squeeze(out, 0)
    if isinstance(padding, str):
        raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
    how = Conv(per_dimension(stride, n), per_dimension(padding, n), per_dimension(dilation, n), groups)
    extra, bias_shape = per_dimension(output_padding, n), None if bias is None else bias.array.shape
    shape = check_transposed(input.array.shape, weight.array.shape, how, extra, bias_shape)
    # Windows of zeros stand for output padding of a stride or more: else the output's convolution had more windows.
    windows = [e // s for e, s in zip(extra, how.stride)]
    if any(windows):
        input = pad(input, [m for more in reversed(windows) for m in (0, more)])
    return transposed_convolution(input, weight, bias, how, shape)


def _need_rank(name: str, n: int, input: Any) -> None:
    if input.array.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input.array.shape)}"
        )


def _conv(
    name: str, n: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    need_tensor(name, input=input, weight=weight)
    _need_rank(name, n, input)
    if input.array.ndim == n + 1:
        batch = unsqueeze(input, 0)
        return squeeze(_conv(name, n, batch, weight, bias, stride, padding, dilation, groups), 0)
    stride, dilation = per_dimension(stride, n), per_dimension(dilation, n)
    if isinstance(padding, str):
        input, padding = _named_padding(padding, input, weight, stride, dilation)
    return convolution(input, weight, bias, Conv(stride, per_dimension(padding, n), dilation, groups))


def _named_padding(
    padding: str, input: Any, weight: Any, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Any, Any]:
    """Padding "valid" or "same" as numbers; where "same" needs one more on the right, the input comes padded by it."""
    if padding == "valid":
        return input, 0
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'\nchoose 'valid' or 'same', or give numbers")
    if max(stride) > 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(weight.array.shape[2:], dilation)]
    if any(n % 2 for n in total):
        input = pad(input, [m for n in reversed(total) for m in (0, n % 2)])
    return input, tuple(n // 2 for n in total)


def _refuse_mixed_dtypes(input: Any, weight: Any, bias: Any) -> NoReturn:
    """RuntimeError that names the two dtypes that differ, in torch's words."""
    x, w = (backend.dtype_of(a) for a in (input, weight))
    if bias is not None and bias.dtype != input.dtype:
        b = backend.dtype_of(bias)
        raise RuntimeError(
            f"Input type ({x.c_name}) and bias type ({b.c_name}) should be the same\n"
            f"convert one with .to(dtype): the input is {x}, the bias {b}"
        )
    refuse_bool(input, f"slow_conv{max(2, weight.ndim - 2)}d_cpu")
    raise RuntimeError(
        f"expected scalar type {x.type_name} but found {w.type_name}\n"
        f"convert one with .to(dtype): the input is {x}, the weight {w}"
    )
