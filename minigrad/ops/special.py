"""Special functions: the gamma function's family, Bessel functions, the normal distribution, entropies.

Each derivative is a function of the same family, so every order exists. Names that torch has in `torch.special` only
are bound in `minigrad.special`.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.kernels import bessel, gamma, special
from minigrad.ops.checks import not_implemented
from minigrad.ops.compare import NUMBERS, where
from minigrad.ops.elementwise import erfc, exp, log
from minigrad.ops.forms import forms
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.ranges import arange
from minigrad.ops.reduce import sum
from minigrad.ops.rounding import sign
from minigrad.ops.shape import unsqueeze

__all__ = ["digamma", "i0", "lgamma", "mvlgamma", "polygamma"]


def _refuse_half(array: Any, kernel: str) -> None:
    if array.dtype == "float16":
        not_implemented(kernel, array)


# -- the gamma function ------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def lgamma(input, *, xp):
    """log |gamma(input)|."""
    return gamma.lgamma(input, xp)


@forms(in_place=True)
@Op(promote="float")
def digamma(input, *, xp):
    """The derivative of lgamma."""
    return gamma.digamma(input, xp)


@Op(promote="float", node="PolygammaBackward0")
def polygamma_of_order(input, n: int, *, xp):
    """The n-th derivative of digamma."""
    return gamma.polygamma(input, n, xp) if n else gamma.digamma(input, xp)


lgamma.derivative(input=lambda g, input: g * digamma(input))
digamma.derivative(input=lambda g, input: g * polygamma_of_order(input, 1))
polygamma_of_order.derivative(input=lambda g, input, n: g * polygamma_of_order(input, n + 1))


@forms(method=False)
def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of digamma, the order n coming first. RuntimeError for a negative n."""
    if type(n) is not int:
        kind = "Tensor" if isinstance(n, Variable) else type(n).__name__
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {kind}")
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return polygamma_of_order(input, n)


@forms(in_place=True)
def mvlgamma(input: Any, p: int) -> Any:
    """log of the multivariate gamma function: p (p - 1) / 4 log(pi) plus the sum of lgamma(input - j / 2), j < p."""
    if type(p) is not int:
        raise TypeError(f"mvlgamma(): argument 'p' (position 2) must be int, not {type(p).__name__}")
    if input.array.dtype.kind == "b":
        raise RuntimeError("The input tensor may not be a boolean tensor.\nconvert it with .float()")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = input if input.is_floating_point() else input.to(backend.get_default_dtype())
    halves = arange(p, dtype=x.dtype, device=x.device) * 0.5
    return sum(lgamma(unsqueeze(x, -1) - halves), -1) + p * (p - 1) / 4 * math.log(math.pi)


# -- modified Bessel functions -----------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="float")
def i0(input, *, xp):
    """The modified Bessel function of the first kind and order 0."""
    return bessel.i0(input, xp)


@forms(method=False)
@Op(promote="float", node="SpecialI0EBackward0")
def special_i0e(input, *, xp):
    """exp(-|input|) i0(input)."""
    return bessel.i0e(input, xp)


@forms(method=False)
@Op(promote="float")
def special_i1(input, *, xp):
    """The modified Bessel function of the first kind and order 1."""
    return bessel.i1(input, xp)


@forms(method=False)
@Op(promote="float", node="SpecialI1EBackward0")
def special_i1e(input, *, xp):
    """exp(-|input|) i1(input)."""
    return bessel.i1e(input, xp)


def _over(i1, x):
    """i1 / x, and at 0 its limit 1/2."""
    return where(x == 0, 0.5, i1 / where(x == 0, 1, x))


i0.derivative(input=lambda g, input: g * special_i1(input))
special_i0e.derivative(input=lambda g, input, out: g * (special_i1e(input) - sign(input) * out))
special_i1.derivative(input=lambda g, input, out: g * (i0(input) - _over(out, input)))
special_i1e.derivative(
    input=lambda g, input, out: g * (special_i0e(input) - sign(input) * out - _over(out, input)),
)


# -- the normal distribution -------------------------------------------------------------------------------------------


@forms(method=False)
@Op(promote="float")
def special_erfcx(input, *, xp):
    """exp(input^2) erfc(input), which neither overflows nor vanishes for large inputs."""
    _refuse_half(input, "erfcx_cpu")
    return special.erfcx(input, xp)


@forms(method=False)
@Op(promote="float")
def special_log_ndtr(input, *, xp):
    """The logarithm of `ndtr`, precise far below 0."""
    _refuse_half(input, "log_ndtr_cpu")
    return special.log_ndtr(input, xp)


@forms(method=False)
@Op(promote="float")
def special_ndtri(input, *, xp):
    """The inverse of `ndtr`: the point below which a standard normal variable falls with this probability."""
    _refuse_half(input, "ndtri_cpu")
    return special.ndtri(input, xp)


def _ndtri_slope(g, input):
    x = special_ndtri(input)
    return g * (math.sqrt(2 * math.pi) * exp(x * x / 2))


special_erfcx.derivative(input=lambda g, input, out: g * (2 * input * out - 2 / math.sqrt(math.pi)))
special_log_ndtr.derivative(input=lambda g, input: g * math.sqrt(2 / math.pi) / special_erfcx(input * -math.sqrt(0.5)))
special_ndtri.derivative(input=_ndtri_slope)


@forms(method=False)
def special_ndtr(input: Any) -> Any:
    """The probability that a standard normal variable falls below `input`."""
    return erfc(input * -math.sqrt(0.5)) * 0.5


# -- entropies ---------------------------------------------------------------------------------------------------------


@forms(method=False)
@Op(promote="float")
def special_entr(input, *, xp):
    """-input log(input); 0 at 0, -inf below."""
    return xp.where(input > 0, -input * xp.log(input), xp.where(input == 0, 0, xp.where(input < 0, -math.inf, input)))


special_entr.derivative(input=lambda g, input: g * (-1 - log(input)))


@forms(method=False)
def special_xlog1py(input: Any, other: Any) -> Any:
    """input * log(1 + other), and 0 where input is 0, whatever the logarithm (but nan where `other` is nan)."""
    if type(other) in NUMBERS:
        if type(input) in NUMBERS:
            need_tensor("special_xlog1py", self=input, other=other)
        return _xlog1py_by_number(input, other)
    return (_xlog1py_of_number if type(input) in NUMBERS else _xlog1py)(input, other)


@Op(promote="float", node="SpecialXlog1PyBackward0")
def _xlog1py(input, other, *, xp):
    """input * log(1 + other), both tensors."""
    return xp.where((input == 0) & ~xp.isnan(other), 0, input * xp.log1p(other))


@Op(promote="float", node="SpecialXlog1PyBackward1")
def _xlog1py_of_number(input, other):
    """input * log(1 + other), `input` a number."""
    return _xlog1py(input, other)


@Op(promote="float", node="SpecialXlog1PyBackward2")
def _xlog1py_by_number(input, other):
    """input * log(1 + other), `other` a number."""
    logarithm = math.log1p(other) if other > -1 else -math.inf if other == -1 else math.nan
    return where(input == 0, 0 if other == other else math.nan, input * logarithm)


def _xlog1py_slope(g, input, other):
    """log(1 + other), and 0 where `input` is 0 and that is infinite or none."""
    return where((input == 0) & (other <= -1), 0, special_xlog1py(g, other))


_xlog1py.derivative(input=_xlog1py_slope, other=lambda g, input, other: g * input / (other + 1))
_xlog1py_of_number.derivative(other=lambda g, input, other: g * input / (other + 1))
_xlog1py_by_number.derivative(input=_xlog1py_slope)
