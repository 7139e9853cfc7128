"""Sums, products, quotients and powers. Their derivatives are the sum, product, quotient and power rules."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.promotion import BOOL_SUBS
from minigrad.autograd.variable import Variable, unwrap
from minigrad.kernels.power import integer_powers, power
from minigrad.ops.checks import need_float, not_implemented, refuse_bool, refuse_integer_zero
from minigrad.ops.compare import NUMBERS, where
from minigrad.ops.elementwise import log
from minigrad.ops.forms import forms
from minigrad.ops.rounding import no_slope, sign

__all__ = [
    "add", "sub", "subtract", "rsub", "mul", "multiply", "neg", "negative",
    "div", "divide", "true_divide", "floor_divide", "remainder", "fmod",
    "pow", "square", "reciprocal", "abs", "absolute",
    "addcmul", "addcdiv", "lerp",
]  # fmt: skip


# -- sums -------------------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="common")
def add(input, other, *, alpha: float = 1):
    """input + alpha * other."""
    return input + other if alpha == 1 else input + _scaled(alpha, other, input)


@forms(in_place=True)
@Op(promote="common")
def sub(input, other, *, alpha: float = 1):
    """input - alpha * other."""
    try:
        return input - other if alpha == 1 else input - _scaled(alpha, other, input)
    except TypeError:  # NumPy refuses truth values as well
        raise RuntimeError(BOOL_SUBS) from None


@Op(promote="common", node="RsubBackward1")
def _number_rsub(input, other, *, alpha: float = 1):
    """other - alpha * input, `other` a number."""
    return other - input if alpha == 1 else other - _scaled(alpha, input, input)


@Op(promote="common", tensors=("input",))
def _rsub(input, other, *, alpha: float = 1):
    """other - alpha * input, both tensors."""
    return sub.forward(other, input, alpha=alpha)


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """other - alpha * input."""
    return (_rsub if isinstance(other, Variable) else _number_rsub)(input, other, alpha=alpha)


add.derivative(input=lambda g: g, other=lambda g, alpha: g if alpha == 1 else g * alpha)
sub.derivative(input=lambda g: g, other=lambda g, alpha: -g if alpha == 1 else g * -alpha)
_rsub.derivative(input=lambda g, alpha: -g if alpha == 1 else g * -alpha, other=lambda g: g)
_number_rsub.derivative(input=lambda g, alpha: -g if alpha == 1 else g * -alpha)


def _scaled(alpha: float, x: Any, beside: Any) -> Any:
    """alpha * x, `x` or `beside` being an array; for integers alpha has to be whole."""
    kind = (beside if type(x) in NUMBERS else x).dtype.kind
    if kind != "f" and type(alpha) is float:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number.\nPass a whole number, or "
            "convert the tensors with .float()"
        )
    return x & bool(alpha) if kind == "b" else x * alpha


@forms(in_place=True, out="exact")
@Op
def neg(input):
    """-input. RuntimeError for dtype bool."""
    if input.dtype.kind == "b":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )
    return -input


neg.derivative(input=lambda g: -g)


# -- products and quotients -------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="common")
def mul(input, other):
    """input * other, elementwise."""
    return input * other


mul.derivative(input=lambda g, other: g * other, other=lambda g, input: g * input)


@forms(in_place=True)
@Op(promote="float", node="DivBackward0")
def true_divide(input, other):
    """input / other, elementwise; integers are divided as floats."""
    return input / other


true_divide.derivative(
    input=lambda g, other: g / other,
    other=lambda g, input, other: -g * (input / other / other),
)


@forms(in_place=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """input / other, exact, or rounded to an integer: "floor" downwards, "trunc" towards zero."""
    if rounding_mode is None:
        return true_divide(input, other)
    return _div_rounded(input, other, rounding_mode)


@Op(promote="common", node="DivBackward2")
def _div_rounded(input, other, rounding_mode: str, *, xp):
    """The quotient rounded to an integer, in the operands' dtype. Constant between jumps."""
    if rounding_mode == "floor":
        return _floor_divide(input, other, xp)
    if rounding_mode != "trunc":
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    if _integral("div_trunc_cpu", input, other, xp):
        return (input - xp.fmod(input, other)) // other
    return xp.trunc(input / other)


@forms(in_place=True)
@Op(promote="common", node="NotImplemented")
def floor_divide(input, other, *, xp):
    """The quotient rounded downwards. torch gives it no derivative; `div(rounding_mode="floor")` has one."""
    return _floor_divide(input, other, xp)


@Op(promote="common", node="RemainderBackward1")
def _remainder(input, other, *, xp):
    """input - other * floor(input / other): the remainder with the sign of the divisor."""
    _integral("remainder_cpu", input, other, xp)
    return xp.remainder(input, other)


@Op(promote="common", tensors=("input",), node="FmodBackward1")
def _fmod(input, other, *, xp):
    """input - other * trunc(input / other): the remainder with the sign of the dividend."""
    _integral("fmod_cpu", input, other, xp)
    return xp.fmod(input, other)


@Op(promote="common", node="RemainderBackward0")
def _remainder_number(input, other):
    """The remainder by a number."""
    return _remainder(input, other)


@Op(promote="common", node="FmodBackward0")
def _fmod_number(input, other):
    """`fmod` by a number."""
    return _fmod(input, other)


@Op(promote="common", node="NotImplemented")
def _remainder_of_number(input, other):
    """The remainder of a number; torch gives it no derivative."""
    return _remainder(input, other)


@forms(in_place=True)
def remainder(input: Any, other: Any) -> Any:
    """The remainder with the sign of the divisor, as Python's %. RuntimeError for integers by zero."""
    if type(other) in NUMBERS:
        return _remainder_number(input, other)
    return (_remainder_of_number if type(input) in NUMBERS else _remainder)(input, other)


@forms(in_place=True)
def fmod(input: Any, other: Any) -> Any:
    """The remainder with the sign of the dividend, as C's fmod. RuntimeError for integers by zero."""
    return (_fmod_number if type(other) in NUMBERS else _fmod)(input, other)


def _no_derivative(name: str) -> Any:
    def rule(g):
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return rule


_div_rounded.derivative(input=lambda g: no_slope(g), other=lambda g: no_slope(g))
floor_divide.derivative(input=_no_derivative("floor_divide"), other=_no_derivative("floor_divide"))
_remainder.derivative(input=lambda g: g, other=lambda g, input, other: -g * _div_rounded(input, other, "floor"))
_fmod.derivative(input=lambda g: g, other=lambda g, input, other: -g * _div_rounded(input, other, "trunc"))
_remainder_number.derivative(input=lambda g: g)
_fmod_number.derivative(input=lambda g: g)
_remainder_of_number.derivative(other=_no_derivative("remainder"))


def _integral(kernel: str, input: Any, other: Any, xp: Any) -> bool:
    """True for integers, whose divisor must not be zero; False for floats."""
    array = other if type(input) in NUMBERS else input
    if array.dtype.kind == "f":
        return False
    refuse_bool(array, kernel)
    if getattr(input, "size", 1):  # nothing divided by zero is nothing
        refuse_integer_zero(other, xp)
    return True


def _floor_divide(input: Any, other: Any, xp: Any) -> Any:
    _integral("div_floor_cpu", input, other, xp)
    return xp.floor_divide(input, other)


# -- powers -----------------------------------------------------------------------------------------------------------


@forms(in_place=True)
def pow(input: Any, exponent: Any) -> Any:
    """input ** exponent, elementwise; one of the two may be a number.

    The derivative by a zero exponent is 0, and so is that by the exponent where 0 ** exponent is 0 or 1.
    """
    if type(exponent) in NUMBERS:
        if exponent < 0 and type(exponent) is int and type(input) not in NUMBERS and unwrap(input).dtype.kind != "f":
            raise RuntimeError(
                "Integers to negative integer powers are not allowed.\nConvert the tensor first, as with .float()"
            )
        return _pow_to_number(input, exponent)
    return (_pow_of_number if type(input) in NUMBERS else _pow)(input, exponent)


@Op(promote="common", node="PowBackward0")
def _pow_to_number(input, exponent, *, xp):
    """input ** exponent for a number `exponent`. RuntimeError for integers to a negative power."""
    return power(input, exponent, xp)


@Op(promote="common", node="PowBackward1")
def _pow(input, exponent, *, xp):
    """input ** exponent for two tensors."""
    if input.dtype.kind == "f":
        return xp.power(input, exponent)
    if input.dtype.kind == "b":
        not_implemented("pow", input)
    return integer_powers(input, exponent, xp)


@Op(promote="common", node="PowBackward2")
def _pow_of_number(input, exponent, *, xp):
    """input ** exponent for a number `input`."""
    if exponent.dtype.kind == "f":
        return xp.power(input, exponent)
    if exponent.dtype.kind == "b":
        not_implemented("pow", exponent)
    return integer_powers(input, exponent, xp)


def _slope(g, input, exponent):
    """g * exponent * input ** (exponent - 1)."""
    if exponent == 0:
        return no_slope(g)
    return g * (exponent * pow(input, exponent - 1))


def _slope_of_number(g, input, exponent, out):
    """g * log(input) * input ** exponent."""
    if input == 0:
        return g * where(exponent >= 0, 0, out * -math.inf)
    return g * (out * (math.log(input) if input > 0 else math.nan))


_pow_to_number.derivative(input=_slope)
_pow.derivative(
    input=lambda g, input, exponent: where(exponent == 0, 0, g * (exponent * pow(input, exponent - 1))),
    exponent=lambda g, input, exponent, out: g * where((input == 0) & (exponent >= 0), 0, out * log(input)),
)
_pow_of_number.derivative(exponent=_slope_of_number)


@forms(in_place=True)
def square(input: Any) -> Any:
    """input ** 2."""
    return pow(input, 2)


@forms(in_place=True)
@Op(promote="float")
def reciprocal(input, *, xp):
    """1 / input."""
    return xp.reciprocal(input)


reciprocal.derivative(input=lambda g, out: -g * (out * out))


@forms(in_place=True, out="exact")
@Op
def abs(input, *, xp):
    """The absolute value; its derivative at 0 is 0."""
    refuse_bool(input, "abs_cpu")
    return xp.abs(input)


abs.derivative(input=lambda g, input: g * sign(input))


# -- several at once --------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="common", tensors=("input", "tensor1", "tensor2"))
def addcmul(input, tensor1, tensor2, *, value: float = 1):
    """input + value * tensor1 * tensor2."""
    refuse_bool(input, "addcmul_cpu_out")
    product = tensor1 * tensor2
    if value == 1:
        return input + product
    return input + product * (value if input.dtype.kind == "f" else int(value))


addcmul.derivative(
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * (tensor2 * value),
    tensor2=lambda g, tensor1, value: g * (tensor1 * value),
)


@forms(in_place=True)
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value * tensor1 / tensor2. RuntimeError for a quotient of integers."""
    if unwrap(tensor1).dtype.kind != "f" and unwrap(tensor2).dtype.kind != "f":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a "
            "true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value "
            "* torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
            "tensor2) for float inputs. The future addcdiv behavior is just the latter implementation: (input + value "
            "* tensor1 / tensor2), for all dtypes."
        )
    return _addcdiv(input, tensor1, tensor2, value)


@Op(promote="common", tensors=("input", "tensor1", "tensor2"))
def _addcdiv(input, tensor1, tensor2, value: float):
    """input + value * tensor1 / tensor2."""
    return input + value * tensor1 / tensor2


_addcdiv.derivative(
    input=lambda g: g,
    tensor1=lambda g, tensor2, value: g * (value / tensor2),
    tensor2=lambda g, tensor1, tensor2, value: -g * (value * (tensor1 / tensor2) / tensor2),
)


@forms(in_place=True)
def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight * (end - input), for a number or a tensor `weight`; all tensors of one dtype."""
    if type(weight) in NUMBERS:
        _check_lerp(input, end=end)
        return _lerp_number(input, end, weight)
    _check_lerp(input, end=end, weight=weight)
    return _lerp(input, end, weight)


@Op(promote="common", node="LerpBackward0")
def _lerp_number(input, end, weight: float):
    """Interpolated from the nearer of the two ends, so that both are met exactly."""
    return input + weight * (end - input) if -0.5 < weight < 0.5 else end - (end - input) * (1 - weight)


@Op(promote="common", node="LerpBackward1")
def _lerp(input, end, weight, *, xp):
    """Interpolated from the nearer of the two ends, by a tensor of weights."""
    near = xp.abs(weight) < 0.5
    return xp.where(near, input + weight * (end - input), end - (end - input) * (1 - weight))


_lerp_number.derivative(input=lambda g, weight: g * (1 - weight), end=lambda g, weight: g * weight)
_lerp.derivative(
    input=lambda g, weight: g * (1 - weight),
    end=lambda g, weight: g * weight,
    weight=lambda g, input, end: g * (end - input),
)


def _check_lerp(input: Any, **others: Any) -> None:
    dtype = unwrap(input).dtype
    for name, tensor in others.items():
        other = unwrap(tensor)
        if other.dtype != dtype and (other.ndim or name != "weight"):  # a 0-dim weight may be of any dtype
            a, b = backend.dtype_of(unwrap(input)).c_name, backend.dtype_of(other).c_name
            raise RuntimeError(f"expected dtype {a} for `{name}` but got dtype {b}")
    need_float(unwrap(input), "lerp_kernel_scalar")


subtract, multiply, negative, divide, absolute = sub, mul, neg, div, abs
