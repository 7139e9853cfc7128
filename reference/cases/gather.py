"""Reading and writing by index tensors along a dim, and by masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample
from reference.strategies import Draw, Recipe, Shape


def index_for(d: Draw, shape: Shape, dim: int) -> np.ndarray:
    """An index no larger than `shape` except along `dim`, places named twice among it."""
    size = tuple(d.size(0, n + 1 if i == dim % len(shape) else n) for i, n in enumerate(shape))
    return d.ints(size, 0, shape[dim] - 1)


def once(d: Draw, shape: Shape, dim: int) -> np.ndarray:
    """An index that names no place twice."""
    order = np.argsort(d.rng().random(shape), axis=dim)
    return order[tuple(slice(d.size(0, n)) for n in shape)]


def read_elements(d: Draw) -> Sample:
    shape = d.shape(min_side=1) or (1,)
    dim = d.dim(len(shape))
    x = d.floats(shape)
    if d.size(0, 7) == 7:
        return Sample(np.asarray(x.flat[0]), 0, d.one_of(np.asarray(0), np.zeros(3, np.int64)))
    return Sample(x, dim, index_for(d, shape, dim))


def written_elements(twice: bool, larger: bool = False) -> Recipe:
    """f(x, dim, index, src); with `larger`, src is larger than the index, which torch cannot differentiate."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=1, min_side=1)
        dim = d.dim(len(shape))
        index = index_for(d, shape, dim) if twice else once(d, shape, dim)
        src = d.floats(tuple(n + d.size(0, 1) if larger or d.flag() else n for n in index.shape))
        return Sample(d.floats(shape), dim, index, src if larger or src.shape == index.shape else Fixed(src))

    return draw


def written_number(d: Draw) -> Sample:
    x, dim, index, _ = written_elements(twice=True)(d).args
    return Sample(x, dim, index, d.one_of(2.5, -1, 0))


def reduced(d: Draw) -> Sample:
    """scatter(x, dim, index, src, reduce=...), which torch does not differentiate."""
    x, dim, index, src = written_elements(twice=True)(d).args
    src = src if isinstance(src, Fixed) else Fixed(src)
    return Sample(Fixed(x), dim, index, d.one_of(src, 2), reduce=d.one_of("add", "multiply"))


def combined_elements(*ways: str, ties: bool = False) -> Recipe:
    """scatter_reduce(x, dim, index, src, way, include_self=...)."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_side=1)
        dim = d.dim(len(shape))
        index = index_for(d, shape, dim) if shape else np.zeros((), np.int64)
        x, src = d.float_arrays([shape, index.shape], ties=ties, kinks=() if ties else (0,))
        return Sample(x, dim, index, src, d.one_of(*ways), include_self=d.flag())

    return draw


def combined_slices(*ways: str, ties: bool = False) -> Recipe:
    """index_reduce(x, dim, index, source, way, include_self=...)."""

    def draw(d: Draw) -> Sample:
        x, dim, index, source = written_slices(twice=True)(d).args
        x, source = d.float_arrays([x.shape, source.shape], ties=ties, kinks=() if ties else (0,))
        return Sample(x, dim, index, source, d.one_of(*ways), include_self=d.flag())

    return draw


def taken(d: Draw) -> Sample:
    x = d.floats(d.shape(min_side=1))
    return Sample(x, d.ints(d.shape(max_dims=2), -x.size, x.size - 1))


def taken_along(d: Draw) -> Sample:
    if d.flag():
        x = d.floats(d.shape(min_side=1))
        return Sample(x, d.ints(d.shape(max_dims=2), 0, x.size - 1))
    shape = d.shape(min_dims=1, min_side=1)
    dim = d.dim(len(shape))
    sides = tuple(d.size(0, 4) if i == dim % len(shape) else d.one_of(1, n) for i, n in enumerate(shape))
    return Sample(d.floats(tuple(d.one_of(n, 1) for n in shape)), d.ints(sides, -9, 9), dim)


def read_slices(d: Draw) -> Sample:
    shape = d.shape(min_side=1)
    dim = d.dim(len(shape))
    n = shape[dim] if shape else 1
    return Sample(d.floats(shape), dim, d.ints(d.one_of((d.size(0, 5),), ()) if shape else (1,), 0, n - 1))


def written_slices(twice: bool) -> Recipe:
    """f(x, dim, index, source)."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=1, min_side=1)
        dim = d.dim(len(shape))
        n = shape[dim]
        index = d.ints((d.size(0, 5),), 0, n - 1) if twice else d.rng().permutation(n)[: d.size(0, n)]
        source = tuple(index.size if i == dim % len(shape) else m for i, m in enumerate(shape))
        return Sample(d.floats(shape), dim, index, d.floats(source))

    return draw


def added_slices(d: Draw) -> Sample:
    return Sample(*written_slices(twice=True)(d).args, alpha=d.one_of(1, -2.5))


def filled_slices(d: Draw) -> Sample:
    x, dim, index, _ = written_slices(twice=True)(d).args
    if d.flag():
        return Sample(x, dim, index, d.floats(()))
    return Sample(x, dim, index - d.one_of(0, x.shape[dim]), d.one_of(2.5, -1))


def repeated(d: Draw) -> Sample:
    shape = d.shape(max_dims=3)
    x, dim = d.floats(shape), d.one_of(None, d.dim(len(shape))) if shape else None
    n = x.size if dim is None else shape[dim]
    return Sample(x, d.one_of(d.size(0, 3), d.ints((n,), 0, 3), d.ints((1,), 0, 3)), dim)


def masked(d: Draw) -> Sample:
    x, mask = d.broadcastable(2)
    return Sample(d.floats(x), d.bools(mask))


def masked_write(d: Draw) -> Sample:
    x, mask = d.broadcastable(2)
    count = int(np.prod(np.broadcast_shapes(x, mask)))
    return Sample(d.floats(x), d.bools(mask), d.floats((count + d.size(0, 2),)))


def sparse(d: Draw) -> Sample:
    x = d.floats(d.shape(), kinks=(0, float("nan")))
    return Sample(d.one_of(x, x > 0))


def nonzero(T: Any, x: Any) -> Any:
    return T.nonzero(x), T.nonzero(x, as_tuple=True), T.where(x)


NOT_IN_TORCH = dict.fromkeys(
    ("values", "float32", "half", "layouts", "method", "in_place", "second_order"),
    "torch's gradient of src has the shape of the index, and is refused",
)
COMPOSED = {"grad_fn": "torch has one node for all of it"}
CASES = [
    Case("gather", read_elements),
    Case("scatter", written_elements(twice=False)),
    *[
        Case(
            name, written_elements(name == "scatter_add", larger=True), "larger src", tolerance=SUMS, skip=NOT_IN_TORCH
        )
        for name in ("scatter", "scatter_add")
    ],
    Case("scatter", written_number, "number"),
    Case("scatter", reduced, "reduce", tolerance=SUMS),
    *[
        Case(name, draw(*ways, ties=ties), variant, tolerance=SUMS, skip=COMPOSED)
        for name, draw in (("scatter_reduce", combined_elements), ("index_reduce", combined_slices))
        for variant, ways, ties in (("means", ("mean",), False), ("extremes", ("amax", "amin"), True))
    ],
    *[
        Case(name, draw("prod"), "products", tolerance=SUMS, skip=COMPOSED)
        for name, draw in (("scatter_reduce", combined_elements), ("index_reduce", combined_slices))
    ],
    Case("scatter_reduce", combined_elements("sum"), "sum", tolerance=SUMS, skip=COMPOSED),
    Case("scatter_add", written_elements(twice=True), tolerance=SUMS),
    Case("take", taken),
    Case("take_along_dim", taken_along),
    Case("index_select", read_slices),
    Case("index_add", added_slices, tolerance=SUMS),
    Case("index_copy", written_slices(twice=False)),
    Case("index_fill", filled_slices),
    Case("repeat_interleave", repeated, tolerance=SUMS),
    Case(
        "repeat_interleave",
        lambda d: Sample(d.ints((d.size(0, 4),), 0, 3)),
        "index",
        skip={"method": "a function only"},
    ),
    Case("masked_select", masked),
    Case("masked_scatter", masked_write),
    Case("nonzero", sparse, call=nonzero, covers=("where",)),
    Case("argwhere", sparse),
]
