"""Normalization: what has mean 0 and variance 1 over some dims, scaled and shifted.

With centred = x - mean(x) and rstd = 1 / sqrt(mean(centred**2) + eps), the derivative of centred * rstd, for a gradient
g, is

    rstd * (g - mean(g) - centred * rstd**2 * mean(g * centred))

where all means are over the same dims: the parts of g along 1 and along x are taken out, for neither changes anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.backend import is_gpu_array
from minigrad.kernels import norms
from minigrad.kernels.gpu import norms as gpu
from minigrad.ops.checks import need_float
from minigrad.ops.elementwise import rsqrt
from minigrad.ops.reduce import mean_dim, reduced_size, sum_dim
from minigrad.ops.shape import reshape

__all__ = ["group_norm", "layer_norm", "rms_norm"]


def moments(input: Any, dim: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(input - mean, 1 / sqrt(variance + eps)) over `dim`."""
    centred = input - mean_dim(input, dim, True)
    return centred, rsqrt(mean_dim(centred * centred, dim, True) + eps)


def _slope(g: Any, centred: Any, rstd: Any, dim: tuple[int, ...]) -> Any:
    """The derivative of centred * rstd by the input."""
    along = rstd * rstd * mean_dim(g * centred, dim, True)
    return (g - mean_dim(g, dim, True) - centred * along) * rstd


def per_channel(parameter: Any, ndim: int) -> Any:
    """(C,) as a factor of (N, C, ...)."""
    return reshape(parameter, (-1,) + (1,) * (ndim - 2))


def all_but_channels(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def check_dtype(x: Any, name: str, parameter: Any) -> None:
    if parameter.array.dtype != x.dtype:
        text = "all inputs must share same datatype."
        if x.dtype != "float64":
            text = f"expect parameter to have scalar type of {backend.dtype_of(x).type_name}"
        raise RuntimeError(f"mixed dtype (CPU): {text}\n{name} is {parameter.dtype}: cast it or the input")


def _check_dtypes(x: Any, weight: Any, bias: Any, kernel: str) -> None:
    if weight is not None:
        check_dtype(x, "weight", weight)
    need_float(x, kernel)
    if bias is not None:
        check_dtype(x, "bias", bias)


# -- layer norm --------------------------------------------------------------------------------------------------------


@Op(node="NativeLayerNormBackward0", cache=True)
def _layer_norm(input, weight, bias, dim: tuple, eps: float):
    """(input - mean) * rstd * weight + bias, by the moments over the last dims, `dim`."""
    if norms.fits(input, weight, bias):
        return norms.layer_norm(input, weight, bias, reduced_size(input.shape, dim), eps)
    if gpu.fits(input, weight, bias):
        return gpu.normalize_rows(input, weight, bias, reduced_size(input.shape, dim), eps)
    centred, rstd = moments(input, dim, eps)
    out = centred * rstd
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias
    return out, (centred, rstd)


@_layer_norm.joint_derivative("input", "weight", "bias")
def _layer_norm_rule(g, input, weight, dim, eps, cache, needs):
    if is_gpu_array(cache):
        return gpu.normalize_rows_back(g, input, weight, cache, _sizes(input, dim), needs)
    centred, rstd = moments(input, dim, eps) if cache is None else cache
    if cache is not None and norms.fits(g, centred, weight):
        found = norms.layer_norm_back(g, weight, centred, rstd, _sizes(input, dim))
        return tuple(gradient if needed else None for gradient, needed in zip(found, needs))
    samples = tuple(range(input.ndim - len(dim)))
    return (
        _slope(g if weight is None else g * weight, centred, rstd, dim) if needs[0] else None,
        sum_dim(g * (centred * rstd), samples, False) if needs[1] else None,
        sum_dim(g, samples, False) if needs[2] else None,
    )


def _sizes(input: Any, dim: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(input.shape[d] for d in dim)


def layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-05
) -> Any:
    """Normalize over the last dims, whose sizes are `normalized_shape`; weight and bias have that shape too.

    RuntimeError for shapes that do not fit.
    """
    dim = _last_dims("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    _check_dtypes(input.array, weight, bias, "LayerNormKernelImpl")
    return _layer_norm(input, weight, bias, dim, eps)


@Op(node="FusedRmsNormBackward0", cache=True)
def _rms_norm_by_kernels(input, weight, dim: tuple, eps: float):
    """input / sqrt(mean(input**2) + eps) * weight over the last dims, `dim`, on the GPU."""
    return gpu.normalize_rows(input, weight, None, reduced_size(input.shape, dim), eps, centres=False)


@_rms_norm_by_kernels.joint_derivative("input", "weight")
def _rms_norm_rule(g, input, weight, dim, eps, cache, needs):
    if is_gpu_array(cache):
        needs = (*needs, False)
        return gpu.normalize_rows_back(g, input, weight, cache, _sizes(input, dim), needs, centres=False)[:2]
    rstd = rsqrt(mean_dim(input * input, dim, True) + eps)
    scaled, samples = g if weight is None else g * weight, tuple(range(input.ndim - len(dim)))
    return (
        (scaled - input * (rstd * rstd * mean_dim(scaled * input, dim, True))) * rstd if needs[0] else None,
        sum_dim(g * (input * rstd), samples, False) if needs[1] else None,
    )


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """input / sqrt(mean(input**2) + eps) * weight over the last dims; `eps` is by default that of the dtype.

    RuntimeError for shapes that do not fit.
    """
    dim = _last_dims("rms_norm", input, normalized_shape, weight=weight)
    need_float(input.array, "rms_norm")
    if eps is None:
        eps = float(backend.np.finfo(input.array.dtype).eps)
    if gpu.fits(input.array, None if weight is None else weight.array):
        return _rms_norm_by_kernels(input, weight, dim, eps)
    out = input * rsqrt(mean_dim(input * input, dim, True) + eps)
    return out if weight is None else out * weight


def _last_dims(name: str, input: Any, normalized_shape: Sequence[int], **parameters: Any) -> tuple[int, ...]:
    """The last dims of `input`, one for each size in `normalized_shape`."""
    if isinstance(normalized_shape, int):
        raise TypeError(f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not int")
    sizes, shape = tuple(normalized_shape), input.array.shape
    if not sizes:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for parameter, value in parameters.items():
        if value is not None and value.array.shape != sizes:
            raise RuntimeError(
                f"Expected {parameter} to be of same shape as normalized_shape, but got {parameter} of shape "
                f"{list(value.array.shape)} and normalized_shape = {list(sizes)}"
            )
    if name == "rms_norm" and len(shape) < len(sizes):
        raise ValueError(f"Input tensor must have at least {len(sizes)} dimensions, but got {len(shape)}")
    if shape[-len(sizes) :] != sizes:
        any_dims = "*" if name == "rms_norm" else "*, "
        raise RuntimeError(
            f"Given normalized_shape={list(sizes)}, expected input with shape [{any_dims}{str(list(sizes))[1:]}, but "
            f"got input of size{list(shape)}"
        )
    return tuple(range(len(shape) - len(sizes), len(shape)))


# -- group norm --------------------------------------------------------------------------------------------------------


@Op(node="NativeGroupNormBackward0", cache=True)
def _group_norm(input, weight, bias, groups: tuple, eps: float):
    """(input - mean) * rstd * weight + bias, by the moments of each of (N, groups, rest), the shape `groups`."""
    if gpu.fits(input, weight, bias):
        return gpu.group_norm(input, weight, bias, groups[1], eps)
    centred, rstd = moments(input.reshape(groups), (2,), eps)
    out = (centred * rstd).reshape(input.shape)
    if weight is not None:
        out *= per_channel(weight, input.ndim)
    if bias is not None:
        out += per_channel(bias, input.ndim)
    return out, (centred, rstd)


@_group_norm.joint_derivative("input", "weight", "bias")
def _group_norm_rule(g, input, weight, groups, eps, cache, needs):
    if is_gpu_array(cache):
        return gpu.group_norm_back(g, input, weight, cache, groups[1], needs)
    centred, rstd = moments(reshape(input, groups), (2,), eps) if cache is None else cache
    dim = all_but_channels(input.ndim)
    g_input = g_weight = None
    if needs[0]:
        scaled = g if weight is None else g * per_channel(weight, input.ndim)
        g_input = reshape(_slope(reshape(scaled, groups), centred, rstd, (2,)), input.shape)
    if needs[1]:
        g_weight = sum_dim(g * reshape(centred * rstd, input.shape), dim, False)
    return g_input, g_weight, sum_dim(g, dim, False) if needs[2] else None


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05) -> Any:
    """Normalize every group of channels of every sample of (N, C, ...); weight and bias are (C,).

    RuntimeError unless C is a multiple of `num_groups`, ValueError for a single value per group.
    """
    shape = input.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    n, c, *rest = shape
    if n * c // num_groups * math.prod(rest) == 1:
        got = [n * c // num_groups, num_groups, *rest]
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {got}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if c % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} "
            f"and num_groups={num_groups}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.array.shape != (c,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(parameter.array.shape)} and input of shape {list(shape)}"
            )
    _check_dtypes(input.array, weight, bias, "GroupNormKernelImpl")
    return _group_norm(input, weight, bias, (n, num_groups, c // num_groups * math.prod(rest)), eps)
