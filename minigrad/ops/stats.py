"""Variance, standard deviation and norms: reductions of squares and other powers.

With n elements, mean m and `correction` c the variance is sum((x - m)**2) / (n - c), and its derivative
2 (x - m) / (n - c): the part through m sums to zero.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.kernels.sums import total
from minigrad.ops.arithmetic import abs, pow, reciprocal
from minigrad.ops.compare import where
from minigrad.ops.dims import normalize_dims
from minigrad.ops.forms import forms
from minigrad.ops.reduce import expand_reduced, mean_dim, reduced_size
from minigrad.ops.rounding import sign
from minigrad.ops.selection import share_of_ties

__all__ = ["std", "std_mean", "var", "var_mean"]


# -- variance ----------------------------------------------------------------------------------------------------------


def _moments(name: str, input: Any, dim: tuple[int, ...], correction: float, keepdim: bool) -> tuple[Any, Any]:
    """Variance and mean over `dim`, in two passes, so that a large mean costs no digits."""
    if input.dtype.kind != "f":
        names = name if name.endswith("mean") else "std and var"
        raise RuntimeError(f"{names} only support floating point and complex dtypes\nconvert the tensor with .float()")
    n = reduced_size(input.shape, dim)
    if n <= correction or not input.size:
        warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            f"(input numel divided by output numel)."
        )
    mean = total(input, dim, True) / (n or math.nan)
    centred = input - mean
    squares = total(centred * centred, dim, keepdim)
    var = squares / (n - correction) if n > correction else squares * math.inf
    return var, mean.reshape(var.shape)


@Op(node="VarBackward0")
def var_dim(input, dim: tuple, correction: float, keepdim: bool):
    """The variance over the dims `dim`."""
    return _moments("var", input, dim, correction, keepdim)[0]


@Op(node="StdBackward0")
def std_dim(input, dim: tuple, correction: float, keepdim: bool, *, xp):
    """The standard deviation over the dims `dim`."""
    return xp.sqrt(_moments("std", input, dim, correction, keepdim)[0])


@Op(node="VarMeanBackward0", outputs=("var", "mean"))
def var_mean_dim(input, dim: tuple, correction: float, keepdim: bool):
    """Variance and mean over the dims `dim`."""
    return _moments("var_mean", input, dim, correction, keepdim)


@Op(node="StdMeanBackward0", outputs=("std", "mean"))
def std_mean_dim(input, dim: tuple, correction: float, keepdim: bool, *, xp):
    """Standard deviation and mean over the dims `dim`."""
    var, mean = _moments("std_mean", input, dim, correction, keepdim)
    return xp.sqrt(var), mean


def _var_rule(g, input, dim, correction, keepdim):
    dof = reduced_size(input.shape, dim) - correction
    slope = (input - mean_dim(input, dim, True)) * (2 / dof if dof else math.inf)
    return expand_reduced(g, input.shape, dim, keepdim) * slope


def _std_rule(g, input, out, dim, correction, keepdim):
    """Through the square root: g / (2 out), and 0 for constant input, of all slopes there the one of least norm."""
    return _var_rule(where(out == 0, 0, g / (2 * out)), input, dim, correction, keepdim)


def _mean_rule(g, input, dim, keepdim):
    return expand_reduced(g / (reduced_size(input.shape, dim) or 1), input.shape, dim, keepdim)


def _of_either(first, second):
    """The sum of two gradients of which one may be missing."""
    return second if first is None else first if second is None else first + second


var_dim.derivative(input=_var_rule)
std_dim.derivative(input=_std_rule)
var_mean_dim.derivative(
    input=lambda g, input, dim, correction, keepdim: _of_either(
        None if g[0] is None else _var_rule(g[0], input, dim, correction, keepdim),
        None if g[1] is None else _mean_rule(g[1], input, dim, keepdim),
    )
)
std_mean_dim.derivative(
    input=lambda g, input, std, dim, correction, keepdim: _of_either(
        None if g[0] is None else _std_rule(g[0], input, std, dim, correction, keepdim),
        None if g[1] is None else _mean_rule(g[1], input, dim, keepdim),
    )
)


def _arguments(
    name: str, input: Any, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None
) -> tuple[Any, tuple[int, ...], float, bool]:
    """torch's overloads: var(unbiased), var(dim, unbiased, keepdim), var(dim, correction=...)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    elif unbiased is not None:
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got both unbiased={unbiased} and "
            f"correction={correction}, but expected one of them: unbiased means a correction of 1"
        )
    return input, normalize_dims(dim, input.ndim), correction, keepdim


@forms()
def var(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """The variance sum((x - mean)**2) / (n - correction) over `dim`; the correction is 1 by default.

    Warns, and returns nan or inf, where n <= correction. RuntimeError for integers.
    """
    return var_dim(*_arguments("var", input, dim, unbiased, keepdim, correction))


@forms()
def std(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """The square root of `var`. Constant input gets the gradient 0."""
    return std_dim(*_arguments("std", input, dim, unbiased, keepdim, correction))


@forms(method=False, out=False)
def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """`var` and `mean` over `dim`, as a tuple."""
    return var_mean_dim(*_arguments("var_mean", input, dim, unbiased, keepdim, correction))


@forms(method=False, out=False)
def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """`std` and `mean` over `dim`, as a tuple."""
    return std_mean_dim(*_arguments("std_mean", input, dim, unbiased, keepdim, correction))


# -- norms -------------------------------------------------------------------------------------------------------------


@Op(node="LinalgVectorNormBackward0")
def vector_norm(input, p: float, dim: tuple, keepdim: bool, *, xp):
    """sum(|x|**p)**(1/p) over `dim`; for p = inf (-inf) the largest (smallest) |x|, for 0 the number of nonzeros."""
    if input.dtype.kind != "f":
        kind = backend.dtype_of(input).type_name
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {kind}\n"
            f"convert it with .float()"
        )
    if p == 2:
        return xp.sqrt((input * input).sum(axis=dim, keepdims=keepdim))
    if p == 0:
        return (input != 0).sum(axis=dim, keepdims=keepdim, dtype=input.dtype)
    size = xp.abs(input)
    if p == 1:
        return size.sum(axis=dim, keepdims=keepdim)
    if p < 0 or p == math.inf:
        _need_elements(input.shape, p, dim)
    if math.isinf(p):
        return size.max(axis=dim, keepdims=keepdim) if p > 0 else size.min(axis=dim, keepdims=keepdim)
    return (size**p).sum(axis=dim, keepdims=keepdim) ** (1 / p)


def _need_elements(shape: tuple[int, ...], p: float, dim: tuple[int, ...]) -> None:
    empty = [d for d in dim if shape[d] == 0]
    if empty:
        place = (
            "an empty tensor because" if len(dim) == len(shape) else f"the dimension {empty[0]}because this dimension"
        )
        place += "" if len(dim) == len(shape) else " is empty and"  # the missing blank is torch's
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p:g} norm on {place} the operation does not have an identity"
        )


def norm_slope(g, input, out, p, dim, keepdim):
    """sign(x) |x|**(p-1) out**(1-p), and 0 where the norm is 0 or, for p < 1, where x is."""
    shape = input.shape
    if p == 2:
        return input * expand_reduced(g * where(out == 0, 0, reciprocal(out)), shape, dim, keepdim)
    if p == 1:
        return sign(input) * expand_reduced(g, shape, dim, keepdim)
    if math.isinf(p):
        return sign(input) * share_of_ties(abs(input), out, dim, keepdim) * expand_reduced(g, shape, dim, keepdim)
    slope = sign(input) * pow(abs(input), p - 1)
    if p < 1:
        slope = where(input == 0, 0, slope)
    return slope * expand_reduced(where(out == 0, 0, g * pow(out, 1 - p)), shape, dim, keepdim)


@vector_norm.joint_derivative("input")  # which may say that there is no gradient: where p is 0, torch has none
def _norm_rule(g, input, out, p, dim, keepdim):
    return (None if p == 0 else norm_slope(g, input, out, p, dim, keepdim),)
