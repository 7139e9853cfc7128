"""Elements in other places: turned round, shifted, repeated, or only those of a triangle."""

from __future__ import annotations

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe


def flipped(d: Draw) -> Sample:
    shape = d.shape()
    return Sample(d.floats(shape), d.dims(len(shape), min_size=0))


def rolled(d: Draw) -> Sample:
    shape = d.shape()
    if d.flag() or not shape:
        return Sample(d.floats(shape), d.size(-5, 5))
    if d.flag():
        return Sample(d.floats(shape), d.size(-5, 5), d.dim(len(shape)))
    dims = d.dims(len(shape))
    return Sample(d.floats(shape), tuple(d.size(-5, 5) for _ in dims), dims)


def turned(d: Draw) -> Sample:
    shape = d.shape(min_dims=2)
    first, second = d.permutation(len(shape))[:2]
    return Sample(d.floats(shape), d.size(-5, 5), (first, second - len(shape)))


def at_least(min_dims: int) -> Recipe:
    return lambda d: Sample(d.floats(d.shape(min_dims=min_dims)))


def repeated(d: Draw) -> Sample:
    shape = d.shape(max_dims=3, max_side=3)
    return Sample(d.floats(shape), tuple(d.size(0, 3) for _ in range(len(shape) + d.size(0, 1))))


def tiled(d: Draw) -> Sample:
    shape = d.shape(max_dims=3, max_side=3)
    return Sample(d.floats(shape), tuple(d.size(0, 3) for _ in range(d.size(0, 3))))


def triangle(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(min_dims=2)), d.size(-3, 3))


CASES = [
    Case("flip", flipped),
    Case("fliplr", at_least(2)),
    Case("flipud", at_least(1)),
    Case("roll", rolled),
    Case("rot90", turned),
    Case("Tensor.repeat", repeated, call=lambda T, x, times: x.repeat(times), covers=("repeat",), tolerance=SUMS),
    Case("tile", tiled, tolerance=SUMS),
    Case("tril", triangle),
    Case("triu", triangle),
]
