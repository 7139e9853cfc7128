"""Elements chosen by truth values, and where those are."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.kernels import places
from minigrad.ops import compare
from minigrad.ops.expand import broadcast_shape
from minigrad.ops.forms import forms
from minigrad.ops.index import put_at
from minigrad.ops.shape import reshape

__all__ = ["argwhere", "masked_scatter", "masked_select", "nonzero", "where"]


# -- reading where a mask holds, and its adjoint -----------------------------------------------------------------------


@forms(out="apart")
@Op
def masked_select(input, mask, *, xp):
    """The elements where `mask`, broadcast together with `input`, holds, in one dim."""
    if mask.dtype.kind != "b":
        raise RuntimeError(f"masked_select: expected BoolTensor for mask\ngot {mask.dtype}: convert it with .bool()")
    shape = broadcast_shape(mask.shape, input.shape)
    return places.read(xp.broadcast_to(input, shape).reshape(-1), (xp.broadcast_to(mask, shape).reshape(-1),), xp)


@Op
def put_masked(input, mask, shape: tuple, *, xp):
    """Zeros of `shape` with the elements of `input`, in order, where `mask` holds: the adjoint of `masked_select`."""
    mask = xp.broadcast_to(mask, shape).reshape(-1)
    return places.added(input, (mask,), mask.shape, xp).reshape(shape)


masked_select.derivative(
    input=lambda g, mask, input_shape: put_masked(g, mask, broadcast_shape(mask.shape, input_shape))
)
put_masked.derivative(input=lambda g, mask: masked_select(g, mask))


# -- writing where a mask holds ----------------------------------------------------------------------------------------


@forms(in_place=True, out=False)
@Op
def masked_scatter(input, mask, source, *, xp):
    """`input` with the first elements of `source`, in order, where `mask` holds."""
    if input.dtype != source.dtype:
        have, given = backend.dtype_of(input).type_name, backend.dtype_of(source).type_name
        raise RuntimeError(f"masked_scatter: expected self and source to have same dtypes but got{have} and {given}")
    if mask.dtype.kind != "b":
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {backend.dtype_of(mask).type_name}\n"
            f"convert it with .bool()"
        )
    shape = broadcast_shape(input.shape, mask.shape)
    at = xp.flatnonzero(xp.broadcast_to(mask, shape))
    if at.size > source.size:
        raise RuntimeError(
            f"Number of elements of source < number of ones in mask\n{source.size} elements for {at.size} places"
        )
    out = xp.broadcast_to(input, shape).copy()
    out.reshape(-1)[at] = source.reshape(-1)[: at.size]
    return out


def _taken_back(g: Any, mask: Any, shape: tuple[int, ...]) -> Any:
    """The gradients of the elements of `shape` that were used, zeros for the rest."""
    used = masked_select(g, mask)
    size = 1
    for n in shape:
        size *= n
    return reshape(put_at(used, (slice(used.shape[0]),), (size,)), shape)


masked_scatter.derivative(
    input=lambda g, mask: compare.where(mask, 0, g),
    source=lambda g, mask, source_shape: _taken_back(g, mask, source_shape),
)


# -- where truth is ----------------------------------------------------------------------------------------------------


@forms(out="exact")
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The indices of all elements that are not zero: one row each, or with `as_tuple` one tensor for each dim.

    Their number is not known before: a GPU is waited for.
    """
    array = input.array
    if as_tuple:
        return tuple([wrap(i) for i in (array if array.ndim else array.reshape(1)).nonzero()])
    xp = backend.module_of(array)
    if not array.ndim:
        return wrap(xp.zeros((int(bool(array)), 0), xp.int64))
    return wrap(xp.stack(array.nonzero(), axis=1))


@forms(out=False)
def argwhere(input: Any) -> Any:
    """The indices of all elements that are not zero, one row each."""
    return nonzero(input)


@forms(method=False, out="exact")
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other`, broadcast together; `where(x)` is `nonzero(x, as_tuple=True)`."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    return compare.where(condition, input, other)
