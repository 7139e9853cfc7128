"""The distances between all rows of one matrix and all rows of another."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.kernels.products import stacked
from minigrad.ops.checks import not_implemented
from minigrad.ops.compare import where
from minigrad.ops.layers.windows import need_tensor
from minigrad.ops.linalg.distance import row_norms
from minigrad.ops.linalg.matmul import matmul_stacks
from minigrad.ops.linalg.matrices import T
from minigrad.ops.linalg.triangular import check_stacks
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import reshape, unsqueeze

__all__ = ["cdist"]

# For distances, when to take the product of matrices: by default from torch's 25 rows on.
MODES = {
    None: 26,
    "use_mm_for_euclid_dist_if_necessary": 26,
    "use_mm_for_euclid_dist": 0,
    "donot_use_mm_for_euclid_dist": math.inf,
}


@Op(node="CdistBackward0")
def euclidean_distances(x1, x2, *, xp):
    """The root of |x|^2 - 2 x.y + |y|^2, for all rows x of x1 and y of x2: one product of matrices, and no array of all
    differences. Rows that nearly agree lose digits to cancellation.
    """
    squares = [(x * x).sum(axis=-1) for x in (x1, x2)]
    out = stacked(x1, T(x2))
    out *= -2
    out += squares[0][..., :, None]
    out += squares[1][..., None, :]
    return xp.sqrt(xp.maximum(out, 0, out=out), out=out)


def _slope(g: Any, out: Any, x: Any, y: Any) -> Any:
    """sum over y of (x - y) g / |x - y|, and 0 where they agree."""
    share = where(out == 0, 0, g / out)
    return x * sum_dim(share, (-1,), True) - matmul_stacks(share, y)


euclidean_distances.derivative(
    x1=lambda g, out, x1, x2: _slope(g, out, x1, x2),
    x2=lambda g, out, x1, x2: _slope(T(g), T(out), x2, x1),
)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """out[..., i, j] = the p-norm of x1[..., i, :] - x2[..., j, :]; stacks are broadcast.

    For p = 2 `compute_mode` says whether to do it by a product of matrices, which is fast but less precise for rows
    that nearly agree: by default for more than 25 rows. RuntimeError for rows of two lengths, integers, a negative p.
    """
    need_tensor("cdist", x1=x1, x2=x2)
    a, b = x1.array, x2.array
    for name, x in (("X1", a), ("X2", b)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if compute_mode not in MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {a.shape[-1]} X2: {b.shape[-1]}\nthe shapes are "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    for name, x in (("X1", a), ("X2", b)):
        if x.dtype.kind != "f":
            kind = backend.dtype_of(x).type_name
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {kind}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if a.dtype != b.dtype:
        kinds = [backend.dtype_of(x).type_name for x in (a, b)]
        raise RuntimeError(f"expected scalar type {kinds[0]} but found {kinds[1]}\ncast one of them with .to(dtype)")
    check_stacks(a, b)
    if p == 2 and max(a.shape[-2], b.shape[-2]) >= MODES[compute_mode]:
        return euclidean_distances(x1, x2)
    if a.dtype == "float16" and a.shape[-2] and b.shape[-2]:
        not_implemented("cdist", a)
    difference = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    shape = tuple(difference.shape)
    rows = reshape(difference, (math.prod(shape[:-1]), shape[-1]))
    return reshape(row_norms(rows, float(p) if shape[-1] else 2.0), shape[:-1])
