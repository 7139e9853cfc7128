"""Distances and angles between vectors."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.ops.arithmetic import abs
from minigrad.ops.checks import not_implemented
from minigrad.ops.compare import where
from minigrad.ops.expand import broadcast_tensors
from minigrad.ops.forms import forms
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.linalg.norms import norm
from minigrad.ops.reduce import expand_reduced, sum
from minigrad.ops.rounding import no_slope, sign
from minigrad.ops.slices import index_select
from minigrad.ops.stats import norm_slope, vector_norm

__all__ = ["cosine_similarity", "dist", "pairwise_distance", "pdist"]


@forms(method=False, out=False)
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along `dim`; norms below eps count as eps.

    Differentiated as if no norm were below eps, as torch does. RuntimeError for integers and for a negative eps.
    """
    need_tensor("cosine_similarity", x1=x1, x2=x2)
    if not eps >= 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps}")
    common = backend.result_type([x1.array, x2.array])
    if not common.is_floating_point:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {common.type_name}")
    x1, x2 = broadcast_tensors(x1.to(common), x2.to(common))
    return sum(_unit(x1, dim, eps) * _unit(x2, dim, eps), dim)


def _unit(x: Any, dim: int, eps: float) -> Any:
    """x over its length along `dim`, or over eps where that is longer; what is added has no derivative."""
    length = norm(x, 2, dim, keepdim=True)
    added = backend.module_of(x.array).maximum(eps - length.array, 0)
    return x / (length + wrap(backend.as_array(added)))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps over the last dimension."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


@forms(out=False)
def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of all elements of input - other, which are broadcast."""
    return norm(input - other, p)


@Op(node="PdistBackward0")
def row_norms(input, p: float):
    """The p-norm of each row. Unlike `vector_norm` it has the slope 0 for p = 0, and for p = inf no ties are shared."""
    return vector_norm.forward(input, p, (1,), False, xp=backend.module_of(input))


def _row_norms_rule(g, input, out, p):
    if p == 0:
        return no_slope(input)
    if p == math.inf:
        g, out = [expand_reduced(a, input.shape, (1,), False) for a in (g, out)]
        return where(abs(input) == out, sign(input) * g, 0)
    return norm_slope(g, input, out, p, (1,), False)


row_norms.derivative(input=_row_norms_rule)


def pdist(input: Any, p: float = 2.0) -> Any:
    """The p-norms of the differences of all pairs of rows, (N, M) giving N (N - 1) / 2 of them: (0, 1), (0, 2), ...

    RuntimeError for a negative p, for integers, and unless the input is a matrix.
    """
    x = input.array
    if x.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {x.ndim}D")
    if x.dtype.kind != "f":
        raise RuntimeError(f"pdist only supports floating-point dtypes\nconvert the {input.dtype} tensor with .float()")
    if not p >= 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if x.dtype == "float16" and len(x) > 1 and x.size:
        not_implemented("pdist", x)
    first, second = backend.module_of(x).triu_indices(len(x), 1)
    difference = index_select(input, 0, wrap(first)) - index_select(input, 0, wrap(second))
    return row_norms(difference, float(p) if x.shape[1] else 2.0)
