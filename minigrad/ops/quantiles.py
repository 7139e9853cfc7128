"""Quantiles, the median of what is a number, and the commonest value."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.ops.arithmetic import lerp
from minigrad.ops.cast import truncated
from minigrad.ops.checks import refuse_bool
from minigrad.ops.compare import NUMBERS, isnan, where
from minigrad.ops.dims import normalize_dim
from minigrad.ops.extrema import clamp_min
from minigrad.ops.forms import forms
from minigrad.ops.gather import add_along, gather
from minigrad.ops.order import kept, sort
from minigrad.ops.reduce import any, spread, sum
from minigrad.ops.return_types import return_type
from minigrad.ops.rounding import ceil, floor, round
from minigrad.ops.running import accumulated
from minigrad.ops.selection import share_of_all_ties
from minigrad.ops.shape import movedim, reshape, squeeze, unsqueeze

__all__ = ["mode", "nanmedian", "nanquantile", "quantile"]

mode_result = return_type("mode", "values", "indices")
nanmedian_result = return_type("nanmedian", "values", "indices")

ROUNDINGS = {
    "lower": floor,
    "higher": ceil,
    "nearest": round,
}  # of a rank; the other interpolations take two neighbours


# -- quantiles ---------------------------------------------------------------------------------------------------------


@forms(out="exact")
def quantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """The values below which the fractions `q` of the elements along `dim` (or of all) lie; nan where there is one.

    q              a number or a tensor of at most one dim, in [0, 1]; a 1-dim one becomes the result's first dim
    interpolation  between neighbours a and b: "linear", "lower" (a), "higher" (b), "midpoint", "nearest"
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@forms(out="exact")
def nanquantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """`quantile` of what is a number; nan where nothing is."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str) -> Any:
    """Sorted, with the neighbours of each rank q * (n - 1) read and interpolated; the parts have the derivatives."""
    ndim = input.ndim
    q = _fractions(name, input, q, interpolation)
    axis = 0 if dim is None else normalize_dim(dim, ndim)
    x = reshape(input, (-1,)) if dim is None or not ndim else movedim(input, axis, -1)
    out = movedim(_at_ranks(sort(x, -1)[0], reshape(q, (-1,)), interpolation, name == "nanquantile"), -1, 0)
    if keepdim and ndim:
        out = reshape(out, (-1, *(1,) * ndim)) if dim is None else unsqueeze(out, axis + 1)
    return out if q.ndim else squeeze(out, 0)


def _fractions(name: str, input: Any, q: Any, interpolation: str) -> Any:
    """`q` as a tensor beside `input`; torch's errors where something is wrong with them, in torch's order."""
    array = input.array
    xp = backend.module_of(array)
    if type(q) in NUMBERS:
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q}")
        q = wrap(xp.full((), q, array.dtype))
    if not isinstance(q, Variable):
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got (Tensor, {type(q).__name__}), but expected a "
            f"number or a Tensor of fractions"
        )
    if not array.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if q.array.ndim > 1:
        raise RuntimeError(f"quantile() q must be a scalar or 1D tensor\nits shape is {list(q.array.shape)}")
    if array.dtype not in (xp.float32, xp.float64):
        raise RuntimeError(
            f"quantile() input tensor must be either float or double dtype\nconvert the {input.dtype} one"
        )
    if q.array.dtype != array.dtype:
        raise RuntimeError(f"quantile() q tensor must be same dtype as the input tensor\nthat is {input.dtype}")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
            f"{interpolation}"
        )
    if xp is backend.np and not ((q.array >= 0) & (q.array <= 1)).all():  # on a GPU nobody looks, as in torch
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    return q


def _at_ranks(x: Any, q: Any, interpolation: str, ignore_nan: bool) -> Any:
    """The quantiles of `x`, sorted along its last dim with every nan at its end."""
    nan, last = isnan(x), x.array.shape[-1] - 1
    if ignore_nan:
        rank = q * clamp_min(last - sum(nan, -1, True), 0)
    else:
        rank = where(any(nan, -1, True), last, q * last)
    if interpolation in ROUNDINGS:
        rank = ROUNDINGS[interpolation](rank)
    below = floor(rank)
    low = gather(x, -1, truncated(below, backend.int64))
    if interpolation in ROUNDINGS:
        return low
    high = gather(x, -1, truncated(ceil(rank), backend.int64))
    return lerp(low, high, 0.5 if interpolation == "midpoint" else rank - below)


# -- the median of what is a number ------------------------------------------------------------------------------------


@Op(outputs=("values", "indices"), node="NanmedianBackward1")
def nanmedian_dim(input, dim: int, keepdim: bool, *, xp):
    """The middle elements along `dim` of those that are numbers, the lower ones of two, and their places."""
    refuse_bool(input, "median_out")
    x = input.reshape(input.shape or (1,))
    numbers = (x == x).sum(axis=dim, keepdims=True)
    places = xp.take_along_axis(xp.argsort(x, axis=dim, kind="stable"), xp.maximum(numbers - 1, 0) // 2, dim)
    return _reduced(xp.take_along_axis(x, places, dim), places, input, dim, keepdim)


@Op(node="NanmedianBackward0")
def nanmedian_all(input, *, xp):
    """The element in the middle of those that are numbers, the lower one of two; nan if there is none."""
    refuse_bool(input, "median_cpu")
    if not input.size:
        return xp.full((), math.nan).astype(input.dtype)
    return nanmedian_dim.forward(input.reshape(-1), 0, False, xp=xp)[0]


nanmedian_all.derivative(input=lambda g, input, out: spread(g, input.shape) * share_of_all_ties(input, out))


def _reduced(values: Any, places: Any, input: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    """Both without the dim that was reduced, unless it is kept; 0-dim where the input was."""
    shape = input.shape and (values.shape if keepdim else values.shape[:dim] + values.shape[dim + 1 :])
    return values.reshape(shape), places.reshape(shape)


@forms(out="exact")
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median` of what is a number; with `dim` a named tuple (values, indices). nan where nothing is."""
    if dim is None:
        return nanmedian_all(input)
    return nanmedian_result(*nanmedian_dim(input, _dim_with_elements("median", input, dim), keepdim))


def _dim_with_elements(name: str, input: Any, dim: int) -> int:
    dim = normalize_dim(dim, input.ndim)
    if input.ndim and input.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.\nThe shape is {input.shape}.")
    return dim


# -- the commonest value -----------------------------------------------------------------------------------------------


@Op(outputs=("values", "indices"), node="ModeBackward0")
def mode_dim(input, dim: int, keepdim: bool, *, xp):
    """The commonest values along `dim`, the smallest of several, and the last places where they are.

    Sorted, equal elements stand side by side; the one farthest from where the value last changed ends the longest run.
    """
    x = input.reshape(input.shape or (1,))
    order = xp.argsort(x, axis=dim, kind="stable")
    ascending = xp.moveaxis(xp.take_along_axis(x, order, dim), dim, -1)
    places = xp.arange(x.shape[dim])
    starts = xp.zeros(ascending.shape, places.dtype)
    starts[..., 1:] = xp.where(ascending[..., 1:] != ascending[..., :-1], places[1:], 0)
    run = places - accumulated(xp.maximum, starts, x.ndim - 1, xp)
    places = xp.take_along_axis(order, xp.expand_dims(run.argmax(axis=-1), dim), dim)
    return _reduced(xp.take_along_axis(x, places, dim), places, input, dim, keepdim)


for _op in (nanmedian_dim, mode_dim):
    _op.derivative(
        input=lambda g, indices, input_shape, dim, keepdim: add_along(
            kept(g, dim, keepdim, input_shape), dim, kept(indices, dim, keepdim, input_shape), input_shape
        )
    )


@forms(out="exact")
def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Any:
    """A named tuple (values, indices): the commonest value along `dim`, the smallest of several; no nan equals another.

    The index is that of the last such element, which takes the gradient; torch names any of them.
    """
    return mode_result(*mode_dim(input, _dim_with_elements("mode", input, dim), keepdim))
