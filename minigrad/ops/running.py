"""Running extrema and running log-sums along one dimension."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.op import Op
from minigrad.backend import np
from minigrad.ops.checks import need_float
from minigrad.ops.compare import where
from minigrad.ops.dims import normalize_dim
from minigrad.ops.elementwise import exp
from minigrad.ops.forms import forms
from minigrad.ops.gather import add_along
from minigrad.ops.return_types import return_type
from minigrad.ops.scan import linear_recurrence, shifted

__all__ = ["cummax", "cummin", "logcumsumexp"]

cummax_result = return_type("cummax", "values", "indices")
cummin_result = return_type("cummin", "values", "indices")


def accumulated(ufunc: Any, array: Any, dim: int, xp: Any) -> Any:
    """out[k] = ufunc(out[k - 1], array[k]) along `dim`, for an associative ufunc."""
    return (_one_by_one if xp is np else _by_doubling)(ufunc, array, dim)


def _one_by_one(ufunc: Any, array: Any, dim: int) -> Any:
    return ufunc.accumulate(array, axis=dim)


def _by_doubling(ufunc: Any, array: Any, dim: int) -> Any:
    """In log2(n) passes, for a GPU: after each, out[k] takes twice as many elements into account."""
    out, step, before = array.copy(), 1, (slice(None),) * dim
    while step < array.shape[dim]:
        later, earlier = (*before, slice(step, None)), (*before, slice(None, -step))
        out[later] = ufunc(out[later], out[earlier])
        step *= 2
    return out


# -- extrema -----------------------------------------------------------------------------------------------------------


@Op(outputs=("values", "indices"), node="CummaxBackward0")
def running_max(input, dim: int, *, xp):
    """The largest element so far along `dim`, nan from the first one on, and the last place where it was."""
    return _extrema(xp.maximum, input, dim, xp)


@Op(outputs=("values", "indices"), node="CumminBackward0")
def running_min(input, dim: int, *, xp):
    """The smallest element so far along `dim`, nan from the first one on, and the last place where it was."""
    return _extrema(xp.minimum, input, dim, xp)


def _extrema(ufunc: Any, input: Any, dim: int, xp: Any) -> tuple[Any, Any]:
    x = input.reshape(input.shape or (1,))
    values = accumulated(ufunc, x, dim, xp)
    places = xp.arange(x.shape[dim]).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    found = xp.where((x == values) | (x != x), places, 0)
    return values.reshape(input.shape), accumulated(xp.maximum, found, dim, xp).reshape(input.shape)


for _op in (running_max, running_min):
    _op.derivative(input=lambda g, dim, indices, input_shape: add_along(g, dim, indices, input_shape))


@forms(out="exact")
def cummax(input: Any, dim: int) -> Any:
    """A named tuple (values, indices): the largest element so far along `dim`, and the last place where it was."""
    return cummax_result(*running_max(input, normalize_dim(dim, input.ndim)))


@forms(out="exact")
def cummin(input: Any, dim: int) -> Any:
    """A named tuple (values, indices): the smallest element so far along `dim`, and the last place where it was."""
    return cummin_result(*running_min(input, normalize_dim(dim, input.ndim)))


# -- log-sums ----------------------------------------------------------------------------------------------------------


@Op(node="LogcumsumexpBackward0")
def running_logsumexp(input, dim: int, *, xp):
    """out[k] = log(exp(input[0]) + ... + exp(input[k])) along `dim`."""
    need_float(input, "logcumsumexp_out_cpu")
    return accumulated(xp.logaddexp, input.reshape(input.shape or (1,)), dim, xp).reshape(input.shape)


def _logcumsumexp_rule(g, input, out, dim):
    """The sum of g[j] exp(input[k] - out[j]) over j >= k.

    Taken as exp(input[k] - out[k]) h[k], h[k] = g[k] + exp(out[k] - out[k + 1]) h[k + 1], no exponent is positive.
    """
    before = shifted(out, dim, 1, 0.0)
    decay = where(before == out, 1, exp(before - out))  # equal infinities too
    h = linear_recurrence(shifted(decay, dim, -1, 0.0), g, dim, True)
    return where(input == out, 1, exp(input - out)) * h


running_logsumexp.derivative(input=_logcumsumexp_rule)


@forms(out="exact")
def logcumsumexp(input: Any, dim: int) -> Any:
    """log(exp(input[0]) + ... + exp(input[k])) along `dim`, without overflow."""
    return running_logsumexp(input, normalize_dim(dim, input.ndim))
