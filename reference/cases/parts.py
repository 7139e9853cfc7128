"""Parts of tensors, and joining them."""

from __future__ import annotations

from typing import Any

from reference.case import Case, Sample
from reference.strategies import Draw, Recipe, Shape


def narrowed(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    dim = d.dim(len(shape))
    start = d.size(0, shape[dim])
    length = d.size(0, shape[dim] - start)
    return Sample(d.floats(shape), dim, start - shape[dim] if d.flag() and start < shape[dim] else start, length)


def narrowed_from_front(d: Draw) -> Sample:
    """torch's gradient of narrow_copy is another where the start counts from the end."""
    x, dim, start, length = narrowed(d).args
    return Sample(x, dim, start + x.shape[dim] if start < 0 else start, length)


def selected(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    dim = d.dim(len(shape))
    return Sample(d.floats(shape), dim, d.size(-shape[dim], shape[dim] - 1))


def cut(low: int, high: int) -> Recipe:
    """f(x, n, dim)."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=1)
        return Sample(d.floats(shape), d.size(low, high), d.dim(len(shape)))

    return draw


def sizes(d: Draw, n: int) -> list[int]:
    """Sizes that make up `n`, zeros among them."""
    cuts = sorted(d.size(0, n) for _ in range(d.size(0, 3)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


def cut_to_sizes(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    dim = d.dim(len(shape))
    return Sample(d.floats(shape), sizes(d, shape[dim]), dim)


def cut_at(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    dim = d.dim(len(shape))
    return Sample(d.floats(shape), d.one_of(d.size(1, 5), tuple(d.size(-2, 5) for _ in range(d.size(0, 3)))), dim)


def cut_along(least: int, axis: int) -> Recipe:
    """hsplit and its kin: f(x, cuts), or a number of parts that the size divides by."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=least)
        n = shape[axis if len(shape) > axis else 0]
        parts = d.one_of(*[k for k in range(1, n + 1) if n % k == 0] or [1])
        return Sample(d.floats(shape), d.one_of(parts, [d.size(0, 4) for _ in range(d.size(0, 2))]))

    return draw


def with_dim(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    return Sample(d.floats(shape), d.dim(len(shape)))


def windowed(d: Draw) -> Sample:
    """Windows that overlap, mostly."""
    shape = list(d.shape(max_dims=3))
    dim = d.dim(len(shape))
    if shape:
        shape[dim] = d.size(2, 6)
    return Sample(d.floats(tuple(shape)), dim, d.one_of(2, 1, 0) if shape else 1, d.one_of(1, 2, 3))


def restrided(d: Draw) -> Sample:
    """Sizes and strides that stay in memory, some elements shown several times; the input contiguous."""
    x = d.floats(d.shape(min_side=1, max_dims=3))
    size, stride, room = [], [], x.size - 1
    for _ in range(d.size(0, 3)):
        step = d.size(0, 3)
        count = d.size(1, 3 if not step else min(3, room // step + 1))
        size, stride, room = [*size, count], [*stride, step], room - (count - 1) * step
    return Sample(x, tuple(size), tuple(stride), d.size(0, room))


def alike(d: Draw, shape: Shape, dim: int) -> Shape:
    return tuple(d.size(0, 4) if i == dim else n for i, n in enumerate(shape))


def to_join(d: Draw) -> Sample:
    """Tensors that differ in size along one dim; some of shape (0,), which do not count."""
    shape = d.shape(min_dims=1, max_dims=3)
    dim = d.dim(len(shape))
    shapes = [alike(d, shape, dim % len(shape)) for _ in range(d.size(1, 3))]
    shapes += [(0,)] * d.flag()
    return Sample(d.float_arrays(shapes), dim)


def to_stack(d: Draw) -> Sample:
    shape = d.shape(max_dims=3)
    return Sample(d.float_arrays([shape] * d.size(1, 3)), d.dim(len(shape) + 1))


def to_join_along(axis: int, least: int = 0) -> Recipe:
    """hstack and its kin: f([x, y, ...])."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=least, max_dims=4)
        count = d.size(1, 3)
        shapes = [shape] * count
        if len(shape) > axis:
            shapes = [alike(d, shape, axis) for _ in range(count)]
        return Sample(d.float_arrays(shapes))

    return draw


def several(max_dims: int = 4) -> Recipe:
    return lambda d: Sample(*d.float_arrays([d.shape(max_dims=max_dims) for _ in range(d.size(1, 3))]))


def grids(d: Draw) -> Sample:
    return Sample(*several(max_dims=1)(d).args, indexing=d.one_of("ij", "xy"))


def method(name: str) -> Any:
    return lambda T, x, *args: getattr(x, name)(*args)


def joined(name: str) -> Case:
    return Case(name, to_join)


WHOLE = "the view is of memory that torch's property lays out otherwise"
OWN_STRIDES = "torch changes the tensor's own strides"
COPIES = {"grad_fn": "torch has one node for the view and its copy"}
CASES = [
    Case("narrow", narrowed),
    Case("select", selected),
    Case("split", cut(1, 5)),
    Case("split", cut_to_sizes, "sizes"),
    Case("split_with_sizes", cut_to_sizes),
    Case("chunk", cut(1, 5)),
    Case("unbind", with_dim),
    Case("tensor_split", cut_at),
    Case("hsplit", cut_along(1, 1)),
    Case("vsplit", cut_along(2, 0)),
    Case("dsplit", cut_along(3, 2)),
    Case("Tensor.unfold", windowed, call=method("unfold"), covers=("unfold",)),
    Case("as_strided", restrided, skip={"layouts": WHOLE, "in_place": OWN_STRIDES}),
    *[joined(name) for name in ("cat", "concat", "concatenate")],
    Case("stack", to_stack),
    Case("hstack", to_join_along(1)),
    *[Case(name, to_join_along(0, least=2)) for name in ("vstack", "row_stack")],
    Case("dstack", to_join_along(2)),
    Case("column_stack", to_join_along(1, least=0)),
    *[Case(name, several()) for name in ("atleast_1d", "atleast_2d", "atleast_3d")],
    Case("meshgrid", grids),
    *[
        Case(name, draw, skip=COPIES)
        for name, draw in {
            "narrow_copy": narrowed_from_front,
            "select_copy": selected,
            "split_with_sizes_copy": cut_to_sizes,
            "unbind_copy": with_dim,
            "unfold_copy": windowed,
            "unsafe_chunk": cut(1, 5),
            "unsafe_split": cut(1, 5),
            "unsafe_split_with_sizes": cut_to_sizes,
        }.items()
    ],
    Case("as_strided_copy", restrided, skip=COPIES | {"layouts": WHOLE}),
]
