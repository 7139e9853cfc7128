"""Matrices from their diagonals, and writing to diagonals. Reading them is `diagonal`, the adjoint of `diag_embed`."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.op import Op
from minigrad.ops.cast import clone
from minigrad.ops.dims import normalize_dim
from minigrad.ops.fill import fill_
from minigrad.ops.forms import forms
from minigrad.ops.index import slice_at
from minigrad.ops.shape import diagonal, diagonal_of, reshape

__all__ = ["diag", "diag_embed", "diagflat", "fill_diagonal_"]


@forms(out=False)
@Op
def diag_embed(input, offset: int = 0, dim1: int = -2, dim2: int = -1, *, xp):
    """Zeros with the last dim of `input` on the diagonal of the dims `dim1` and `dim2` of the result, a square."""
    first, second = normalize_dim(dim1, input.ndim + 1), normalize_dim(dim2, input.ndim + 1)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape = list(input.shape[:-1])
    for dim in sorted((first, second)):
        shape.insert(dim, input.shape[-1] + abs(offset))
    out = xp.zeros(shape, input.dtype)
    diagonal_of(out, offset, first, second)[...] = input
    return out


diag_embed.derivative(input=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))


@forms(out="exact")
def diag(input: Any, diagonal: int = 0) -> Any:
    """The diagonal of a matrix, as a copy; of a vector the matrix that has it there."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return diag_embed(input, diagonal) if input.ndim == 1 else clone(_diagonal(input, diagonal))


@forms(out=False)
def diagflat(input: Any, offset: int = 0) -> Any:
    """The matrix with all elements of `input` on its diagonal."""
    return diag_embed(reshape(input, (-1,)), offset)


@forms(out=False)
def fill_diagonal_(self: Any, fill_value: float, wrap: bool = False) -> Any:
    """Set the elements whose indices are all equal to `fill_value`. With `wrap` the diagonal of a tall matrix starts
    again below the row where it ended."""
    shape = self.shape
    if len(shape) < 2:
        raise RuntimeError(f"dimensions must larger than 1\nthe shape is {list(shape)}")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(f"all dimensions of input must be of equal length\nthe shape is {list(shape)}")
    for start in range(0, shape[0], shape[1] + 1) if wrap and len(shape) == 2 else (0,):
        part = slice_at(self, (slice(start, None),))
        while part.ndim > 1:
            part = diagonal(part)
        fill_(part, fill_value)
    return self


_diagonal = diagonal  # the parameter of `diag` has its name
