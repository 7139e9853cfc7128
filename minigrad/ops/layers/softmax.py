"""softmax and log_softmax: exponentials divided by their sum along one dimension, and the logarithm of that.

The largest element is subtracted first, so that no exponential overflows: the quotient does not change.
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import unwrap
from minigrad.kernels.gpu import softmax as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.sums import total
from minigrad.ops.checks import need_float
from minigrad.ops.dims import normalize_dim
from minigrad.ops.elementwise import exp
from minigrad.ops.forms import forms
from minigrad.ops.reduce import sum_dim

__all__ = ["softmax", "log_softmax", "softmin"]


@Op
def _softmax(input, dim: int, *, xp):
    """exp(input) / sum(exp(input)) along `dim`; nan where an input is nan or +inf, or all are -inf."""
    if input.size == 0:
        return input.copy()
    need_float(input, "softmax_lastdim_kernel_impl")
    if input.ndim == 0:
        return xp.exp(input - input)
    if takes(input):
        return gpu.softmax(input, dim, log=False)
    out = input - input.max(axis=dim, keepdims=True)
    xp.exp(out, out=out)
    out /= total(out, (dim,), True)
    return out


@Op
def _log_softmax(input, dim: int, *, xp):
    """input - log(sum(exp(input))) along `dim`."""
    if input.size == 0:
        return input.copy()
    need_float(input, "log_softmax_lastdim_kernel_impl")
    if input.ndim == 0:
        return input - input
    if takes(input):
        return gpu.softmax(input, dim, log=True)
    out = input - input.max(axis=dim, keepdims=True)
    out -= xp.log(total(xp.exp(out), (dim,), True))
    return out


def _sum(x: Any, dim: int) -> Any:
    return sum_dim(x, (dim,) if x.ndim else (), True)


def _softmax_rule(g, out, dim):
    if out.ndim and takes(g, out):
        return gpu.softmax_back(g, out, dim, log=False)
    return out * (g - _sum(g * out, dim))


def _log_softmax_rule(g, out, dim):
    if out.ndim and takes(g, out):
        return gpu.softmax_back(g, out, dim, log=True)
    return g - exp(out) * _sum(g, dim)


_softmax.derivative(input=_softmax_rule)
_log_softmax.derivative(input=_log_softmax_rule)


@forms(out="exact")
def softmax(input: Any, dim: int | None = None, dtype: backend.dtype | None = None) -> Any:
    """exp(input) / sum(exp(input)) along `dim`: positive numbers that add up to 1. The input is cast to `dtype` first.

    NotImplementedError for integers, IndexError for a dim that is none; without `dim` torch's old choice, warned of.
    """
    return _softmax(*_prepared("softmax", input, dim, dtype))


@forms(out="exact")
def log_softmax(input: Any, dim: int | None = None, dtype: backend.dtype | None = None) -> Any:
    """log(softmax(input)) along `dim`, without overflow or log(0). Arguments and errors as for `softmax`."""
    return _log_softmax(*_prepared("log_softmax", input, dim, dtype))


def softmin(input: Any, dim: int | None = None, dtype: backend.dtype | None = None) -> Any:
    """softmax(-input) along `dim`. Arguments and errors as for `softmax`."""
    input, dim = _prepared("softmin", input, dim, dtype)
    return _softmax(-input, dim)


def _prepared(name: str, input: Any, dim: int | None, dtype: backend.dtype | None) -> tuple[Any, int]:
    ndim = unwrap(input).ndim
    if dim is None:
        warn(
            f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an "
            f"argument."
        )
        dim = 0 if ndim in (0, 1, 3) else 1
    elif not isinstance(dim, int):
        raise TypeError(f"{name}(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")
    return input if dtype is None else input.to(dtype), normalize_dim(dim, ndim)
