"""Tensors from several, or from several elements of one: all pairs, all combinations, blocks of a matrix."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.ops.create import zeros
from minigrad.ops.index import slice_at
from minigrad.ops.join import meshgrid, stack
from minigrad.ops.parts import placed
from minigrad.ops.shape import reshape
from minigrad.ops.slices import index_select

__all__ = ["block_diag", "cartesian_prod", "combinations"]


@Op(promote="common", node="BlockDiagBackward0")
def blocks(*parts, keys: tuple, shape: tuple, xp):
    """Zeros of `shape` with each part at its key."""
    return placed.forward(*parts, keys=keys, shape=shape, xp=xp)


blocks.derivative(parts=lambda g, keys: [slice_at(g, key) for key in keys])


def block_diag(*tensors: Any) -> Any:
    """The matrix with `tensors` as blocks along its diagonal, in their common dtype; vectors count as rows."""
    if not tensors:
        return zeros(1, 0)
    for i, x in enumerate(tensors):
        if not isinstance(x, Variable):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
        if x.array.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.array.ndim} "
                f"dimensions"
            )
    matrices = [x if x.ndim == 2 else reshape(x, (1, -1)) for x in tensors]
    keys, row, column = [], 0, 0
    for x in matrices:
        rows, columns = x.shape
        keys.append((slice(row, row + rows), slice(column, column + columns)))
        row, column = row + rows, column + columns
    return blocks(*matrices, keys=tuple(keys), shape=(row, column))


def _need_vector(input: Any) -> None:
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")


def cartesian_prod(*tensors: Any) -> Any:
    """All ways to take one element of each vector, a row each, the last one changing fastest; of one, itself."""
    for x in tensors:
        _need_vector(x)
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, (-1,)) for grid in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All ways to take `r` elements of a vector in their order, a row each; with replacement, also one repeatedly."""
    _need_vector(input)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return zeros(0, dtype=input.dtype, device=input.device)
    xp = backend.module_of(input.array)
    places = xp.indices((input.array.size,) * r).reshape(r, -1)
    before, after = places[:-1], places[1:]
    places = places[:, xp.flatnonzero(((before <= after) if with_replacement else (before < after)).all(axis=0))]
    return stack([index_select(input, 0, wrap(column)) for column in places], 1)
