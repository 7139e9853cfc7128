"""Parts written into a new tensor: diagonals, slices, places, blocks; and rows of combinations."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import Case, Sample
from reference.cases.parts import restrided
from reference.cases.shape import diagonals
from reference.strategies import Draw


def on_diagonal(d: Draw) -> Sample:
    """f(x, offset, dim1, dim2), the dims being those of the result."""
    shape = d.shape(min_dims=1, max_dims=3)
    first, second = d.permutation(len(shape) + 1)[:2]
    return Sample(d.floats(shape), d.size(-2, 2), first, second - len(shape) - 1)


def vector_or_matrix(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(min_dims=1, max_dims=2)), d.size(-3, 3))


def flat(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(max_dims=3)), d.size(-2, 2))


def into_diagonal(d: Draw) -> Sample:
    x, *options = diagonals(d).args
    return Sample(x, d.floats(x.diagonal(*options).shape), *options)


def into_row(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    dim = d.dim(len(shape))
    part = np.delete(shape, dim)
    return Sample(d.floats(shape), d.floats(tuple(part)), dim, d.size(-shape[dim], shape[dim] - 1))


def into_slice(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    dim, ends = d.dim(len(shape)), (None, *range(-5, 6))
    key = d.one_of(*ends), d.one_of(*ends), d.size(1, 3)
    part = list(shape)
    part[dim] = len(range(shape[dim])[slice(*key)])
    return Sample(d.floats(shape), d.floats(tuple(part)), dim, *key)


def into_strided(d: Draw) -> Sample:
    """No place named twice: of two values for one either may stay."""
    x, size, stride, offset = restrided(d).args
    places = offset + sum(
        np.arange(n).reshape(-1, *[1] * i) * s for i, (n, s) in enumerate(zip(size[::-1], stride[::-1]))
    )
    if np.unique(places).size < places.size if size else False:
        size, stride, offset = (x.size,), (1,), 0
    return Sample(x, d.floats(size), size, stride, offset)


def into_places(d: Draw) -> Sample:
    x, accumulate = d.floats(d.shape(min_side=1)), d.flag()
    order = d.rng().permutation(x.size)[: d.size(0, x.size)]  # without accumulation each place once
    index = d.ints(d.shape(max_dims=2), -x.size, x.size - 1) if accumulate else order - x.size * d.flag()
    return Sample(x, index, d.floats(index.shape), accumulate)


def filled_diagonal(d: Draw) -> Sample:
    n = d.size(1, 4)
    shape = d.one_of((n, n, n), (d.size(1, 7), n))
    return Sample(d.floats(shape), d.one_of(2, -1.5), d.flag())


def matrices(d: Draw) -> Sample:
    return Sample(*d.float_arrays([d.shape(max_dims=2) for _ in range(d.size(1, 3))]))


def vectors(d: Draw) -> Sample:
    return Sample(*d.float_arrays([(d.size(),) for _ in range(d.size(1, 3))]))


def chosen(d: Draw) -> Sample:
    return Sample(d.floats((d.size(0, 5),)), d.size(0, 3), d.flag())


def fill_diagonal(T: Any, x: Any, *options: Any) -> Any:
    return (x * 1).fill_diagonal_(*options)


WRONG = dict.fromkeys(
    ("values", "float32", "layouts", "second_order"),
    "torch's gradient of the input is that of src put in its place, which a finite difference refutes",
)
COMPOSED = {"grad_fn": "torch composes it of several"}
CASES = [
    Case("diag", vector_or_matrix, skip={"grad_fn": "torch's is DiagonalBackward0_copy"}),
    Case("diag_embed", on_diagonal),
    Case("diagflat", flat),
    Case("diagonal_scatter", into_diagonal),
    Case("select_scatter", into_row),
    Case("slice_scatter", into_slice),
    Case("as_strided_scatter", into_strided, skip=WRONG),
    Case("put", into_places),
    Case("Tensor.fill_diagonal_", filled_diagonal, call=fill_diagonal, covers=("fill_diagonal_",)),
    Case("block_diag", matrices),
    Case("combinations", chosen),
    Case("cartesian_prod", vectors, skip={"method": "a function only"}),
]
