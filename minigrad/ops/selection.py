"""Largest, smallest and middle elements over all or some dimensions, and where they are.

The derivative of a chosen element is 1 at the place chosen. Where no place is named (`amax`, `max()`, `median()`) all
that tie share the gradient evenly, the subgradient of least norm; where one is (`max(dim)`), it takes everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, unwrap
from minigrad.ops.checks import refuse_bool
from minigrad.ops.compare import where
from minigrad.ops.dims import normalize_dim, normalize_dims
from minigrad.ops.extrema import maximum, minimum
from minigrad.ops.forms import forms
from minigrad.ops.reduce import Dims, expand_reduced, spread
from minigrad.ops.return_types import return_type

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "median", "min"]

max_result = return_type("max", "values", "indices")
min_result = return_type("min", "values", "indices")
median_result = return_type("median", "values", "indices")
aminmax_result = return_type("aminmax", "min", "max")


def _need_elements(name: str, input: Any, dim: Any) -> tuple[int, ...]:
    """`dim` normalised; torch's error where an empty set would have to have a largest element."""
    shape = unwrap(input).shape
    dims = normalize_dims(dim, len(shape))
    if 0 not in shape:
        return dims
    if dim is None or dim == ():
        error: type[Exception] = RuntimeError
        hint = " Specify the reduction dim with the 'dim' argument."
        if name.startswith("arg"):
            error, hint = IndexError, ""
        raise error(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.{hint}")
    for d in dims:
        if shape[d] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size.\nThe shape is {list(shape)}."
            )
    return dims


# -- values ------------------------------------------------------------------------------------------------------------


@Op(node="AmaxBackward0")
def amax_dim(input, dim: tuple, keepdim: bool):
    """The largest elements over `dim`; nan if there is one."""
    return input.max(axis=dim, keepdims=keepdim)


@Op(node="AminBackward0")
def amin_dim(input, dim: tuple, keepdim: bool):
    """The smallest elements over `dim`; nan if there is one."""
    return input.min(axis=dim, keepdims=keepdim)


@Op(node="MaxBackward1")
def max_all(input):
    """The largest element; nan if there is one."""
    return input.max()


@Op(node="MinBackward1")
def min_all(input):
    """The smallest element; nan if there is one."""
    return input.min()


@Op(node="MedianBackward0")
def median_all(input, *, xp):
    """The element in the middle, the lower one of two; nan if there is one, or if there are no elements."""
    refuse_bool(input, "median_cpu")
    if not input.size:
        return xp.full((), math.nan).astype(input.dtype)
    k = (input.size - 1) // 2
    middle, largest = xp.partition(input.reshape(-1), k)[k], input.max()
    return xp.where(largest == largest, middle, largest)


@Op
def share_of_ties(input, out, dim: tuple, keepdim: bool, *, xp):
    """1 / n at the n elements of `input` that equal the result `out` of their reduction over `dim`, elsewhere 0."""
    ties = input == (out if keepdim else xp.expand_dims(out, dim))
    return (ties / ties.sum(axis=dim, keepdims=True)).astype(input.dtype)


@Op
def share_of_all_ties(input, out):
    """`share_of_ties` over all dims, where a nan equals a nan."""
    ties = (input == out) | ((input != input) & (out != out))
    return (ties / ties.sum()).astype(input.dtype)


for _op in (amax_dim, amin_dim):
    _op.derivative(
        input=lambda g, input, out, dim, keepdim: (
            expand_reduced(g, input.shape, dim, keepdim) * share_of_ties(input, out, dim, keepdim)
        )
    )
for _op in (max_all, min_all, median_all):
    _op.derivative(input=lambda g, input, out: spread(g, input.shape) * share_of_all_ties(input, out))


@forms(out="exact")
def amax(input: Any, dim: Dims = (), keepdim: bool = False) -> Any:
    """The largest elements over `dim` (one, several, all by default); ties share the gradient evenly."""
    return amax_dim(input, _need_elements("amax", input, dim), keepdim)


@forms(out="exact")
def amin(input: Any, dim: Dims = (), keepdim: bool = False) -> Any:
    """The smallest elements over `dim` (one, several, all by default); ties share the gradient evenly."""
    return amin_dim(input, _need_elements("amin", input, dim), keepdim)


@forms(out="exact")
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """A named tuple (min, max): `amin` and `amax`, over one dim or all."""
    if dim is None and not input.array.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    dims = _need_elements("aminmax", input, dim)
    return aminmax_result(amin_dim(input, dims, keepdim), amax_dim(input, dims, keepdim))


# -- values and their places -------------------------------------------------------------------------------------------


@Op(outputs=("values", "indices"), node="MaxBackward0")
def max_dim(input, dim: int, keepdim: bool):
    """The largest elements along `dim` and the first places where they are; nan is larger than any number."""
    axis = dim if input.ndim else None
    return input.max(axis=axis, keepdims=keepdim), input.argmax(axis=axis, keepdims=keepdim)


@Op(outputs=("values", "indices"), node="MinBackward0")
def min_dim(input, dim: int, keepdim: bool):
    """The smallest elements along `dim` and the first places where they are; nan is smaller than any number."""
    axis = dim if input.ndim else None
    return input.min(axis=axis, keepdims=keepdim), input.argmin(axis=axis, keepdims=keepdim)


@Op(outputs=("values", "indices"), node="MedianBackward1")
def median_dim(input, dim: int, keepdim: bool, *, xp):
    """The middle elements along `dim`, the lower ones of two, and their places; the first nan where there is one."""
    refuse_bool(input, "median_out")
    x = input.reshape(input.shape or (1,))
    k = (x.shape[dim] - 1) // 2
    places = xp.expand_dims(xp.take(xp.argsort(x, axis=dim, kind="stable"), k, axis=dim), dim)
    nan = x != x
    places = xp.where(nan.any(axis=dim, keepdims=True), nan.argmax(axis=dim, keepdims=True), places)
    values = xp.take_along_axis(x, places, dim)
    shape = values.shape if keepdim else values.shape[:dim] + values.shape[dim + 1 :]
    shape = shape if input.ndim else ()
    return values.reshape(shape), places.reshape(shape)


@Op
def is_at(indices, dim: int, keepdim: bool, shape: tuple, *, xp):
    """True, in a tensor of `shape`, at the places along `dim` that `indices` name."""
    places = xp.arange(shape[dim] if shape else 1).reshape([-1 if i == dim else 1 for i in range(len(shape))])
    return places == (indices if keepdim or not shape else xp.expand_dims(indices, dim))


for _op in (max_dim, min_dim, median_dim):
    _op.derivative(
        input=lambda g, indices, input_shape, dim, keepdim: where(
            is_at(indices, dim, keepdim, input_shape),
            expand_reduced(g, input_shape, (dim,) if input_shape else (), keepdim),
            0,
        )
    )


@forms()
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; or with `dim` the largest ones along it and first indices; or `maximum` of two tensors.

    max()     elements that tie share the gradient evenly
    max(dim)  a named tuple (values, indices); the element at the index takes the gradient
    """
    return _overloads(input, dim, keepdim, other, "max", max_all, max_dim, max_result, maximum)


@forms()
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element; or with `dim` the smallest ones along it and first indices; or `minimum` of two tensors.

    min()     elements that tie share the gradient evenly
    min(dim)  a named tuple (values, indices); the element at the index takes the gradient
    """
    return _overloads(input, dim, keepdim, other, "min", min_all, min_dim, min_result, minimum)


def _overloads(
    input: Any,
    dim: Any,
    keepdim: bool,
    other: Any,
    name: str,
    over_all: Callable[..., Any],
    along: Callable[..., Any],
    result: Any,
    of_two: Callable[..., Any],
) -> Any:
    if other is not None or isinstance(dim, Variable):
        return of_two(input, dim if other is None else other)
    if not isinstance(input, Variable) or (dim is not None and not isinstance(dim, int)):
        got = ", ".join("Tensor" if isinstance(x, Variable) else type(x).__name__ for x in (input, dim))
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({got}), but expected a Tensor, and with it "
            f"a dim (int) or another Tensor"
        )
    _need_elements(name, input, dim)
    if dim is None:
        return over_all(input)
    return result(*along(input, normalize_dim(dim, input.array.ndim), keepdim))


@forms(out="exact")
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The element in the middle, the lower one of two; or with `dim` a named tuple (values, indices) along it.

    median()     elements that tie share the gradient evenly; nan if there are no elements
    median(dim)  the element at the index takes the gradient
    """
    if dim is None:
        return median_all(input)
    _need_elements("median", input, dim)
    return median_result(*median_dim(input, normalize_dim(dim, input.ndim), keepdim))


# -- places ------------------------------------------------------------------------------------------------------------


@Op
def _argmax(input, dim: int | None, keepdim: bool):
    _refuse_bool_in("argmax", input)
    return input.argmax(axis=dim, keepdims=keepdim)


@Op
def _argmin(input, dim: int | None, keepdim: bool):
    _refuse_bool_in("argmin", input)
    return input.argmin(axis=dim, keepdims=keepdim)


def _refuse_bool_in(name: str, array: Any) -> None:
    if array.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input\nconvert it with .int()")


@forms(out="exact")
def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the largest element along `dim`, or in the flattened tensor: the first of those that tie."""
    return _argmax(input, _axis("argmax", input, dim), keepdim)


@forms(out="exact")
def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The index of the smallest element along `dim`, or in the flattened tensor: the first of those that tie."""
    return _argmin(input, _axis("argmin", input, dim), keepdim)


def _axis(name: str, input: Any, dim: int | None) -> int | None:
    _need_elements(name, input, dim)
    return normalize_dim(dim, input.ndim) if dim is not None and input.ndim else None
