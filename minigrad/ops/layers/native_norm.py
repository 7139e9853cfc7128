"""Normalisations that also return the moments by which they normalised; and one over neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.ops.arithmetic import pow, square
from minigrad.ops.checks import need_float
from minigrad.ops.forms import forms
from minigrad.ops.layers.batch_norm import batch_norm
from minigrad.ops.layers.normalization import group_norm, layer_norm, moments
from minigrad.ops.reduce import mean_dim
from minigrad.ops.shape import reshape

__all__ = ["native_batch_norm", "native_group_norm", "native_layer_norm"]


def native_layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any, bias: Any, eps: float
) -> tuple[Any, Any, Any]:
    """`layer_norm`, the means, and 1 / sqrt(variance + eps); these two have no gradient."""
    out, x = layer_norm(input, normalized_shape, weight, bias, eps), input.array
    dim = tuple(range(x.ndim - len(tuple(normalized_shape)), x.ndim))
    return out, wrap(x.mean(axis=dim, keepdims=True)), wrap(moments(x, dim, eps)[1])


@forms(method=False, out="exact")
def native_batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Any, Any, Any]:
    """`batch_norm`, the batch's means and 1 / sqrt(variance + eps), without gradients; in evaluation both empty."""
    out, x = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps), input.array
    if not training:
        empty = backend.module_of(x).empty(0, x.dtype)
        return out, wrap(empty), wrap(empty.copy())
    dim = (0, *range(2, x.ndim))
    return out, wrap(x.mean(axis=dim)), wrap(moments(x, dim, eps)[1].reshape(-1))


def native_group_norm(
    input: Any, weight: Any, bias: Any, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Any, Any, Any]:
    """`group_norm` of N samples, C channels and HxW places; the means, 1 / sqrt(variance + eps): (N, group) each."""
    rows = reshape(input, (N, group, C // group * HxW))
    _, rstd = moments(rows, (2,), eps)
    return group_norm(input, group, weight, bias, eps), mean_dim(rows, (2,), False), reshape(rstd, (N, group))


# -- over neighbouring channels ----------------------------------------------------------------------------------------


@Op
def channel_windows(input, before: int, after: int, *, xp):
    """The sums over channels i - before to i + after of (N, C, ...), without those that there are not."""
    channels = input.shape[1]
    out = input.copy()
    for i in range(1, max(before, after) + 1):
        if i <= before:
            out[:, i:] += input[:, : channels - i]
        if i <= after:
            out[:, : channels - i] += input[:, i:]
    return out


channel_windows.derivative(input=lambda g, before, after: channel_windows(g, after, before))


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """input / (k + alpha mean(input**2))**beta, the mean over the `size` channels around, zeros outside counting.

    (Krizhevsky et al. 2012, section 3.3.) ValueError for less than three dims, RuntimeError for a size below 1.
    """
    if input.ndim < 3:
        spaces = " " * 26
        raise ValueError(f"Expected 3D or higher dimensionality{spaces}input (got {input.ndim} dimensions)")
    if not input.array.size:
        return input
    need_float(input.array, "avg_pool2d_out_frame" if input.ndim == 3 else "avg_pool3d_out_frame")
    if size < 1:
        raise RuntimeError(f"kernel size should be greater than zero, but got kH: {size} kW: 1")
    squares, last = square(input), input.array.shape[1] - 1
    sums = channel_windows(squares, min(size // 2, last), min((size - 1) // 2, last))
    return input / pow(sums * (alpha / size) + k, beta)
