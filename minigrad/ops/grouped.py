"""Elements sent to places by an index and combined there: sum, product, mean, largest, smallest.

A sum's gradient goes to every element; a product's is the product of the others in its place; those that tie for an
extreme share evenly. Where what was there before is not to count, it is replaced by the neutral element first.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable, unwrap
from minigrad.backend import as_array, np
from minigrad.kernels import places
from minigrad.ops.arithmetic import div
from minigrad.ops.checks import refuse_bool
from minigrad.ops.compare import where
from minigrad.ops.create import ones_like, zeros_like
from minigrad.ops.dims import normalize_dim
from minigrad.ops.expand import expand
from minigrad.ops.forms import forms
from minigrad.ops.gather import check_same_dtype, gather, places_along, scatter_add, scatter_number
from minigrad.ops.index import slice_at
from minigrad.ops.shape import reshape
from minigrad.ops.slices import check_slices

__all__ = ["index_reduce", "scatter_reduce"]

UFUNCS = {"prod": "multiply", "amax": "maximum", "amin": "minimum"}


def combine_at(input: Any, dim: int, index: Any, src: Any, reduce: str, xp: Any) -> Any:
    """`input` combined with the elements of `src`, of the shape of `index`, at the places that `index` names."""
    check_same_dtype(input, src)
    out, dim = input.copy(), normalize_dim(dim, input.ndim)
    if index.size:
        at = places_along("scatter", input, dim, index, src, xp)
        places.combine(
            out.reshape(out.shape or (1,)), at, src.reshape(src.shape or (1,)), getattr(xp, UFUNCS[reduce]), xp
        )
    return out


# -- products ----------------------------------------------------------------------------------------------------------


@Op(node="ScatterReduceBackward0")
def scatter_product(input, dim: int, index, src, *, xp):
    """`input` multiplied by the elements of `src` at the places that `index` names."""
    return combine_at(input, dim, index, src, "prod", xp)


@Op
def only_zeros(input, dim: int, index, src, *, xp):
    """Which elements of `src` are 0 with no other 0 in their place."""
    zero = as_array(src == 0)
    count = scatter_add.forward(xp.zeros(input.shape, np.int64), dim, index, zero.astype(np.int64), xp=xp)
    return zero & (gather.forward(count, dim, index, xp=xp) == 1)


def _nonzero(x):
    return where(x == 0, 1.0, x)


@Op(node="Error")
def differentiated_once(input):
    """The same, which can be differentiated no further: as torch, where two zeros meet in one place."""
    return input.copy()


@differentiated_once.joint_derivative("input")
def _refuse(g):
    raise RuntimeError(
        "scatter_reduce(): Double backward is unsupported for src when >1 zeros in src are scattered to the same "
        "position in self"
    )


def _product_of_other_sources(input, dim, index, src, out):
    """For every element of `src` the product of all else in its place: one may be 0, then it is left out."""
    alone = only_zeros(input, dim, index, src)
    without = gather(scatter_product(input, dim, index, where(alone, 1.0, src)), dim, index)
    others = where(alone, without, gather(out, dim, index) / _nonzero(src))
    if isinstance(src, Variable) and bool(((src.array == 0) & ~unwrap(alone)).any()):
        return differentiated_once(others)
    return others


scatter_product.derivative(
    input=lambda g, input, dim, index, src: g * scatter_product(_nonzero(input), dim, index, src) / _nonzero(input),
    src=lambda g, input, dim, index, src, out: (
        gather(g, dim, index) * _product_of_other_sources(input, dim, index, src, out)
    ),
)


# -- extremes ----------------------------------------------------------------------------------------------------------


def neutral(reduce: str, dtype: Any) -> Any:
    """The number below all others of `dtype`, or for "amin" the one above."""
    if dtype.kind == "f":
        return -math.inf if reduce == "amax" else math.inf
    if dtype.kind == "b":
        return reduce == "amin"
    return np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max


@Op(node="ScatterReduceBackward0")
def scatter_extreme(input, dim: int, index, src, reduce: str, include_self: bool, *, xp):
    """The largest or smallest of `input`, unless it is to be left out, and the elements of `src` sent to its places."""
    if not include_self:
        input = scatter_number.forward(input, dim, index, neutral(reduce, input.dtype), xp=xp)
    return combine_at(input, dim, index, src, reduce, xp)


@Op
def tied(input, dim: int, index, src, out, *, xp):
    """How many elements tie for the extreme `out` of each place; as in torch `input` counts even if left out."""
    ties = as_array(src == gather.forward(out, dim, index, xp=xp)).astype(input.dtype)
    return scatter_add.forward(as_array(input == out).astype(input.dtype), dim, index, ties, xp=xp)


def _slope_of_own(g, input, dim, index, src, out, include_self):
    share = (input == out) * (g / tied(input, dim, index, src, out))
    return share if include_self else scatter_number(share, dim, index, 0)


scatter_extreme.derivative(
    input=_slope_of_own,
    src=lambda g, input, dim, index, src, out: (
        (src == gather(out, dim, index)) * gather(g / tied(input, dim, index, src, out), dim, index)
    ),
)


# -- by name -----------------------------------------------------------------------------------------------------------


@forms(in_place=True, out="exact")
def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """The elements of `src` combined at the places that `index` names along `dim`, as in `scatter`.

    reduce        "sum", "prod", "mean", "amax" or "amin"
    include_self  whether the element of `input` counts too; places that nothing is sent to keep it
    """
    if not isinstance(src, Variable):
        raise TypeError(f"scatter_reduce(): argument 'src' (position 4) must be Tensor, not {type(src).__name__}")
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    if index.array.ndim == src.array.ndim and index.array.shape != src.array.shape:
        src = slice_at(src, tuple([slice(n) for n in index.array.shape]))
    if reduce in ("amax", "amin"):
        return scatter_extreme(input, dim, index, src, reduce, include_self)
    if not include_self:
        input = scatter_number(input, dim, index, int(reduce == "prod"))
    if reduce == "sum":
        return scatter_add(input, dim, index, src)
    if reduce == "prod":
        return scatter_product(input, dim, index, src)
    return _mean(input, dim, index, src, include_self)


def _mean(input: Any, dim: int, index: Any, src: Any, include_self: bool) -> Any:
    """The mean of each place, rounded downwards for integers."""
    refuse_bool(input.array, "scatter_gather_tensor_cpu_reduce_mean")
    total = scatter_add(input, dim, index, src)
    plain = input.detach()
    count = scatter_add((ones_like if include_self else zeros_like)(plain), dim, index, ones_like(src.detach()))
    count = where(count == 0, 1, count)
    return div(total, count, rounding_mode=None if input.array.dtype.kind == "f" else "floor")


@forms(in_place=True, out="exact")
def index_reduce(input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """The slices of `source` combined at `index` along `dim`, as `scatter_reduce` combines elements.

    reduce: "prod", "mean", "amax" or "amin".
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    dim = normalize_dim(dim, input.ndim)
    check_slices("index_reduce_", input.array, dim, index.array, source.array)
    warn("index_reduce() is in beta and the API may change at any time.")
    if input.ndim < 2 or not include_self:
        refuse_bool(input.array, "index_func_")
    size = input.shape[dim] if input.ndim else 1
    if (outside := places.first_outside(index.array, 0, size)) is not None:
        raise IndexError(f"index out of range in self\n{outside} is none of the {size} slices along dim {dim}")
    shape = [-1 if d == dim else 1 for d in range(input.ndim or 1)]
    wide = expand(reshape(index, shape), source.shape or (1,))
    return scatter_reduce(input, dim, wide, reshape(source, source.shape or (1,)), reduce, include_self=include_self)
