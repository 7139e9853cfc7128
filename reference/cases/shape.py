"""Other shapes and orders of the same elements, and `expand`, which repeats without copying."""

from __future__ import annotations

import math
from typing import Any

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe, Shape, unary


def same_size(d: Draw, size: int) -> Shape:
    """A shape that holds `size` elements; one of its entries may be -1."""
    shape = [1] * d.size(0 if size == 1 else 1, 4)
    for factor in (2, 2, 2, 3, 3):
        if size and size % factor == 0 and shape:
            shape[d.size(0, len(shape) - 1)] *= factor
            size //= factor
    if shape:
        shape[d.size(0, len(shape) - 1)] *= size
    if size and shape and d.flag():
        shape[d.size(0, len(shape) - 1)] = -1
    return tuple(shape)


def to_shape(d: Draw) -> Sample:
    x = d.floats(d.shape())
    return Sample(x, same_size(d, x.size))


def flattened(d: Draw) -> Sample:
    shape = d.shape()
    start, end = sorted([d.size(0, max(len(shape) - 1, 0)), d.size(0, max(len(shape) - 1, 0))])
    return Sample(d.floats(shape), start, end - max(len(shape), 1) if d.flag() else end)


def unflattened(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    dim = d.dim(len(shape))
    return Sample(d.floats(shape), dim, same_size(d, shape[dim]) or (1,))


def squeezed(d: Draw) -> Sample:
    shape = tuple(d.one_of(1, n) for n in d.shape())
    how = d.one_of("all", "one", "several")
    if how == "all":
        return Sample(d.floats(shape))
    return Sample(d.floats(shape), d.dim(len(shape)) if how == "one" else d.dims(len(shape), min_size=0))


def unsqueezed(d: Draw) -> Sample:
    shape = d.shape()
    return Sample(d.floats(shape), d.dim(len(shape) + 1))


def with_two_dims(d: Draw) -> Sample:
    shape = d.shape()
    return Sample(d.floats(shape), d.dim(len(shape)), d.dim(len(shape)))


def permuted(d: Draw) -> Sample:
    shape = d.shape()
    n = len(shape)
    return Sample(d.floats(shape), tuple(i - n if d.flag() else i for i in d.permutation(n)))


def moved(d: Draw) -> Sample:
    shape = d.shape()
    if d.flag():
        return Sample(d.floats(shape), d.dim(len(shape)), d.dim(len(shape)))
    source = d.dims(len(shape), min_size=0)
    destination = d.permutation(max(len(shape), 1))[: len(source)]
    return Sample(d.floats(shape), source, tuple(destination))


def matrices(min_dims: int, max_dims: int = 4) -> Recipe:
    return lambda d: Sample(d.floats(d.shape(min_dims=min_dims, max_dims=max_dims)))


def diagonals(d: Draw) -> Sample:
    shape = d.shape(min_dims=2)
    first, second = d.permutation(len(shape))[:2]
    return Sample(d.floats(shape), d.size(-3, 3), first, second - len(shape))


def repeated(minus_one: bool = True) -> Recipe:
    def draw(d: Draw) -> Sample:
        small = d.shape(max_dims=3)
        full = d.shape(max_dims=2) + tuple(d.size(0, 3) if n == 1 else n for n in small)
        missing = len(full) - len(small)
        wanted = tuple(-1 if minus_one and i >= missing and d.flag() else n for i, n in enumerate(full))
        if -1 in wanted:
            full = tuple(small[i - missing] if n == -1 else n for i, n in enumerate(wanted))
        return Sample(d.floats(small), wanted)

    return draw


def summed(d: Draw) -> Sample:
    small = d.shape(max_dims=3)
    full = d.shape(max_dims=2, min_side=1) + tuple(d.size(1, 3) if n == 1 else n for n in small)
    return Sample(d.floats(full), small)


def with_other_of(shapes: Recipe) -> Recipe:
    """f(x, other), whose shape is what counts."""

    def draw(d: Draw) -> Sample:
        x, shape = shapes(d).args
        return Sample(x, d.ints(tuple(shape), 0, 9))

    return draw


def same_size_positive(d: Draw) -> Sample:
    x, shape = to_shape(d).args
    return Sample(x, tuple(x.size // -math.prod(shape) if n == -1 else n for n in shape))


def as_method(name: str) -> Any:
    return lambda T, x, *args: getattr(x, name)(*args)


def as_attribute(name: str) -> Any:
    return lambda T, x: getattr(x, name)


COPIES = {"grad_fn": "torch has one node for the view and its copy"}
SUMMED = "torch composes it of sum and view"
SOME = {"layouts": "torch refuses some strides; see tests/test_views.py"}
CASES = [
    Case("reshape", to_shape),
    Case(
        "reshape",
        lambda d: Sample(d.floats((4, 3, 2)), *d.one_of((24,), (6, -1), (2, 3, 4))),
        "numbers",
        call=as_method("reshape"),
    ),
    Case("Tensor.view", to_shape, call=as_method("view"), covers=("view",), skip=SOME),
    Case(
        "Tensor.view_as", with_other_of(same_size_positive), call=as_method("view_as"), covers=("view_as",), skip=SOME
    ),
    Case("Tensor.reshape_as", with_other_of(same_size_positive), call=as_method("reshape_as"), covers=("reshape_as",)),
    Case("flatten", flattened),
    Case("unflatten", unflattened),
    Case("ravel", unary()),
    Case("squeeze", squeezed),
    Case("unsqueeze", unsqueezed),
    Case("transpose", with_two_dims),
    Case("swapaxes", with_two_dims),
    Case("swapdims", with_two_dims),
    Case("t", matrices(0, 2)),
    Case("adjoint", matrices(2)),
    Case("Tensor.T", matrices(0), call=as_attribute("T")),
    Case("Tensor.mT", matrices(2), call=as_attribute("mT")),
    Case("permute", permuted),
    Case("movedim", moved),
    Case("moveaxis", moved),
    Case("diagonal", diagonals),
    Case("Tensor.expand", repeated(), call=as_method("expand"), covers=("expand",)),
    Case("Tensor.expand_as", with_other_of(repeated(False)), call=as_method("expand_as"), covers=("expand_as",)),
    Case("broadcast_to", repeated()),
    Case("Tensor.H", matrices(2, 2), call=as_attribute("H")),
    *[
        Case(name, draw, skip=COPIES)
        for name, draw in {
            "alias_copy": unary(),
            "diagonal_copy": diagonals,
            "expand_copy": repeated(),
            "permute_copy": permuted,
            "squeeze_copy": squeezed,
            "t_copy": matrices(0, 2),
            "transpose_copy": with_two_dims,
            "unsqueeze_copy": unsqueezed,
            "view_copy": to_shape,
        }.items()
    ],
    *[Case(name, unary()) for name in ("conj", "conj_physical", "resolve_conj", "resolve_neg")],
    Case("real", unary(), covers=("imag",)),
    Case("broadcast_tensors", lambda d: Sample(*d.float_arrays(d.broadcastable(d.size(1, 3))))),
    Case(
        "Tensor.sum_to_size",
        summed,
        call=as_method("sum_to_size"),
        covers=("sum_to_size",),
        tolerance=SUMS,
        skip={"grad_fn": SUMMED},
    ),
]
