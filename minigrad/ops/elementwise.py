"""Functions of the calculus book, elementwise: exponentials, logarithms, trigonometry, and the error function.

Where a derivative is a function of the value itself (exp, tanh, sigmoid), the rule names `out`.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd.op import Op
from minigrad.kernels import special
from minigrad.kernels.gpu import activation as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.ops.checks import need_float
from minigrad.ops.compare import NUMBERS, isfinite, where
from minigrad.ops.forms import forms

__all__ = [
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "xlogy",
    "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinc", "deg2rad", "rad2deg", "hypot",
    "arcsin", "arccos", "arctan", "arctan2",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "arcsinh", "arccosh", "arctanh",
    "sqrt", "rsqrt", "sigmoid", "logit", "erf", "erfc", "erfinv", "nan_to_num",
]  # fmt: skip


# -- exponentials and logarithms --------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def exp(input, *, xp):
    """e ** input."""
    return xp.exp(input)


@forms(in_place=True)
@Op(promote="float")
def exp2(input, *, xp):
    """2 ** input."""
    return xp.exp2(input)


@forms(in_place=True)
@Op(promote="float")
def expm1(input, *, xp):
    """exp(input) - 1, precise near 0."""
    return xp.expm1(input)


@forms(in_place=True)
@Op(promote="float")
def log(input, *, xp):
    """The natural logarithm; -inf at 0, nan below."""
    return xp.log(input)


@forms(in_place=True)
@Op(promote="float")
def log2(input, *, xp):
    """The logarithm to base 2."""
    return xp.log2(input)


@forms(in_place=True)
@Op(promote="float")
def log10(input, *, xp):
    """The logarithm to base 10."""
    return xp.log10(input)


@forms(in_place=True)
@Op(promote="float", node="Log1PBackward0")
def log1p(input, *, xp):
    """log(1 + input), precise near 0."""
    return xp.log1p(input)


exp.derivative(input=lambda g, out: g * out)
exp2.derivative(input=lambda g, out: g * out * math.log(2))
expm1.derivative(input=lambda g, out: g * (out + 1))
log.derivative(input=lambda g, input: g / input)
log2.derivative(input=lambda g, input: g / (input * math.log(2)))
log10.derivative(input=lambda g, input: g / (input * math.log(10)))
log1p.derivative(input=lambda g, input: g / (input + 1))


@forms()
@Op(promote="common", tensors=("input", "other"))
def logaddexp(input, other, *, xp):
    """log(exp(input) + exp(other)), without overflow."""
    need_float(input, "logaddexp_cpu")
    return xp.logaddexp(input, other)


logaddexp.derivative(
    input=lambda g, input, other: g / (1 + exp(other - input)),
    other=lambda g, input, other: g / (1 + exp(input - other)),
)


@forms(in_place=True)
def xlogy(input: Any, other: Any) -> Any:
    """input * log(other), and 0 where input is 0, whatever the logarithm (but nan where `other` is nan)."""
    if type(other) in NUMBERS:
        return _xlogy_by_number(input, other)
    return (_xlogy_of_number if type(input) in NUMBERS else _xlogy)(input, other)


@Op(promote="float")
def _xlogy(input, other, *, xp):
    """input * log(other), both tensors."""
    return xp.where((input == 0) & ~xp.isnan(other), 0, input * xp.log(other))


@Op(promote="float", node="XlogyBackward1")
def _xlogy_of_number(input, other):
    """input * log(other), `input` a number."""
    return _xlogy(input, other)


@Op(promote="float", node="XlogyBackward2")
def _xlogy_by_number(input, other):
    """input * log(other), `other` a number."""
    logarithm = math.nan if not other >= 0 else math.log(other) if other else -math.inf
    return where(input == 0, 0 if other == other else math.nan, input * logarithm)


def _xlogy_slope(g, input, other):
    return where((input == 0) & (other <= 0), 0, xlogy(g, other))


_xlogy.derivative(input=_xlogy_slope, other=lambda g, input, other: g * input / other)
_xlogy_of_number.derivative(other=lambda g, input, other: g * input / other)
_xlogy_by_number.derivative(input=_xlogy_slope)


# -- roots ------------------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def sqrt(input, *, xp):
    """The square root; nan for negative numbers."""
    return xp.sqrt(input)


@forms(in_place=True)
@Op(promote="float")
def rsqrt(input, *, xp):
    """1 / sqrt(input)."""
    return xp.reciprocal(xp.sqrt(input))


sqrt.derivative(input=lambda g, out: g / (2 * out))
rsqrt.derivative(input=lambda g, out: -0.5 * g * (out * out * out))


# -- trigonometry -----------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def sin(input, *, xp):
    """The sine of an angle in radians."""
    return xp.sin(input)


@forms(in_place=True)
@Op(promote="float")
def cos(input, *, xp):
    """The cosine of an angle in radians."""
    return xp.cos(input)


@forms(in_place=True)
@Op(promote="float")
def tan(input, *, xp):
    """The tangent of an angle in radians."""
    return xp.tan(input)


@forms(in_place=True)
@Op(promote="float")
def asin(input, *, xp):
    """The angle in [-pi/2, pi/2] with this sine; nan outside [-1, 1]."""
    return xp.arcsin(input)


@forms(in_place=True)
@Op(promote="float")
def acos(input, *, xp):
    """The angle in [0, pi] with this cosine; nan outside [-1, 1]."""
    return xp.arccos(input)


@forms(in_place=True)
@Op(promote="float")
def atan(input, *, xp):
    """The angle in (-pi/2, pi/2) with this tangent."""
    return xp.arctan(input)


@forms(in_place=True)
@Op(promote="float", tensors=("input", "other"))
def atan2(input, other, *, xp):
    """The angle in [-pi, pi] of the point (other, input); its derivative at the origin is 0."""
    return xp.arctan2(input, other)


sin.derivative(input=lambda g, input: g * cos(input))
cos.derivative(input=lambda g, input: g * -sin(input))
tan.derivative(input=lambda g, out: g * (1 + out * out))
asin.derivative(input=lambda g, input: g / sqrt(1 - input * input))
acos.derivative(input=lambda g, input: -g / sqrt(1 - input * input))
atan.derivative(input=lambda g, input: g / (input * input + 1))


def _inverse_square(input, other):
    """1 / r^2 of the point (other, input), and 0 at the origin."""
    square = input * input + other * other
    return where(square == 0, 0, 1 / square)


atan2.derivative(
    input=lambda g, input, other: g * (other * _inverse_square(input, other)),
    other=lambda g, input, other: g * (-input * _inverse_square(input, other)),
)


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def hypot(input, other, *, xp):
    """sqrt(input^2 + other^2), without overflow; its derivative at the origin is nan."""
    need_float(input, "hypot_cpu")
    return xp.hypot(input, other)


hypot.derivative(
    input=lambda g, input, out: g * (input / out),
    other=lambda g, other, out: g * (other / out),
)


@forms(in_place=True)
@Op(promote="float")
def sinc(input, *, xp):
    """sin(pi x) / (pi x), and 1 at 0."""
    x = input * math.pi
    return xp.where(x == 0, 1, xp.sin(x) / x)


def _sinc_slope(g, input):
    x = input * math.pi
    return where(x == 0, 0, g * ((x * cos(x) - sin(x)) / (x * input)))


sinc.derivative(input=_sinc_slope)


@forms(in_place=True)
@Op(promote="float", node="Deg2RadBackward0")
def deg2rad(input):
    """Degrees as radians."""
    return input * (math.pi / 180)


@forms(in_place=True)
@Op(promote="float", node="Rad2DegBackward0")
def rad2deg(input):
    """Radians as degrees."""
    return input * (180 / math.pi)


deg2rad.derivative(input=lambda g: g * (math.pi / 180))
rad2deg.derivative(input=lambda g: g * (180 / math.pi))


# -- hyperbolic functions ---------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def sinh(input, *, xp):
    """The hyperbolic sine, (e^x - e^-x) / 2."""
    return xp.sinh(input)


@forms(in_place=True)
@Op(promote="float")
def cosh(input, *, xp):
    """The hyperbolic cosine, (e^x + e^-x) / 2."""
    return xp.cosh(input)


@forms(in_place=True)
@Op(promote="float")
def tanh(input, *, xp):
    """The hyperbolic tangent, sinh / cosh."""
    return xp.tanh(input)


@forms(in_place=True)
@Op(promote="float")
def asinh(input, *, xp):
    """The inverse of sinh."""
    return xp.arcsinh(input)


@forms(in_place=True)
@Op(promote="float")
def acosh(input, *, xp):
    """The inverse of cosh; nan below 1."""
    return xp.arccosh(input)


@forms(in_place=True)
@Op(promote="float")
def atanh(input, *, xp):
    """The inverse of tanh; nan outside [-1, 1]."""
    return xp.arctanh(input)


sinh.derivative(input=lambda g, input: g * cosh(input))
cosh.derivative(input=lambda g, input: g * sinh(input))
tanh.derivative(input=lambda g, out: gpu.backward("tanh", g, out) if takes(g, out) else g * (1 - out * out))
asinh.derivative(input=lambda g, input: g / sqrt(input * input + 1))
acosh.derivative(input=lambda g, input: g / sqrt(input * input - 1))
atanh.derivative(input=lambda g, input: g / (1 - input * input))


# -- the logistic function and the error function ---------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def sigmoid(input, *, xp):
    """1 / (1 + exp(-input)). Where exp overflows the quotient is 0, as it should be."""
    if takes(input):
        return gpu.forward("sigmoid", input)
    out = xp.exp(-input)
    out += 1
    return xp.reciprocal(out)


sigmoid.derivative(input=lambda g, out: gpu.backward("sigmoid", g, out) if takes(g, out) else g * (1 - out) * out)


@forms(in_place=True)
@Op(promote="float")
def logit(input, eps: float | None = None, *, xp):
    """log(x / (1 - x)), the inverse of sigmoid; with `eps`, of x moved into [eps, 1 - eps]."""
    x = input
    if eps is not None:
        x = xp.where(x < eps, eps, xp.where(x > 1 - eps, 1 - eps, x))
    return xp.log(x / (1 - x))


def _logit_slope(g, input, eps):
    slope = g / (input * (1 - input))
    low, high, outside = (0, 1, math.nan) if eps is None else (eps, 1 - eps, 0)
    return where((input >= low) & (input <= high), slope, outside)


logit.derivative(input=_logit_slope)


@forms(in_place=True)
@Op(promote="float")
def erf(input, *, xp):
    """The error function: 2/sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    return special.erf(input, xp)


@forms(in_place=True)
@Op(promote="float")
def erfc(input, *, xp):
    """1 - erf(input), precise for large inputs."""
    return special.erfc(input, xp)


@forms(in_place=True)
@Op(promote="float")
def erfinv(input, *, xp):
    """The inverse of erf; nan outside [-1, 1]."""
    return special.erfinv(input, xp)


erf.derivative(input=lambda g, input: g * (2 / math.sqrt(math.pi) * exp(-(input * input))))
erfc.derivative(input=lambda g, input: g * (-2 / math.sqrt(math.pi) * exp(-(input * input))))


def _erfinv_slope(g, input):
    x = erfinv(input)
    return g * (math.sqrt(math.pi) / 2 * exp(x * x))


erfinv.derivative(input=_erfinv_slope)


# -- repairs ----------------------------------------------------------------------------------------------------------


@forms(in_place=True, out="exact")
@Op
def nan_to_num(input, nan: float | None = None, posinf: float | None = None, neginf: float | None = None, *, xp):
    """nan replaced by 0 and infinities by the largest finite numbers, or each by the number given for it."""
    if input.dtype.kind != "f":
        return input.copy()
    largest = float(xp.finfo(input.dtype).max)
    out = xp.where(xp.isnan(input), 0.0 if nan is None else nan, input)
    out = xp.where(input == math.inf, largest if posinf is None else posinf, out)
    return xp.where(input == -math.inf, -largest if neginf is None else neginf, out)


nan_to_num.derivative(input=lambda g, input: where(isfinite(input), g, 0))

arcsin, arccos, arctan, arctan2, arcsinh, arccosh, arctanh = asin, acos, atan, atan2, asinh, acosh, atanh
