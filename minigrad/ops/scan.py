"""Running sums and products along one dimension, and what their derivatives are made of.

Every derivative here is a scan again, in the other direction. Those of products never divide by an element, so zeros
need no exception, at any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.ops.cast import to
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms

__all__ = ["cumprod", "cumsum"]


def summing_dtype(array: Any) -> Any:
    """The dtype in which elements are added up or multiplied: int64 for integers and truth values."""
    return array.dtype if array.dtype.kind == "f" else "int64"


# -- primitives --------------------------------------------------------------------------------------------------------


@Op(node="CumsumBackward0")
def running_sum(input, dim: int, reverse: bool, *, xp):
    """out[k] = input[0] + ... + input[k] along `dim`; from the other end if `reverse`."""
    return _from_end(lambda x: xp.cumsum(x, axis=dim, dtype=summing_dtype(x)), input, dim, reverse, xp)


@Op(node="CumprodBackward0")
def running_product(input, dim: int, reverse: bool, *, xp):
    """out[k] = input[0] * ... * input[k] along `dim`; from the other end if `reverse`."""
    return _from_end(lambda x: xp.cumprod(x, axis=dim, dtype=summing_dtype(x)), input, dim, reverse, xp)


@Op
def shifted(input, dim: int, by: int, fill: float, *, xp):
    """`input` moved by one place along `dim`, forwards (`by` = 1) or backwards (-1); `fill` goes where nothing came."""
    out = xp.full(input.shape or (1,), fill, input.dtype)
    source = (slice(None),) * dim + (slice(None, -1) if by > 0 else slice(1, None),)
    target = (slice(None),) * dim + (slice(1, None) if by > 0 else slice(None, -1),)
    out[target] = input.reshape(out.shape)[source]
    return out.reshape(input.shape)


@Op
def linear_recurrence(factor, input, dim: int, reverse: bool, *, xp):
    """out[k] = factor[k] * out[k - 1] + input[k] along `dim`; from the other end, with out[k + 1], if `reverse`.

    Takes log2(n) passes instead of n steps: after each, out[k] takes twice as many elements into account (Hillis and
    Steele, Data parallel algorithms, 1986).
    """
    shape = input.shape or (1,)
    f, out = factor.reshape(shape).copy(), input.reshape(shape).copy()
    front_f, front_out = xp.moveaxis(f, dim, 0), xp.moveaxis(out, dim, 0)
    if reverse:
        front_f, front_out = front_f[::-1], front_out[::-1]
    step = 1
    while step < len(front_out):
        front_out[step:] = front_out[step:] + front_f[step:] * front_out[:-step]
        front_f[step:] = front_f[step:] * front_f[:-step]
        step *= 2
    return out.reshape(input.shape)


def _from_end(scan: Callable[[Any], Any], input: Any, dim: int, reverse: bool, xp: Any) -> Any:
    x = input.reshape(input.shape or (1,))
    return (xp.flip(scan(xp.flip(x, dim)), dim) if reverse else scan(x)).reshape(input.shape)


# -- derivatives -------------------------------------------------------------------------------------------------------


def _backwards(factor: Any, g: Any, dim: int, reverse: bool) -> Any:
    """h[k] = g[k] + factor[k + 1] * h[k + 1]: the adjoint of `linear_recurrence` in its input."""
    return linear_recurrence(shifted(factor, dim, 1 if reverse else -1, 0.0), g, dim, not reverse)


running_sum.derivative(input=lambda g, dim, reverse: running_sum(g, dim, not reverse))
running_product.derivative(
    input=lambda g, input, out, dim, reverse: (
        shifted(out, dim, -1 if reverse else 1, 1.0) * _backwards(input, g, dim, reverse)
    )
)
shifted.derivative(input=lambda g, dim, by: shifted(g, dim, -by, 0.0))
linear_recurrence.derivative(
    factor=lambda g, factor, out, dim, reverse: (
        _backwards(factor, g, dim, reverse) * shifted(out, dim, -1 if reverse else 1, 0.0)
    ),
    input=lambda g, factor, dim, reverse: _backwards(factor, g, dim, reverse),
)


# -- what torch has ----------------------------------------------------------------------------------------------------


@forms(in_place=True)
def cumsum(input: Any, dim: int, *, dtype: backend.dtype | None = None) -> Any:
    """out[k] = input[0] + ... + input[k] along `dim`, in the same shape; integers give int64."""
    return running_sum(input if dtype is None else to(input, dtype), normalize_dim(dim, input.ndim), False)


@forms(in_place=True)
def cumprod(input: Any, dim: int, *, dtype: backend.dtype | None = None) -> Any:
    """out[k] = input[0] * ... * input[k] along `dim`, in the same shape; integers give int64."""
    return running_product(input if dtype is None else to(input, dtype), normalize_dim(dim, input.ndim), False)


def product_of_others(input: Any, dim: int) -> Any:
    """out[k] = the product of all elements but the k-th along `dim`: those before it times those after it."""
    before = shifted(running_product(input, dim, False), dim, 1, 1.0)
    return before * shifted(running_product(input, dim, True), dim, -1, 1.0)
