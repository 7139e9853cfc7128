"""Activation functions, and the gates built of them. Their kinks have torch's slopes, which the docstrings say."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.kernels import gelu as kernel
from minigrad.kernels import relu as loops
from minigrad.kernels import special
from minigrad.kernels.gpu import activation as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.select import select
from minigrad.ops.arithmetic import abs, true_divide
from minigrad.ops.checks import as_integer, need_float, refuse_bool
from minigrad.ops.compare import where
from minigrad.ops.elementwise import erf, exp, sigmoid, tanh
from minigrad.ops.forms import forms
from minigrad.ops.rounding import no_slope

__all__ = [
    "relu", "leaky_relu", "threshold", "hardtanh", "relu6", "hardsigmoid", "hardswish", "hardshrink", "softshrink",
    "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid", "softsign", "tanhshrink",
]  # fmt: skip


# -- piecewise linear -------------------------------------------------------------------------------------------------


@forms(in_place=True, out=False)
@Op
def relu(input, *, xp):
    """max(input, 0); slope 0 at 0, 1 at nan. RuntimeError for dtype bool."""
    if input.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    return loops.relu(input) if loops.fits(input) else xp.maximum(input, 0)


@Op(node="ThresholdBackwardBackward0")
def relu_backward(input, output, *, xp):
    """The gradient of relu from the one that came in: it depends on relu's `output`, if only in steps."""
    if loops.fits(input) and loops.fits(output):
        return loops.relu_back(input, output)
    if takes(input, output):
        return gpu.backward("relu", input, output)
    return select(output <= 0, 0, input, xp)


relu.derivative(input=lambda g, out: relu_backward(g, out))
relu_backward.derivative(input=lambda g, output: relu_backward(g, output), output=lambda g: no_slope(g))


@Op
def leaky_relu(input, negative_slope: float = 0.01, *, xp):
    """input where it is positive, else negative_slope * input; the negative slope at 0."""
    need_float(input, "leaky_relu_cpu")
    if takes(input):
        return gpu.forward("leaky_relu", input, negative_slope)
    return select(input > 0, input, input * negative_slope, xp)


def _leaky_relu_slope(g, input, negative_slope):
    if takes(g, input):
        return gpu.backward("leaky_relu", g, input, negative_slope)
    return where(input > 0, g, g * negative_slope)


leaky_relu.derivative(input=_leaky_relu_slope)


@forms(method=False)
@Op
def threshold(input, threshold: float, value: float, *, xp):
    """input where it is greater than `threshold`, else `value`; slope 0 at the threshold."""
    if input.dtype.kind != "f":
        refuse_bool(input, "threshold_cpu")
        threshold, value = as_integer(threshold, input.dtype), as_integer(value, input.dtype)
    return select(input <= threshold, value, input, xp)


threshold.derivative(input=lambda g, input, threshold: where(input <= threshold, 0, g))


@Op
def hardtanh(input, min_val: float = -1.0, max_val: float = 1.0, *, xp):
    """input moved into [min_val, max_val]; slope 0 at both. ValueError if they are in the wrong order."""
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val\ngot {min_val} and {max_val}")
    if input.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if input.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype.kind != "f":
        min_val, max_val = int(min_val), int(max_val)
    if takes(input):
        return gpu.forward("hardtanh", input, min_val, max_val)
    return xp.minimum(xp.maximum(input, min_val), max_val)


def _hardtanh_slope(g, input, min_val, max_val):
    if takes(g, input):
        return gpu.backward("hardtanh", g, input, min_val, max_val)
    return where((input > min_val) & (input < max_val), g, 0)


hardtanh.derivative(input=_hardtanh_slope)


def relu6(input: Any) -> Any:
    """input moved into [0, 6]."""
    return hardtanh(input, 0.0, 6.0)


@Op
def hardsigmoid(input, *, xp):
    """input / 6 + 1/2 moved into [0, 1]; slope 0 at -3 and 3."""
    need_float(input, "hardsigmoid_cpu")
    if takes(input):
        return gpu.forward("hardsigmoid", input)
    return xp.minimum(xp.maximum(input + 3, 0), 6) / 6


def _hardsigmoid_slope(g, input):
    if takes(g, input):
        return gpu.backward("hardsigmoid", g, input)
    return where((input > -3) & (input < 3), g / 6, 0)


hardsigmoid.derivative(input=_hardsigmoid_slope)


@Op
def hardswish(input, *, xp):
    """input * hardsigmoid(input) (Howard et al. 2019); slope 0 at -3, 1 at 3."""
    need_float(input, "hardswish_cpu")
    if takes(input):
        return gpu.forward("hardswish", input)
    return input * xp.minimum(xp.maximum(input + 3, 0), 6) / 6


def _hardswish_slope(g, input):
    if takes(g, input):
        return gpu.backward("hardswish", g, input)
    return g * where(input <= -3, 0, where(input < 3, input / 3 + 0.5, 1))


hardswish.derivative(input=_hardswish_slope)


@forms(out="exact")
@Op
def hardshrink(input, lambd: float = 0.5, *, xp):
    """input where |input| > lambd, else 0; slope 0 at lambd."""
    need_float(input, "hardshrink_cpu")
    return select((input >= -lambd) & (input <= lambd), 0, input, xp)


@Op
def softshrink(input, lambd: float = 0.5, *, xp):
    """input moved towards 0 by lambd, and 0 where it is nearer than that; slope 0 at lambd."""
    need_float(input, "softshrink_check")
    if not lambd >= 0:
        largest, dtype = xp.finfo(input.dtype).max, backend.dtype_of(input).type_name
        raise RuntimeError(f"lambda must be in range [0, {largest:g}] for input dtype {dtype}, but found {lambd}")
    return input - xp.minimum(xp.maximum(input, -lambd), lambd)


def _shrink_slope(g, input, lambd):
    return where((input > lambd) | (input < -lambd), g, 0)


hardshrink.derivative(input=_shrink_slope)
softshrink.derivative(input=_shrink_slope)


# -- exponential ------------------------------------------------------------------------------------------------------


@Op(node="EluBackward0")
def _elu(input, alpha: float, scale: float, input_scale: float, *, xp):
    """scale * input where it is positive, else scale * alpha * (exp(input_scale * input) - 1)."""
    need_float(input, "elu_cpu")
    if takes(input):
        return gpu.forward("elu", input, alpha, scale, input_scale)
    negative = xp.expm1(xp.minimum(input, 0) * input_scale)
    negative *= alpha * scale
    return select(input < 0, negative, input * scale, xp)


def _elu_slope(g, input, alpha, scale, input_scale):
    """At 0 the slope from below. exp sees the negative part only: inf, times 0, would spoil the second derivative."""
    if takes(g, input):
        return gpu.backward("elu", g, input, alpha, scale, input_scale)
    exponential = exp(where(input < 0, input, 0) * input_scale) * (alpha * scale * input_scale)
    return g * where(input <= 0, exponential, scale)


_elu.derivative(input=_elu_slope)


def elu(input: Any, alpha: float = 1.0) -> Any:
    """input where it is positive, else alpha * (exp(input) - 1) (Clevert et al. 2016)."""
    return _elu(input, alpha, 1.0, 1.0)


def selu(input: Any) -> Any:
    """elu with the two constants that keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _elu(input, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


@Op
def celu(input, alpha: float = 1.0):
    """input where it is positive, else alpha * (exp(input / alpha) - 1) (Barron 2017): slope 1 at 0 for every alpha."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(input, alpha, 1.0, 1 / alpha)


celu.derivative(input=lambda g, input, alpha: _elu_slope(g, input, alpha, 1.0, 1 / alpha))


# -- smooth gates -----------------------------------------------------------------------------------------------------


@Op(cache=True)
def gelu(input, approximate: str = "none", *, xp):
    """input * P(Z <= input) for a standard normal Z (Hendrycks and Gimpel 2016).

    approximate="tanh" takes 1/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) for the probability.
    """
    need_float(input, "GeluKernelImpl")
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    if approximate == "none" and kernel.fits(input):
        return kernel.gelu(input)
    if takes(input):
        return gpu.forward("gelu" if approximate == "none" else "gelu_tanh", input), None
    probability = xp.tanh(_gelu_inner(input)) if approximate == "tanh" else special.erf(input * math.sqrt(0.5), xp)
    probability += 1
    probability *= 0.5
    return input * probability, probability


def _gelu_inner(x):
    return math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))


def _gelu_slope(g, input, approximate, cache):
    x = input
    if takes(g, x):
        return gpu.backward("gelu" if approximate == "none" else "gelu_tanh", g, x)
    if approximate == "none" and cache is not None and kernel.fits(g, x):
        return kernel.gelu_slope(g, x, cache)
    if approximate == "none":
        p = 0.5 * (1 + erf(x * math.sqrt(0.5))) if cache is None else cache
        density = exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))
    else:
        p = 0.5 * (1 + tanh(_gelu_inner(x))) if cache is None else cache
        density = p * (1 - p) * (2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (x * x)))
    return g * (p + x * density)


gelu.derivative(input=_gelu_slope)


@Op
def silu(input, *, xp):
    """input * sigmoid(input), also called swish."""
    need_float(input, "silu_cpu")
    if takes(input):
        return gpu.forward("silu", input)
    return input / (1 + xp.exp(-input))


def _silu_slope(g, input):
    if takes(g, input):
        return gpu.backward("silu", g, input)
    s = sigmoid(input)
    return g * (s * (1 + input * (1 - s)))


silu.derivative(input=_silu_slope)


@Op
def mish(input, *, xp):
    """input * tanh(softplus(input)) (Misra 2019)."""
    need_float(input, "mish_cpu")
    if takes(input):
        return gpu.forward("mish", input)
    return input * xp.tanh(xp.log1p(xp.exp(input)))


def _mish_slope(g, input):
    if takes(g, input):
        return gpu.backward("mish", g, input)
    t = tanh(softplus(input))
    return g * (t + input * sigmoid(input) * (1 - t * t))


mish.derivative(input=_mish_slope)


@Op
def softplus(input, beta: float = 1.0, threshold: float = 20.0, *, xp):
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold."""
    need_float(input, "softplus_cpu")
    if takes(input):
        return gpu.forward("softplus", input, beta, threshold)
    x = input * beta
    smooth = xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))  # no overflow, which a half would have from x = 12 on
    return select(x > threshold, input, smooth / beta, xp)


def _softplus_slope(g, input, beta, threshold):
    if takes(g, input):
        return gpu.backward("softplus", g, input, beta, threshold)
    return where(input * beta > threshold, g, g * sigmoid(input * beta))


softplus.derivative(input=_softplus_slope)


@Op(node="LogSigmoidBackward0")
def logsigmoid(input, *, xp):
    """log(sigmoid(input)), without overflow."""
    need_float(input, "log_sigmoid_cpu")
    if takes(input):
        return gpu.forward("logsigmoid", input)
    return xp.minimum(input, 0) - xp.log1p(xp.exp(-xp.abs(input)))


def _logsigmoid_slope(g, input):
    return gpu.backward("logsigmoid", g, input) if takes(g, input) else g * sigmoid(-input)


logsigmoid.derivative(input=_logsigmoid_slope)


def softsign(input: Any) -> Any:
    """input / (1 + |input|)."""
    return true_divide(input, abs(input) + 1)


def tanhshrink(input: Any) -> Any:
    """input - tanh(input)."""
    return input - tanh(input)
