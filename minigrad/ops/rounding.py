"""Functions that are constant between jumps: rounding and signs. Their derivative is zero wherever there is one."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, unwrap
from minigrad.ops.checks import need_float, refuse_bool
from minigrad.ops.forms import forms

__all__ = ["floor", "ceil", "round", "trunc", "fix", "frac", "sign", "sgn", "heaviside", "positive"]


@Op
def no_slope(g, *, xp):
    """Zeros like `g`: the gradient behind a function that is constant between jumps, whatever arrives."""
    return xp.zeros_like(g)


@forms(in_place=True, out="exact")
@Op
def floor(input, *, xp):
    """The largest integer <= input."""
    refuse_bool(input, "floor_vml_cpu")
    return xp.floor(input) if input.dtype.kind == "f" else input.copy()


@forms(in_place=True, out="exact")
@Op
def ceil(input, *, xp):
    """The smallest integer >= input."""
    refuse_bool(input, "ceil_vml_cpu")
    return xp.ceil(input) if input.dtype.kind == "f" else input.copy()


@forms(in_place=True, out="exact")
@Op
def trunc(input, *, xp):
    """The integer part: rounded towards zero."""
    refuse_bool(input, "trunc_vml_cpu")
    return xp.trunc(input) if input.dtype.kind == "f" else input.copy()


@forms(in_place=True, out="exact")
def round(input: Any, *, decimals: int | None = None) -> Any:
    """The nearest integer, or the nearest multiple of 10 ** -decimals; halves go to the even one."""
    return _round(input) if decimals is None else _round_decimals(input, decimals)


@Op
def _round(input, *, xp):
    """The nearest integer, halves to the even one."""
    refuse_bool(input, "round_vml_cpu")
    return xp.rint(input) if input.dtype.kind == "f" else input.copy()


@Op(node="RoundBackward1")
def _round_decimals(input, decimals: int, *, xp):
    """The nearest multiple of 10 ** -decimals: scaled, rounded and scaled back, as in torch."""
    need_float(input, "round_cpu")
    scale = 10.0 ** abs(decimals)
    return xp.rint(input / scale) * scale if decimals < 0 else xp.rint(input * scale) / scale


@forms(in_place=True, out="exact")
@Op
def frac(input, *, xp):
    """The fractional part, input - trunc(input), with the sign of the input."""
    need_float(input, "frac_cpu")
    return input - xp.trunc(input)


frac.derivative(input=lambda g: g)


@forms(in_place=True, out="exact")
@Op
def sign(input, *, xp):
    """-1, 0 or 1; 0 for nan."""
    if input.dtype.kind == "b":
        return input.copy()
    return xp.subtract(input > 0, input < 0, dtype=input.dtype)


@forms(in_place=True, out="exact")
@Op
def sgn(input):
    """The same as `sign`: no tensor is complex."""
    return sign(input)


@Op(promote="common", tensors=("input", "values"), node="NotImplemented")
def _heaviside(input, values, *, xp):
    """The step at 0."""
    return xp.where(input == 0, values, (input > 0).astype(input.dtype))


@forms(in_place=True, out="exact")
def heaviside(input: Any, values: Any) -> Any:
    """0 where the input is below 0 (or nan), 1 above, and `values` where it is 0; torch gives it no derivative."""
    for x in (input, values):
        if isinstance(x, Variable) and x.array.dtype != unwrap(input).dtype:
            raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return _heaviside(input, values)


@_heaviside.joint_derivative("input", "values")
def _refuse(g):
    raise RuntimeError("derivative for aten::heaviside is not implemented")


for op in (floor, ceil, trunc, _round, _round_decimals, sign, sgn):
    op.derivative(input=lambda g: no_slope(g))


@forms(out=False)
def positive(input: Any) -> Any:
    """The tensor itself. RuntimeError for dtype bool."""
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


fix = trunc
