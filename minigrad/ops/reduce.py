"""Sums, means and products over all or some dimensions, and their logical cousins.

`sum_dim` and `expand_reduced` are each other's adjoint; the derivative of every reduction begins by spreading the
gradient back over what was reduced.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.backend import np
from minigrad.kernels.sums import total, whole
from minigrad.ops.cast import to
from minigrad.ops.compare import isnan, logical_not
from minigrad.ops.dims import normalize_dim, normalize_dims
from minigrad.ops.elementwise import exp
from minigrad.ops.forms import forms
from minigrad.ops.scan import product_of_others, summing_dtype
from minigrad.ops.shape import reshape

__all__ = ["all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum"]

Dims = int | Iterable[int] | None


# -- sums --------------------------------------------------------------------------------------------------------------


@Op(node="SumBackward0")
def sum_all(input):
    """The sum of all elements."""
    return whole(input) if input.dtype.kind == "f" else input.sum(dtype="int64")


@Op(node="SumBackward1")
def sum_dim(input, dim: tuple, keepdim: bool):
    """The sum over the dims `dim`."""
    if input.dtype.kind == "f":
        return total(input, dim, keepdim)
    return input.sum(axis=dim, dtype="int64", keepdims=keepdim)


@Op
def expand_reduced(input, shape: tuple, dim: tuple, keepdim: bool, *, xp):
    """`input`, which has been reduced over `dim`, repeated over them to `shape`: the adjoint of `sum_dim`. A view."""
    if not input.ndim and xp is np:  # what broadcast_to does for a scalar, in a tenth of its time
        out = np.ndarray(shape, input.dtype, input, 0, (0,) * len(shape))
        out.flags.writeable = False
        return out
    if not keepdim:
        input = input.reshape([1 if i in dim else n for i, n in enumerate(shape)])
    return xp.broadcast_to(input, shape)


def spread(g: Any, shape: tuple[int, ...]) -> Any:
    """A scalar gradient, repeated to `shape`."""
    return expand_reduced(g, shape, tuple(range(len(shape))), False)


sum_all.derivative(input=lambda g, input_shape: spread(g, input_shape))
sum_dim.derivative(input=lambda g, input_shape, dim, keepdim: expand_reduced(g, input_shape, dim, keepdim))
expand_reduced.derivative(input=lambda g, dim, keepdim: sum_dim(g, dim, keepdim))


@forms()
def sum(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: backend.dtype | None = None) -> Any:
    """The sum over `dim` (one, several, all by default), in `dtype` if given; integers and truth values give int64."""
    if dtype is not None:
        input = to(input, dtype)
    if dim is None and not keepdim:
        return sum_all(input)
    return sum_dim(input, normalize_dims(dim, input.ndim), keepdim)


# -- means -------------------------------------------------------------------------------------------------------------


def reduced_size(shape: tuple[int, ...], dim: tuple[int, ...]) -> int:
    """How many elements go into one result of a reduction over `dim`."""
    return math.prod([shape[d] for d in dim])


def _need_float(name: str, array: Any) -> None:
    if array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {backend.dtype_of(array).type_name}\nconvert the tensor with .float(), or give dtype="
        )


@Op(node="MeanBackward0")
def mean_all(input):
    """The mean of all elements; nan if there are none."""
    _need_float("mean", input)
    return whole(input) / (input.size or math.nan)


@Op(node="MeanBackward1")
def mean_dim(input, dim: tuple, keepdim: bool):
    """The mean over the dims `dim`; nan if they hold no elements."""
    _need_float("mean", input)
    return total(input, dim, keepdim) / (reduced_size(input.shape, dim) or math.nan)


# `or 1`: where nothing was averaged, nothing takes the gradient either.
mean_all.derivative(input=lambda g, input_shape: spread(g / (math.prod(input_shape) or 1), input_shape))
mean_dim.derivative(
    input=lambda g, input_shape, dim, keepdim: expand_reduced(
        g / (reduced_size(input_shape, dim) or 1), input_shape, dim, keepdim
    )
)


@forms()
def mean(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: backend.dtype | None = None) -> Any:
    """The mean over `dim` (one, several, all by default), in `dtype` if given. RuntimeError for integers."""
    if dtype is not None:
        input = to(input, dtype)
    if dim is None and not keepdim:
        return mean_all(input)
    return mean_dim(input, normalize_dims(dim, input.ndim), keepdim)


# -- products ----------------------------------------------------------------------------------------------------------


@Op(node="ProdBackward0")
def prod_all(input):
    """The product of all elements."""
    return input.prod(dtype=summing_dtype(input))


@Op(node="ProdBackward1")
def prod_dim(input, dim: tuple, keepdim: bool):
    """The product along `dim`, a tuple of one dim, or none for a 0-dim input."""
    return input.prod(axis=dim, dtype=summing_dtype(input), keepdims=keepdim)


prod_all.derivative(
    input=lambda g, input: g * reshape(product_of_others(reshape(input, (-1,)), 0), input.shape),
)
prod_dim.derivative(
    input=lambda g, input, dim, keepdim: (
        expand_reduced(g, input.shape, dim, keepdim) * product_of_others(input, dim[0] if dim else 0)
    ),
)


@forms()
def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: backend.dtype | None = None) -> Any:
    """The product of all elements or along one dim, in `dtype` if given; integers and truth values give int64."""
    if dtype is not None:
        input = to(input, dtype)
    if dim is None:
        return prod_all(input)
    return prod_dim(input, one_dim(dim, input.ndim), keepdim)


def one_dim(dim: int, ndim: int) -> tuple[int, ...]:
    """A single dim as the tuple that reductions take: () for a 0-dim tensor, which has nothing to reduce."""
    d = normalize_dim(dim, ndim)
    return (d,) if ndim else ()


# -- without nan -------------------------------------------------------------------------------------------------------


@Op(node="NansumBackward0")
def nansum_dim(input, dim: tuple, keepdim: bool, *, xp):
    """The sum over `dim` of what is a number."""
    if input.dtype.kind == "f":
        input = xp.where(xp.isnan(input), 0, input)
    return input.sum(axis=dim, dtype=summing_dtype(input), keepdims=keepdim)


nansum_dim.derivative(
    input=lambda g, input, dim, keepdim: expand_reduced(g, input.shape, dim, keepdim) * logical_not(isnan(input))
)


@forms()
def nansum(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: backend.dtype | None = None) -> Any:
    """The sum over `dim` with nan counted as 0."""
    if dtype is not None:
        input = to(input, dtype)
    return nansum_dim(input, normalize_dims(dim, input.ndim), keepdim)


@forms()
def nanmean(input: Any, dim: Dims = None, keepdim: bool = False, *, dtype: backend.dtype | None = None) -> Any:
    """The mean over `dim` of what is a number. RuntimeError for integers."""
    if input.array.dtype.kind != "f":
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype.type_name}"
        )
    if dtype is not None:
        input = to(input, dtype)
    return nansum(input, dim, keepdim) / sum(logical_not(isnan(input)), dim, keepdim)


# -- log-sum-exp -------------------------------------------------------------------------------------------------------


@Op(promote="float", node="LogsumexpBackward0")
def logsumexp_dim(input, dim: tuple, keepdim: bool, *, xp):
    """log(sum(exp(input))) over `dim`; the largest element is taken out first, so that nothing overflows."""
    shape = [1 if i in dim else n for i, n in enumerate(input.shape)]
    if not input.size:
        out = xp.full(shape, -math.inf, input.dtype)
    else:
        largest = input.max(axis=dim, keepdims=True)
        largest = xp.where(xp.isinf(largest), 0, largest)  # inf - inf would be nan
        out = xp.log(total(xp.exp(input - largest), dim, True)) + largest
    return out if keepdim else out.reshape([n for i, n in enumerate(input.shape) if i not in dim])


def _softmax_of(input: Any, out: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    return exp(input - expand_reduced(out, input.shape, dim, keepdim))


logsumexp_dim.derivative(
    input=lambda g, input, out, dim, keepdim: (
        expand_reduced(g, input.shape, dim, keepdim) * _softmax_of(input, out, dim, keepdim)
    )
)


@forms()
def logsumexp(input: Any, dim: int | Iterable[int], keepdim: bool = False) -> Any:
    """log(sum(exp(input))) over `dim`, without overflow. Its derivative is softmax."""
    return logsumexp_dim(input, normalize_dims(dim, input.ndim), keepdim)


# -- truth values and counts -------------------------------------------------------------------------------------------


@Op
def _all(input, dim: tuple, keepdim: bool):
    return _truth(input, input.all(axis=dim, keepdims=keepdim))


@Op
def _any(input, dim: tuple, keepdim: bool):
    return _truth(input, input.any(axis=dim, keepdims=keepdim))


def _truth(input: Any, result: Any) -> Any:
    """torch keeps uint8, which was its first dtype of truth values."""
    return result.astype(input.dtype) if input.dtype == "uint8" else result


def _dims_or_none(dim: Dims, ndim: int) -> tuple[int, ...]:
    """Here, and only here, an empty tuple of dims means that nothing is reduced."""
    return () if isinstance(dim, (tuple, list)) and not dim else normalize_dims(dim, ndim)


@forms(out="exact")
def all(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """True where all elements over `dim` are nonzero."""
    return _all(input, _dims_or_none(dim, input.ndim), keepdim)


@forms(out="exact")
def any(input: Any, dim: Dims = None, keepdim: bool = False) -> Any:
    """True where an element over `dim` is nonzero."""
    return _any(input, _dims_or_none(dim, input.ndim), keepdim)


@Op
def _count_nonzero(input, dim: tuple):
    return (input != 0).sum(axis=dim, dtype="int64")


@forms(out=False)
def count_nonzero(input: Any, dim: Dims = None) -> Any:
    """How many elements over `dim` are nonzero."""
    return _count_nonzero(input, normalize_dims(dim, input.ndim))
