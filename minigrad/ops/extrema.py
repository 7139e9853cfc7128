"""The larger and the smaller of two, and clamping between bounds.

Where two candidates tie, each gets half of the gradient; at a bound that is a number, which gets none, the input gets
nothing: of the slopes between 0 and 1 that are right there, the smallest.
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, unwrap
from minigrad.ops.checks import as_integer, refuse_bool
from minigrad.ops.compare import isnan, where
from minigrad.ops.forms import forms

__all__ = ["maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min", "clamp_max", "clip"]


# -- of two tensors ---------------------------------------------------------------------------------------------------


@forms()
@Op(promote="common", tensors=("input", "other"))
def maximum(input, other, *, xp):
    """The larger of the two; nan if one of them is."""
    return xp.maximum(input, other)


@forms()
@Op(promote="common", tensors=("input", "other"))
def minimum(input, other, *, xp):
    """The smaller of the two; nan if one of them is."""
    return xp.minimum(input, other)


@forms()
@Op(promote="common", tensors=("input", "other"))
def fmax(input, other, *, xp):
    """The larger of the two; the number where the other one is nan."""
    return xp.fmax(input, other)


@forms()
@Op(promote="common", tensors=("input", "other"))
def fmin(input, other, *, xp):
    """The smaller of the two; the number where the other one is nan."""
    return xp.fmin(input, other)


def _unless_less(g, a, b):
    """g, half of it where a equals b, nothing where a is the smaller one. Beside a nan: g."""
    return where(a == b, g / 2, where(a < b, 0, g))


def _if_greater(g, a, b):
    """g where a is the greater one, half of it where a equals b, else nothing. Beside a nan: nothing."""
    return where(a == b, g / 2, where(a > b, g, 0))


maximum.derivative(
    input=lambda g, input, other: _unless_less(g, input, other),
    other=lambda g, input, other: _unless_less(g, other, input),
)
minimum.derivative(
    input=lambda g, input, other: _unless_less(g, other, input),
    other=lambda g, input, other: _unless_less(g, input, other),
)
fmax.derivative(
    input=lambda g, input, other: where(isnan(other), g, _if_greater(g, input, other)),
    other=lambda g, input, other: where(isnan(input) & (other == other), g, _if_greater(g, other, input)),
)
fmin.derivative(
    input=lambda g, input, other: where(isnan(other), g, _if_greater(g, other, input)),
    other=lambda g, input, other: where(isnan(input) & (other == other), g, _if_greater(g, input, other)),
)


# -- between bounds ---------------------------------------------------------------------------------------------------


@forms(in_place=True)
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """The input moved into [min, max], bounds being numbers, tensors or None; `max` where min > max.

    RuntimeError without any bound.
    """
    if isinstance(min, Variable) or isinstance(max, Variable):
        return _clamp(input, min, max)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if unwrap(input).dtype.kind != "f":
        input = input.to(backend.result_type([x for x in (unwrap(input), min, max) if x is not None]))
    return _clamp_numbers(input, min, max)


@Op(node="ClampBackward1")
def _clamp_numbers(input, min: float | None, max: float | None, *, xp):
    """The input between two numbers, one of which may be None."""
    if input.dtype.kind != "f":
        refuse_bool(input, "clamp_scalar_cpu")
        min, max = (None if x is None else as_integer(x, input.dtype) for x in (min, max))
    return _between(input, min, max, xp)


@Op(promote="common")
def _clamp(input, min, max, *, xp):
    """The input between two tensors, one of which may be a number or None."""
    if min is not None and max is not None:
        refuse_bool(input, "clamp_cpu")
    return _between(input, min, max, xp)


def _between(input: Any, min: Any, max: Any, xp: Any) -> Any:
    out = input if min is None else xp.maximum(input, min)
    return out if max is None else xp.minimum(out, max)


def _strictly_between(g, input, min, max):
    """g where min < input < max, else nothing."""
    inside = input > min if max is None else input < max if min is None else (input > min) & (input < max)
    return where(inside, g, 0)


def _input_share(g, input, min, max):
    if min is not None:
        g = _if_greater(g, input, min)
    return g if max is None else _if_greater(g, max, input)


def _min_share(g, input, min, max):
    g = _if_greater(g, min, input)
    return g if max is None else _if_greater(g, max, min)


def _max_share(g, input, min, max):
    return _if_greater(g, input if min is None else clamp_min(input, min), max)


_clamp_numbers.derivative(input=_strictly_between)
_clamp.derivative(input=_input_share, min=_min_share, max=_max_share)


@forms(in_place=True)
def clamp_min(input: Any, min: Any) -> Any:
    """The input, and `min` where it is below."""
    return (_clamp_min if isinstance(min, Variable) else _clamp_min_number)(input, min)


@forms(in_place=True)
def clamp_max(input: Any, max: Any) -> Any:
    """The input, and `max` where it is above."""
    return (_clamp_max if isinstance(max, Variable) else _clamp_max_number)(input, max)


@Op(promote="common", tensors=("input",), node="ClampMinBackward1")
def _clamp_min(input, min, *, xp):
    """The input, at least the tensor `min`."""
    return xp.maximum(input, min)


@Op(promote="common", tensors=("input",), node="ClampMaxBackward1")
def _clamp_max(input, max, *, xp):
    """The input, at most the tensor `max`."""
    return xp.minimum(input, max)


@Op(promote="common", node="ClampMinBackward0")
def _clamp_min_number(input, min, *, xp):
    """The input, at least the number `min`."""
    refuse_bool(input, "clamp_min_scalar_cpu")
    return xp.maximum(input, min)


@Op(promote="common", node="ClampMaxBackward0")
def _clamp_max_number(input, max, *, xp):
    """The input, at most the number `max`."""
    refuse_bool(input, "clamp_max_scalar_cpu")
    return xp.minimum(input, max)


_clamp_min.derivative(
    input=lambda g, input, min: _if_greater(g, input, min), min=lambda g, input, min: _if_greater(g, min, input)
)
_clamp_max.derivative(
    input=lambda g, input, max: _if_greater(g, max, input), max=lambda g, input, max: _if_greater(g, input, max)
)
_clamp_min_number.derivative(input=lambda g, input, min: where(input > min, g, 0))
_clamp_max_number.derivative(input=lambda g, input, max: where(input < max, g, 0))

clip = clamp
