"""The parts of floating point numbers (sign, mantissa, exponent, neighbours), and sums and powers by base 2."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.ops.arithmetic import pow
from minigrad.ops.cast import to
from minigrad.ops.checks import need_float
from minigrad.ops.compare import NUMBERS, where
from minigrad.ops.elementwise import exp2
from minigrad.ops.forms import forms
from minigrad.ops.inplace import in_place
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.return_types import return_type
from minigrad.ops.rounding import no_slope

__all__ = ["angle", "copysign", "float_power", "frexp", "ldexp", "logaddexp2", "nextafter"]

frexp_result = return_type("frexp", "mantissa", "exponent")


# -- signs -------------------------------------------------------------------------------------------------------------


@Op(promote="float", node="CopysignBackward0")
def _copysign(input, other, *, xp):
    """|input| with the sign of a tensor."""
    return xp.copysign(input, other)


@Op(promote="float", node="CopysignBackward1")
def _copysign_number(input, other, *, xp):
    """|input| with the sign of a number."""
    return xp.copysign(input, other)


def _copysign_slope(g, input, out):
    """1 where the sign stays, -1 where it changes, 0 at 0."""
    return g * where(input == 0, 0, out / input)


_copysign.derivative(input=_copysign_slope, other=lambda g: no_slope(g))
_copysign_number.derivative(input=_copysign_slope)


@forms(in_place=True)
def copysign(input: Any, other: Any) -> Any:
    """|input| with the sign of `other`, a tensor or a number; the sign of a zero counts. The derivative at 0 is 0."""
    if type(other) in NUMBERS:
        need_tensor("copysign", input=input)
        return _copysign_number(input, other)
    need_tensor("copysign", input=input, other=other)
    return _copysign(input, other)


@forms()
@Op(promote="float")
def angle(input, *, xp):
    """The angle in the complex plane: pi for negative numbers, 0 for others."""
    return xp.where(xp.isnan(input), input, xp.where(input < 0, math.pi, 0)).astype(input.dtype, copy=False)


angle.derivative(input=lambda g: no_slope(g))


# -- exponents ---------------------------------------------------------------------------------------------------------


@Op(outputs=("mantissa", "indices"), node="FrexpBackward0")
def mantissa_exponent(input, *, xp):
    """`frexp` of an array; the exponent, an integer, stands where indices do: it has no derivative."""
    return xp.frexp(input)


@Op
def scaled_by_power(input, exponent, *, xp):
    """input * 2 ** exponent for integer exponents, in the dtype of `input`."""
    return xp.ldexp(input, exponent)


mantissa_exponent.derivative(input=lambda g, indices: scaled_by_power(g, -indices))
scaled_by_power.derivative(input=lambda g, exponent: scaled_by_power(g, exponent))


@forms(out="exact")
def frexp(input: Any) -> Any:
    """A named tuple: input = mantissa * 2 ** exponent, mantissas in [1/2, 1) of either sign, exponents int32."""
    if not input.is_floating_point():
        raise RuntimeError(f"torch.frexp() only supports floating-point dtypes\nconvert the {input.dtype} tensor first")
    return frexp_result(*mantissa_exponent(input))


@forms(in_place=True)
@Op(promote="float", tensors=("input", "other"))
def ldexp(input, other, *, xp):
    """input * 2 ** other, both tensors, of any dtypes.

    Where an integer `other` is negative the gradient of `input` is 2 ** other too; torch's is rounded to 0.
    """
    return input * xp.exp2(other)


ldexp.derivative(
    input=lambda g, other: g * exp2(other),
    other=lambda g, out: g * out * math.log(2),
)


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def nextafter(input, other, *, xp):
    """The float next to `input` on the way to `other`, both tensors; the derivative by `input` is 1 where it moves."""
    need_float(input, "nextafter_cpu")
    return xp.nextafter(input, other)


nextafter.derivative(
    input=lambda g, input, other: where(input == other, 0, g),
    other=lambda g: no_slope(g),
)


# -- powers and sums ---------------------------------------------------------------------------------------------------


@forms()
@Op(promote="common", tensors=("input", "other"))
def logaddexp2(input, other, *, xp):
    """log2(2 ** input + 2 ** other), without overflow."""
    need_float(input, "logaddexp2_cpu")
    return xp.logaddexp2(input, other)


logaddexp2.derivative(
    input=lambda g, input, other: g / (1 + exp2(other - input)),
    other=lambda g, input, other: g / (1 + exp2(input - other)),
)


@forms()
def float_power(input: Any, exponent: Any) -> Any:
    """input ** exponent, computed in float64 whatever the dtypes; one of the two may be a number."""
    if not (isinstance(input, Variable) or isinstance(exponent, Variable)):
        need_tensor("float_power", input=input, exponent=exponent)
    return pow(_in_float64(input), _in_float64(exponent))


def _in_float64(x: Any) -> Any:
    return to(x, backend.float64) if isinstance(x, Variable) else float(x)


_float_power_ = in_place(float_power, "float_power_")


def float_power_(input: Any, exponent: Any) -> Any:
    """In-place `float_power`, of float64 tensors only."""
    if input.dtype is not backend.float64:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {input.dtype.type_name} but the operation's result requires "
            f"dtype Double"
        )
    return _float_power_(input, exponent)
