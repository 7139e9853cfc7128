"""Normalization of channels by moments of the whole batch, or by those learnt from all batches; and of each instance.

The derivative is that of `normalization`. Kernels on the GPU keep the moments for it, not the centred input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad.autograd.op import Op
from minigrad.backend import is_gpu_array, np
from minigrad.kernels import norms
from minigrad.kernels.gpu import norms as gpu
from minigrad.ops.cast import clone
from minigrad.ops.checks import need_float, refuse_gradient
from minigrad.ops.elementwise import rsqrt
from minigrad.ops.expand import expand
from minigrad.ops.layers.normalization import all_but_channels, check_dtype, moments, per_channel
from minigrad.ops.reduce import mean_dim, reduced_size, sum_dim
from minigrad.ops.shape import reshape

__all__ = ["batch_norm", "instance_norm"]


# -- batch norm --------------------------------------------------------------------------------------------------------


@Op(node="NativeBatchNormBackward0", cache=True)
def _batch_norm(input, weight, bias, eps: float, known: tuple):
    """(input - mean) * rstd * weight + bias, each channel by its own moments, which are `known`."""
    centred, rstd = known
    if norms.fits_channels(centred, rstd, bias):
        scale = rstd.reshape(-1) if weight is None else rstd.reshape(-1) * weight
        return norms.scaled_channels(centred, scale, bias), known
    out = centred * (rstd if weight is None else rstd * per_channel(weight, input.ndim))
    if bias is not None:
        out += per_channel(bias, input.ndim)
    return out, known


@Op(node="NativeBatchNormBackward0", cache=True)
def _batch_norm_by_kernels(input, weight, bias, running_mean, running_var, momentum: float, eps: float):
    """The same on the GPU, where the kernels find the moments and move the running ones, if there are any."""
    return gpu.batch_norm(input, weight, bias, running_mean, running_var, momentum, eps)


@_batch_norm_by_kernels.joint_derivative("input", "weight", "bias")
@_batch_norm.joint_derivative("input", "weight", "bias")
def _batch_norm_rule(g, input, weight, weight_shape, bias_shape, eps, cache, needs):
    if is_gpu_array(cache):
        return gpu.batch_norm_back(g, input, weight, cache[0], cache[1], needs)
    dim = all_but_channels(input.ndim)
    centred, rstd = moments(input, dim, eps) if cache is None else cache
    if cache is not None and norms.fits_channels(g, centred, weight):
        found = norms.batch_norm_back(g, weight, centred, rstd)
        return tuple(gradient if needed else None for gradient, needed in zip(found, needs))
    n = reduced_size(input.shape, dim)
    total, along = sum_dim(g, dim, True), sum_dim(g * centred, dim, True)  # both serve several gradients
    g_input = None
    if needs[0]:
        scale = rstd if weight is None else rstd * per_channel(weight, input.ndim)
        g_input = (g - total / n - centred * (rstd * rstd * along / n)) * scale
    return (
        g_input,
        reshape(along * rstd, weight_shape) if needs[1] else None,
        reshape(total, bias_shape) if needs[2] else None,
    )


@Op(node="NativeBatchNormBackward0")
def _batch_norm_as_learnt(input, weight, bias, mean, var, eps: float, *, xp):
    """(input - mean) / sqrt(var + eps) * weight + bias, with given moments."""
    if xp is not np and gpu.fits(input, weight, bias, mean, var):
        return gpu.batch_norm_as_learnt(input, weight, bias, mean, var, eps)
    scale = xp.reciprocal(xp.sqrt(var + eps))
    if weight is not None:
        scale = scale * weight
    out = input * per_channel(scale, input.ndim)
    out += per_channel(-mean * scale if bias is None else bias - mean * scale, input.ndim)
    return out


@_batch_norm_as_learnt.joint_derivative("input", "weight", "bias")
def _batch_norm_as_learnt_rule(g, input, weight, mean, var, eps, weight_shape, bias_shape, needs):
    if gpu.fits(g, weight, mean, var):
        return gpu.batch_norm_back(g, input, weight, mean, var, needs, learnt=True, eps=eps)
    dim, rstd = all_but_channels(g.ndim), rsqrt(var + eps)
    g_input = g_weight = None
    if needs[0]:
        g_input = g * per_channel(rstd if weight is None else rstd * weight, g.ndim)
    if needs[1]:
        g_weight = reshape(sum_dim(g * (input - per_channel(mean, g.ndim)), dim, False) * rstd, weight_shape)
    return g_input, g_weight, reshape(sum_dim(g, dim, False), bias_shape) if needs[2] else None


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
    if gpu.fits(input.array, *[None if t is None else t.array for t in (weight, bias, running_mean, running_var)]):
        return _batch_norm_by_kernels(input, weight, bias, running_mean, running_var, momentum, eps)
    known, mean, var = _batch_moments(input.array, eps)
    _run(running_mean, mean, momentum)
    _run(running_var, var, momentum)
    return _batch_norm(input, weight, bias, eps, known)


def _batch_moments(x: Any, eps: float) -> tuple[tuple[Any, Any], Any, Any]:
    """(what `moments` gives, and the channels' means and unbiased variances), from one pass over the array."""
    dim = all_but_channels(x.ndim)
    n = x.size // x.shape[1]
    if norms.fits_channels(x):
        centred, mean, var = norms.channel_moments(x)
        mean, var = (per_channel(m, x.ndim) for m in (mean, var))
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
            check_dtype(x, name, parameter)


def _of_nothing(input: Any, weight: Any, bias: Any) -> Any:
    """An empty tensor, which has no moments."""
    out = clone(input)
    out = out if weight is None else out * per_channel(weight, input.ndim)
    return out if bias is None else out + per_channel(bias, input.ndim)


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
    repeated = [None if p is None else reshape(expand(p, (n, c)), (n * c,)) for p in (weight, bias)]
    if running_mean is None and running_var is None and gpu.fits(rows.array):
        return reshape(_batch_norm_by_kernels(rows, *repeated, None, None, momentum, eps), input.shape)
    known, mean, var = _batch_moments(rows.array, eps)
    _run(running_mean, mean.reshape(n, c).mean(axis=0), momentum)
    _run(running_var, var.reshape(n, c).mean(axis=0), momentum)
    return reshape(_batch_norm(rows, *repeated, eps, known), input.shape)
