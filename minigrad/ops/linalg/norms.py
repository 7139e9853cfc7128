"""Norms of vectors and matrices, and the condition number, which is one norm times another."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import unwrap, wrap
from minigrad.ops.cast import to
from minigrad.ops.compare import where
from minigrad.ops.dims import normalize_dim, normalize_dims
from minigrad.ops.elementwise import nan_to_num
from minigrad.ops.forms import forms
from minigrad.ops.linalg.decompositions import linalg_svdvals
from minigrad.ops.linalg.matrices import identity, need_matrix, need_real
from minigrad.ops.linalg.solve import linalg_inv, zero_pivots
from minigrad.ops.reduce import Dims, sum
from minigrad.ops.selection import amax, amin
from minigrad.ops.shape import moveaxis, unsqueeze
from minigrad.ops.stats import vector_norm

__all__ = ["norm", "renorm"]


def _widened(name: str, input: Any, dtype: backend.dtype | None) -> Any:
    """`input` as floats of at least its own width. RuntimeError for integers and for a narrower `dtype`."""
    kind = backend.dtype_of(unwrap(input)).type_name
    if unwrap(input).dtype.kind != "f":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {kind}\nconvert it with .float()"
        )
    if dtype is None or dtype is input.dtype:
        return input
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {dtype.type_name}")
    if dtype.itemsize < input.dtype.itemsize:
        raise RuntimeError(
            f"{name}: the dtype of the input ({kind}) should be convertible without narrowing to the specified dtype "
            f"({dtype.type_name})"
        )
    return to(input, dtype)


@forms(method=False, out="exact")
def linalg_vector_norm(
    input: Any, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: backend.dtype | None = None
) -> Any:
    """sum(|x|**ord)**(1/ord) over `dim`; for ord = inf (-inf) the largest (smallest) |x|, for 0 how many are not 0."""
    if not isinstance(ord, (int, float)):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' (position 2) must be Number, not {type(ord).__name__}")
    input = _widened("linalg.vector_norm", input, dtype)
    return vector_norm(input, float(ord), normalize_dims(dim, input.ndim), keepdim)


def _largest_or_smallest(values: Any, ord: float, dim: int, keepdim: bool = False) -> Any:
    return amax(values, dim, keepdim) if ord > 0 else amin(values, dim, keepdim)


@forms(method=False, out="exact")
def linalg_matrix_norm(
    input: Any,
    ord: float | str = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: backend.dtype | None = None,
) -> Any:
    """The norm of the matrices in the two dims `dim`.

    fro   the root of the sum of squares             nuc     the sum of the singular values
    2     the largest singular value                 -2      the smallest one
    1     the largest sum of a column's sizes        -1      the smallest one; inf, -inf: of a row's

    RuntimeError for any other `ord`, and unless `dim` names two dims.
    """
    name = "linalg.matrix_norm"
    if ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    need_matrix(name, input)
    if len(dim) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {', '.join(map(str, dim))}")
    row, column = [normalize_dim(d, input.ndim) for d in dim]
    if row == column:
        raise RuntimeError(f"{name}: dims must be different. Got ({row}, {column})")
    input = _widened(name, input, dtype)
    empty = 0 in (input.shape[row], input.shape[column])
    if ord == "fro" or (empty and ord != "nuc" and float(ord) > 0):  # of an empty matrix all but the smallest are 0
        return vector_norm(input, 2.0, (row, column), keepdim)
    if ord == "nuc" or abs(float(ord)) == 2:
        need_real(name, unwrap(input))
        values = linalg_svdvals(moveaxis(input, (row, column), (-2, -1)))
        norm = sum(values, -1) if ord == "nuc" else _largest_or_smallest(values, float(ord), -1)
        return unsqueeze(unsqueeze(norm, min(row, column)), max(row, column)) if keepdim else norm
    if math.isinf(float(ord)):
        row, column = column, row
    sums = vector_norm(input, 1.0, (row,), True)
    norm = _largest_or_smallest(sums, float(ord), column, True)
    return norm if keepdim else norm.squeeze((row, column))


@forms(method=False, out="exact")
def linalg_norm(
    input: Any,
    ord: float | str | None = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: backend.dtype | None = None,
) -> Any:
    """`vector_norm` over one dim, `matrix_norm` over two; without `ord` the 2-norm of all elements over `dim`."""
    dims = (dim,) if isinstance(dim, int) else dim
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if ord is None:
        return linalg_vector_norm(input, 2, dims, keepdim, dtype=dtype)
    if dims is None and input.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.ndim}D."
        )
    if (input.ndim if dims is None else len(dims)) == 1 and not isinstance(ord, str):
        return linalg_vector_norm(input, ord, dims, keepdim, dtype=dtype)
    return linalg_matrix_norm(input, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)


# -- torch.norm --------------------------------------------------------------------------------------------------------


@forms(out="exact")
def norm(
    input: Any,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: backend.dtype | None = None,
) -> Any:
    """The p-norm of the elements over `dim`; p = 2, also called "fro", by default; "nuc" is that of a matrix.

    At 0 the gradient is 0, the subgradient of least norm. RuntimeError for integers, and for a name that is no norm.
    """
    if isinstance(p, str):
        _check_name(p, dim)
    if p == "nuc":
        dims = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
        return linalg_matrix_norm(input, p, tuple(dims), keepdim, dtype=dtype)
    p = 2.0 if p is None or p == "fro" else p
    if dtype is not None:
        input = to(input, dtype)
    return vector_norm(input, float(p), normalize_dims(dim, input.ndim), keepdim)


def _check_name(p: str, dim: Dims) -> None:
    """Names are those of norms of matrices, of which "fro" counts the elements of one dim too."""
    if isinstance(dim, (tuple, list)) and len(dim) > 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    if p not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")


@forms(in_place=True, out="exact")
def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """Each slice across `dim`, scaled down where its p-norm is larger than `maxnorm` to that norm, but for 1e-7."""
    for name, value in (("p", p), ("maxnorm", maxnorm)):
        if isinstance(value, complex):
            raise RuntimeError(f"renorm: {name} must be real-valued")
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported\ngot p = {p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    kept = normalize_dim(dim, input.ndim)
    length = vector_norm(input, float(p), tuple([d for d in range(input.ndim) if d != kept]), True)
    return input * where(length > maxnorm, maxnorm / (length + 1e-7), 1)


# -- the condition number ----------------------------------------------------------------------------------------------


@forms(method=False)
def linalg_cond(input: Any, p: float | str | None = None) -> Any:
    """The condition number norm(A, p) * norm(inverse(A), p): by default, and for p = 2, the largest singular value by
    the smallest. A singular matrix has an infinite one.
    """
    if input.ndim < 2:
        raise RuntimeError(
            f"linalg.cond: The input tensor must have at least 2 dimensions.\nits shape is {list(input.shape)}"
        )
    if p not in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    m, n = input.shape[-2:]
    if not min(m, n):
        return sum(input, (-2, -1))
    if p in (None, 2, -2):
        s = linalg_svdvals(input)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    if m != n:
        raise RuntimeError(
            f"linalg.cond(ord={p}): A must be batches of square matrices, but they are {m} by {n} matrices"
        )
    need_real("linalg.inv", input.array)
    regular = wrap((zero_pivots(input.array) == 0)[..., None, None])
    inverse = where(regular, linalg_inv(where(regular, input, identity(input))), math.inf)
    product = linalg_matrix_norm(input, p or 2) * linalg_matrix_norm(inverse, p or 2)
    return nan_to_num(product, nan=math.inf, posinf=math.inf, neginf=-math.inf)
