"""Comparisons, predicates, logic, and choosing by a mask. Truth values have no derivative; a choice is linear."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable, unwrap
from minigrad.kernels.select import select
from minigrad.ops.checks import as_integer, not_implemented
from minigrad.ops.forms import forms

__all__ = [
    "eq", "ne", "lt", "le", "gt", "ge",
    "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit", "isclose", "allclose", "equal",
    "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not",
    "masked_fill",
    "not_equal", "less", "less_equal", "greater", "greater_equal",
]  # fmt: skip

NUMBERS = frozenset((bool, int, float))


# -- order ------------------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="common", tensors=("input",))
def eq(input, other):
    """input == other, elementwise."""
    return input == other


@forms(in_place=True)
@Op(promote="common", tensors=("input",))
def ne(input, other):
    """input != other, elementwise."""
    return input != other


@forms(in_place=True)
@Op(promote="common", tensors=("input",))
def lt(input, other):
    """input < other, elementwise."""
    return input < other


@forms(in_place=True)
@Op(promote="common", tensors=("input",))
def le(input, other):
    """input <= other, elementwise."""
    return input <= other


@forms(in_place=True)
@Op(promote="common", tensors=("input",))
def gt(input, other):
    """input > other, elementwise."""
    return input > other


@forms(in_place=True)
@Op(promote="common", tensors=("input",))
def ge(input, other):
    """input >= other, elementwise."""
    return input >= other


# -- predicates -------------------------------------------------------------------------------------------------------


@forms(out=False)
@Op
def isnan(input, *, xp):
    """True where the value is not a number."""
    return xp.isnan(input)


@forms(out=False)
@Op
def isinf(input, *, xp):
    """True where the value is infinite, of either sign."""
    return xp.isinf(input)


@forms(out=False)
@Op
def isfinite(input, *, xp):
    """True where the value is neither infinite nor not a number."""
    return xp.isfinite(input)


@forms(out="exact")
@Op
def isposinf(input):
    """True where the value is +inf."""
    return input == float("inf")


@forms(out="exact")
@Op
def isneginf(input):
    """True where the value is -inf."""
    return input == float("-inf")


@forms(out=False)
@Op
def isreal(input, *, xp):
    """True everywhere: no tensor is complex."""
    return xp.ones(input.shape, bool)


@forms(out="exact")
@Op
def signbit(input, *, xp):
    """True where the sign bit is set: negative numbers and -0.0."""
    return xp.signbit(input) if input.dtype.kind == "f" else input < 0


@forms(out=False)
def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """True where |input - other| <= atol + rtol * |other|, or both are equal (so infinities are close to themselves).

    RuntimeError for two dtypes, and for a negative tolerance.
    """
    a, b = (backend.dtype_of(unwrap(x)).type_name for x in (input, other))
    if a != b:
        raise RuntimeError(f"{a} did not match {b}\nisclose compares tensors of one dtype: convert one with .to(dtype)")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not value >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    return _isclose(input, other, rtol, atol, equal_nan)


@Op(promote="common")
def _isclose(input, other, rtol: float, atol: float, equal_nan: bool, *, xp):
    """True where the two are close."""
    close = input == other
    if equal_nan:
        close = close | (xp.isnan(input) & xp.isnan(other))
    if input.dtype.kind != "f":
        input, other = input.astype(xp.float64), other.astype(xp.float64)
    difference = xp.abs(input - other)
    return close | (xp.isfinite(difference) & (difference <= atol + xp.abs(rtol * other)))


@forms(out=False)
def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """True if `isclose` holds everywhere."""
    return bool(unwrap(isclose(input, other, rtol, atol, equal_nan)).all())


@forms(out=False)
def equal(input: Any, other: Any) -> bool:
    """True if both tensors have the same shape and the same values."""
    if not isinstance(other, Variable):
        raise TypeError(f"equal(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    return input.array.shape == other.array.shape and bool((input.array == other.array).all())


# -- logic ------------------------------------------------------------------------------------------------------------


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def logical_and(input, other, *, xp):
    """True where both are nonzero."""
    return xp.logical_and(input, other)


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def logical_or(input, other, *, xp):
    """True where at least one is nonzero."""
    return xp.logical_or(input, other)


@forms(in_place=True)
@Op(promote="common", tensors=("input", "other"))
def logical_xor(input, other, *, xp):
    """True where exactly one is nonzero."""
    return xp.logical_xor(input, other)


@forms(in_place=True)
@Op
def logical_not(input, *, xp):
    """True where the value is zero."""
    return xp.logical_not(input)


@forms(in_place=True)
@Op(promote="common")
def bitwise_and(input, other):
    """The and of the bits of two integers; of truth values, both."""
    return _integers("and", input, other) & other


@forms(in_place=True)
@Op(promote="common")
def bitwise_or(input, other):
    """The or of the bits of two integers; of truth values, at least one."""
    return _integers("or", input, other) | other


@forms(in_place=True)
@Op(promote="common")
def bitwise_xor(input, other):
    """The exclusive or of the bits of two integers; of truth values, exactly one."""
    return _integers("xor", input, other) ^ other


@forms(in_place=True, out="exact")
@Op
def bitwise_not(input):
    """The complement of the bits of an integer; of a truth value, the other one."""
    if input.dtype.kind == "f":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return ~input


def _integers(name: str, input: Any, other: Any) -> Any:
    """`input`, if it is an array of integers or truth values, or a number beside one."""
    array = other if type(input) in NUMBERS else input
    if array.dtype.kind == "f":
        not_implemented(f"bitwise_{name}_cpu", array)
    return input


# -- choosing ---------------------------------------------------------------------------------------------------------


@Op(promote="common", among=("input", "other"))
def where(condition, input, other, *, xp):
    """`input` where `condition` holds, else `other`, all three broadcast together.

    RuntimeError unless the condition is of dtype bool (uint8 is taken, with a warning).
    """
    if condition.dtype.kind != "b":
        condition = _as_condition(condition)
    if type(input) in NUMBERS and type(other) in NUMBERS:
        dtype = backend.numpy_dtype(backend.result_type([input, other]))
        if dtype.kind == "b":  # torch stores a Python bool as an integer here
            dtype = xp.int64
        return xp.where(condition, input, other).astype(dtype)
    return select(condition, input, other, xp)


where.derivative(
    input=lambda g, condition: where(condition, g, 0),
    other=lambda g, condition: where(condition, 0, g),
)


def _as_condition(condition: Any) -> Any:
    if condition.dtype != "uint8":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{backend.dtype_of(condition).type_name}\ncompare it with something, or convert it with .bool()"
        )
    warn(
        "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future version "
        "of PyTorch. Use a boolean condition instead."
    )
    return condition != 0


@forms(in_place=True, out=False)
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`value` where `mask` holds, else `input`, broadcast together and in the dtype of `input`.

    RuntimeError unless the mask is of dtype bool and the value a number or a 0-dim tensor.
    """
    if isinstance(value, complex):
        raise RuntimeError(f"value cannot be converted to type {backend.dtype_of(input.array).c_name} without overflow")
    return (_masked_fill_tensor if isinstance(value, Variable) else _masked_fill)(input, mask, value)


@Op(promote="common", among=("input",))
def _masked_fill(input, mask, value: float, *, xp):
    """`value`, a number, where `mask` holds, else `input`."""
    _check_mask(mask)
    return select(mask, value if input.dtype.kind == "f" else as_integer(value, input.dtype), input, xp)


@Op(promote="common", among=("input",), node="MaskedFillBackward1")
def _masked_fill_tensor(input, mask, value, *, xp):
    """`value`, a 0-dim tensor, where `mask` holds, else `input`."""
    _check_mask(mask)
    if value.ndim:
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    return select(mask, value.astype(input.dtype), input, xp)


_masked_fill.derivative(input=lambda g, mask: where(mask, 0, g))
_masked_fill_tensor.derivative(input=lambda g, mask: where(mask, 0, g), value=lambda g, mask: where(mask, g, 0))


def _check_mask(mask: Any) -> None:
    if mask.dtype.kind != "b":
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {backend.dtype_of(mask).c_name}\n"
            f"convert it "
            f"with .bool()"
        )


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
