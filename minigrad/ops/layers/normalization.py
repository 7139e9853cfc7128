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
from minigrad.kernels import norms
from minigrad.ops.cast import clone
from minigrad.ops.checks import need_float, refuse_gradient
from minigrad.ops.elementwise import rsqrt
from minigrad.ops.expand import expand
from minigrad.ops.reduce import mean_dim, reduced_size, sum_dim
from minigrad.ops.shape import reshape

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


def moments(input: Any, dim: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(input - mean, 1 / sqrt(variance + eps)) over `dim`."""
    centred = input - mean_dim(input, dim, True)
    return centred, rsqrt(mean_dim(centred * centred, dim, True) + eps)


def _slope(g: Any, centred: Any, rstd: Any, dim: tuple[int, ...]) -> Any:
    """The derivative of centred * rstd by the input."""
    along = rstd * rstd * mean_dim(g * centred, dim, True)
    return (g - mean_dim(g, dim, True) - centred * along) * rstd


def _per_channel(parameter: Any, ndim: int) -> Any:
    """(C,) as a factor of (N, C, ...)."""
    return reshape(parameter, (-1,) + (1,) * (ndim - 2))


def _all_but_channels(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


# -- batch norm --------------------------------------------------------------------------------------------------------


@Op(node="NativeBatchNormBackward0", cache=True)
def _batch_norm(input, weight, bias, eps: float, known: tuple):
    """(input - mean) * rstd * weight + bias, each channel by its own moments, which are `known`."""
    centred, rstd = known
    if norms.fits_channels(centred, rstd, bias):
        scale = rstd.reshape(-1) if weight is None else rstd.reshape(-1) * weight
        return norms.scaled_channels(centred, scale, bias), known
    out = centred * (rstd if weight is None else rstd * _per_channel(weight, input.ndim))
    if bias is not None:
        out += _per_channel(bias, input.ndim)
    return out, known


@_batch_norm.joint_derivative("input", "weight", "bias")
def _batch_norm_rule(g, input, weight, weight_shape, bias_shape, eps, cache, needs):
    dim = _all_but_channels(input.ndim)
    centred, rstd = moments(input, dim, eps) if cache is None else cache
    if cache is not None and norms.fits_channels(g, centred, weight):
        found = norms.batch_norm_back(g, weight, centred, rstd)
        return tuple(gradient if needed else None for gradient, needed in zip(found, needs))
    n = reduced_size(input.shape, dim)
    total, along = sum_dim(g, dim, True), sum_dim(g * centred, dim, True)  # both serve several gradients
    g_input = None
    if needs[0]:
        scale = rstd if weight is None else rstd * _per_channel(weight, input.ndim)
        g_input = (g - total / n - centred * (rstd * rstd * along / n)) * scale
    return (
        g_input,
        reshape(along * rstd, weight_shape) if needs[1] else None,
        reshape(total, bias_shape) if needs[2] else None,
    )


@Op(node="NativeBatchNormBackward0")
def _batch_norm_as_learnt(input, weight, bias, mean, var, eps: float, *, xp):
    """(input - mean) / sqrt(var + eps) * weight + bias, with given moments."""
    scale = xp.reciprocal(xp.sqrt(var + eps))
    if weight is not None:
        scale = scale * weight
    out = input * _per_channel(scale, input.ndim)
    out += _per_channel(-mean * scale if bias is None else bias - mean * scale, input.ndim)
    return out


def _learnt_scale(weight, var, eps, ndim):
    scale = rsqrt(var + eps)
    return _per_channel(scale if weight is None else scale * weight, ndim)


_batch_norm_as_learnt.derivative(
    input=lambda g, weight, var, eps: g * _learnt_scale(weight, var, eps, g.ndim),
    weight=lambda g, input, mean, var, eps, weight_shape: reshape(
        sum_dim(g * (input - _per_channel(mean, g.ndim)), _all_but_channels(g.ndim), False) * rsqrt(var + eps),
        weight_shape,
    ),
    bias=lambda g, bias_shape: reshape(sum_dim(g, _all_but_channels(g.ndim), False), bias_shape),
)


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Any:
    """Normalize each channel of (N, C, ...): by the batch's own moments in training, else by the running ones.

    In training the running moments, if there are any, move to the batch's by the share `momentum`, the variance to its
    unbiased one. ValueError for a single value per channel, RuntimeError for parameters that do not fit.
    """
    if training:
        _need_several_values(input.shape)
    if eps < 0 or (training and eps == 0):
        how = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {how}, but got {eps}")
    _check_channels(input, running_mean, running_var, weight, bias, training)
    if not input.array.size:
        return _of_nothing(input, weight, bias)
    if not training:
        return _batch_norm_as_learnt(input, weight, bias, running_mean, running_var, eps)
    known, mean, var = _batch_moments(input.array, eps)
    _run(running_mean, mean, momentum)
    _run(running_var, var, momentum)
    return _batch_norm(input, weight, bias, eps, known)


def _batch_moments(x: Any, eps: float) -> tuple[tuple[Any, Any], Any, Any]:
    """(what `moments` gives, and the channels' means and unbiased variances), from one pass over the array."""
    dim = _all_but_channels(x.ndim)
    n = x.size // x.shape[1]
    if norms.fits_channels(x):
        centred, mean, var = norms.channel_moments(x)
        mean, var = (_per_channel(m, x.ndim) for m in (mean, var))
    else:
        mean = mean_dim(x, dim, True)
        centred = x - mean
        var = mean_dim(centred * centred, dim, True)
    return (centred, rsqrt(var + eps)), mean.reshape(-1), var.reshape(-1) * (n / max(n - 1, 1))


def _run(running: Any, value: Any, momentum: float) -> None:
    if running is not None:
        running.array[...] = (1 - momentum) * running.array + momentum * value


def _need_several_values(shape: Sequence[int]) -> None:
    if math.prod([shape[0], *shape[2:]]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")


def _check_channels(input: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool) -> None:
    x = input.array
    if x.ndim < 2 and mean is None:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-x.ndim}, {x.ndim - 1}], but got 1)")
    channels = x.shape[1] if x.ndim > 1 else 0
    refuse_gradient("native_batch_norm", running_mean=mean, running_var=var)
    need_float(x, "batch_norm")
    given = {"running_mean": mean, "running_var": var, "weight": weight, "bias": bias}
    for name, parameter in given.items():
        if parameter is None:
            if name.startswith("running") and not training:
                raise RuntimeError(f"{name} must be defined in evaluation mode\npass it, or training=True")
        elif parameter.array.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter.array.size}")
        elif name.startswith("running") and parameter.array.ndim != 1:
            raise RuntimeError(f"TensorAccessor expected 1 dims but tensor has {parameter.array.ndim}\nit is {name}")
        else:
            _check_dtype(x, name, parameter)


def _check_dtype(x: Any, name: str, parameter: Any) -> None:
    if parameter.array.dtype != x.dtype:
        text = "all inputs must share same datatype."
        if x.dtype != "float64":
            text = f"expect parameter to have scalar type of {backend.dtype_of(x).type_name}"
        raise RuntimeError(f"mixed dtype (CPU): {text}\n{name} is {parameter.dtype}: cast it or the input")


def _check_dtypes(x: Any, weight: Any, bias: Any, kernel: str) -> None:
    if weight is not None:
        _check_dtype(x, "weight", weight)
    need_float(x, kernel)
    if bias is not None:
        _check_dtype(x, "bias", bias)


def _of_nothing(input: Any, weight: Any, bias: Any) -> Any:
    """An empty tensor, which has no moments."""
    out = clone(input)
    out = out if weight is None else out * _per_channel(weight, input.ndim)
    return out if bias is None else out + _per_channel(bias, input.ndim)


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Any:
    """Normalize every channel of every sample of (N, C, ...) by itself; or by the running moments, as `batch_norm`.

    ValueError for a single value per channel.
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    n, c, *rest = input.shape
    if math.prod(rest) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    _check_channels(input, running_mean, running_var, weight, bias, True)
    if not input.array.size:
        return _of_nothing(input, weight, bias)
    # Every channel of every sample is a channel of one large sample.
    rows = reshape(input, (1, n * c, *rest))
    known, mean, var = _batch_moments(rows.array, eps)
    _run(running_mean, mean.reshape(n, c).mean(axis=0), momentum)
    _run(running_var, var.reshape(n, c).mean(axis=0), momentum)
    repeated = [None if p is None else reshape(expand(p, (n, c)), (n * c,)) for p in (weight, bias)]
    return reshape(_batch_norm(rows, *repeated, eps, known), input.shape)


# -- layer norm --------------------------------------------------------------------------------------------------------


@Op(node="NativeLayerNormBackward0", cache=True)
def _layer_norm(input, weight, bias, dim: tuple, eps: float):
    """(input - mean) * rstd * weight + bias, by the moments over the last dims, `dim`."""
    if norms.fits(input, weight, bias):
        return norms.layer_norm(input, weight, bias, reduced_size(input.shape, dim), eps)
    centred, rstd = moments(input, dim, eps)
    out = centred * rstd
    if weight is not None:
        out *= weight
    if bias is not None:
        out += bias
    return out, (centred, rstd)


@_layer_norm.joint_derivative("input", "weight", "bias")
def _layer_norm_rule(g, input, weight, dim, eps, cache, needs):
    centred, rstd = moments(input, dim, eps) if cache is None else cache
    if cache is not None and norms.fits(g, centred, weight):
        found = norms.layer_norm_back(g, weight, centred, rstd, tuple(input.shape[d] for d in dim))
        return tuple(gradient if needed else None for gradient, needed in zip(found, needs))
    samples = tuple(range(input.ndim - len(dim)))
    return (
        _slope(g if weight is None else g * weight, centred, rstd, dim) if needs[0] else None,
        sum_dim(g * (centred * rstd), samples, False) if needs[1] else None,
        sum_dim(g, samples, False) if needs[2] else None,
    )


def layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-05
) -> Any:
    """Normalize over the last dims, whose sizes are `normalized_shape`; weight and bias have that shape too.

    RuntimeError for shapes that do not fit.
    """
    dim = _last_dims("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    _check_dtypes(input.array, weight, bias, "LayerNormKernelImpl")
    return _layer_norm(input, weight, bias, dim, eps)


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """input / sqrt(mean(input**2) + eps) * weight over the last dims; `eps` is by default that of the dtype.

    RuntimeError for shapes that do not fit.
    """
    dim = _last_dims("rms_norm", input, normalized_shape, weight=weight)
    need_float(input.array, "rms_norm")
    if eps is None:
        eps = float(backend.np.finfo(input.array.dtype).eps)
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
    centred, rstd = moments(input.reshape(groups), (2,), eps)
    out = (centred * rstd).reshape(input.shape)
    if weight is not None:
        out *= _per_channel(weight, input.ndim)
    if bias is not None:
        out += _per_channel(bias, input.ndim)
    return out, (centred, rstd)


@_group_norm.joint_derivative("input", "weight", "bias")
def _group_norm_rule(g, input, weight, groups, eps, cache, needs):
    centred, rstd = moments(reshape(input, groups), (2,), eps) if cache is None else cache
    dim = _all_but_channels(input.ndim)
    g_input = g_weight = None
    if needs[0]:
        scaled = g if weight is None else g * _per_channel(weight, input.ndim)
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
