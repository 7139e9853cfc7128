"""Reading and writing at places named by keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample
from reference.strategies import Draw, Shape


def a_slice(d: Draw, n: int) -> slice:
    ends = (None, *range(-n - 1, n + 2))
    return slice(d.one_of(*ends), d.one_of(*ends), d.one_of(None, 1, 2, 3))


def basic_key(d: Draw, shape: Shape) -> tuple[Any, ...]:
    """Ints, slices, None and an Ellipsis, for some or all dims."""
    key: list[Any] = []
    for n in shape[: d.size(0, len(shape))]:
        key += [None] * (d.size(0, 5) == 5)
        key.append(d.size(-n, n - 1) if n and d.flag() else a_slice(d, n))
    if d.flag():
        key.insert(d.size(0, len(key)), None)
    if d.flag():
        at = d.size(0, len(key))
        named = sum(item is not None for item in key[at:])
        shown = [a_slice(d, n) for n in shape[len(shape) - named :]]  # what comes after it names the last dims
        key = [*key[:at], ..., *(None if item is None else shown.pop(0) for item in key[at:])]
    return tuple(key)


def array_key(d: Draw, shape: Shape) -> tuple[Any, ...]:
    """Index arrays that broadcast together, or one mask, for some dims; ints, slices, None and bools for others."""
    lists = d.flag()
    common = d.shape(max_dims=2, min_side=1, max_side=3) or (1,)
    key: list[Any] = []
    dims = list(shape)
    mask_at = d.size(0, len(shape)) if d.flag() else -1
    while dims:
        n, position = dims.pop(0), len(shape) - len(dims) - 1
        if position == mask_at:
            covered = (n, *dims[: d.size(0, 1)])
            dims = dims[len(covered) - 1 :]
            key.append(d.bools(covered))
            continue
        kind = d.one_of("array", "slice", "int", "None")
        if kind == "None":
            key.append(None)
            kind = "slice"
        if kind == "array" and n and mask_at < 0:
            ones = d.size(0, 2 ** len(common) - 1)
            part = tuple(1 if ones >> i & 1 else m for i, m in enumerate(common))[d.size(0, len(common) - 1) :]
            array = d.ints(part, -n, n - 1)
            key.append(array.tolist() if lists and array.ndim == 1 and len(shape) > 1 else array)
        elif kind == "int" and n:
            key.append(d.one_of(d.size(-n, n - 1), np.asarray(d.size(-n, n - 1))))
        else:
            key.append(a_slice(d, n))
    return tuple(key)


def apart_key(d: Draw, shape: Shape) -> tuple[Any, ...]:
    """Index arrays with whole dims before and between them: their dims come first in the result."""
    common = d.shape(min_dims=1, max_dims=2, min_side=2, max_side=3)
    i, j = d.ints(common, -shape[1], shape[1] - 1), d.ints(common[-1:], 0, shape[3] - 1)
    return slice(None), i, slice(None), j


def any_key(d: Draw, shape: Shape) -> tuple[Any, ...]:
    return array_key(d, shape) if d.flag() else basic_key(d, shape)


def read(draw_key: Any, min_dims: int = 0) -> Any:
    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=min_dims, min_side=1 if min_dims else 0)
        return Sample(d.floats(shape), *draw_key(d, shape))

    return draw


def written(d: Draw) -> Sample:
    """x[key] = value, the value a number or a tensor that broadcasts to x[key]; no place is named twice."""
    shape = d.shape()
    if d.flag():
        key = basic_key(d, shape)
    else:
        n = shape[0] if shape else 1
        rows = d.rng().permutation(n)[: d.size(0, n)]
        key = d.one_of((d.bools(shape[: d.size(1, 2)]),), (rows,), (..., rows))
        if not shape or isinstance(key[0], type(...)):
            key = (d.bools(shape),)
    selected = np.empty(shape)[key].shape
    ones = d.size(0, 2 ** len(selected) - 1)
    value_shape = tuple(1 if ones >> i & 1 else n for i, n in enumerate(selected))[d.size(0, len(selected)) :]
    if d.flag() and len(value_shape) == len(selected):
        value_shape = (1, *value_shape)
    return Sample(d.floats(shape), d.one_of(d.floats(value_shape), 2.5, -1), *key)


def constants_written(d: Draw) -> Sample:
    return written(d).map(lambda array: Fixed(array) if array.dtype.kind == "f" else array)


def put(T: Any, x: Any, value: Any, *key: Any) -> Any:
    """`x * 2` with a value written into it, and what a view of it shows afterwards."""
    y = x * 2
    y[key] = value
    return y


def put_through_view(T: Any, x: Any, value: Any, *key: Any) -> Any:
    """The same, written through a view."""
    y = T.stack([x * 2, x * 3])
    view = y[1]
    view[key] = value
    return y * y, view


def put_into_constant(T: Any, x: Any, value: Any, *key: Any) -> Any:
    """The same, written into memory that had no history."""
    y = T.zeros_like(x)
    y[key] = value
    return y * x


def at_places(d: Draw) -> Sample:
    """index_put(x, (i, j), values, accumulate)."""
    shape = d.shape(min_dims=1, min_side=1)
    dims = d.size(1, len(shape))
    common = d.shape(max_dims=2, min_side=1, max_side=3)
    accumulate = d.flag()
    indices = [d.ints(common, -n, n - 1) for n in shape[:dims]]
    if not accumulate:  # where a place is named twice, either engine may keep either value
        flat = d.rng().permutation(int(np.prod(shape[:dims])))[: d.size(0, 3)]
        indices = [np.asarray(i) for i in np.unravel_index(flat, shape[:dims])]
        common = flat.shape
    return Sample(
        d.floats(shape), tuple(indices), d.floats((*common, *shape[dims:])[d.size(0, len(common)) :]), accumulate
    )


def getitem(T: Any, x: Any, *key: Any) -> Any:
    return x[key]


COPIES = "torch calls what wrote last CopySlices or CopyBackwards"
INTEGERS = "torch lets integers want a gradient where it was floats that were put"
HISTORY = {"grad_fn": COPIES, "dtypes": INTEGERS}
CASES = [
    Case("Tensor.__getitem__", read(basic_key), "views", call=getitem, covers=("index",)),
    Case("Tensor.__getitem__", read(array_key), "arrays", call=getitem),
    Case("Tensor.__getitem__", read(apart_key, min_dims=4), "arrays apart", call=getitem, tolerance=SUMS),
    Case("Tensor.__setitem__", written, "history", call=put, covers=("setitem",), skip=HISTORY),
    Case("Tensor.__setitem__", written, "view", call=put_through_view, skip=HISTORY),
    Case("Tensor.__setitem__", written, "constant", call=put_into_constant, skip={"dtypes": INTEGERS}),
    Case("Tensor.__setitem__", constants_written, "constants", call=put),
    Case("index_put", at_places),
]
