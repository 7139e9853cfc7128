"""Reading and adding at places named by index arrays: `x[where]` and its adjoint.

`where` is a tuple that names the leading dims of an array: each by a slice(None) or by an array of ints, negative ones
counting from the end; or it is (mask,), one array of bools over the leading dims. NumPy's own indexing by arrays is
general and slow: `take` along one axis and additions to a flat array by one flat index are several times faster.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from minigrad.backend import np
from minigrad.kernels.gpu import embedding as gpu
from minigrad.kernels.gpu.launch import takes as gpu_takes
from minigrad.kernels.loops import compiled, takes

Where = tuple[Any, ...]

COMPILED = 1 << 12  # numbers from which a compiled loop pays


def is_mask(where: Where) -> bool:
    """True for (mask,)."""
    return len(where) == 1 and where[0].dtype.kind == "b"


def axis_of(where: Where) -> int | None:
    """The one axis that `where` names by an array, None if there are several."""
    axes = [axis for axis, part in enumerate(where) if type(part) is not slice]
    return axes[0] if len(axes) == 1 else None


def read(array: Any, where: Where, xp: ModuleType) -> Any:
    """array[where], C-contiguous."""
    if is_mask(where):
        return _rows(array, where[0]).take(xp.flatnonzero(where[0]), axis=0)
    if (axis := axis_of(where)) is not None:
        return array.take(where[axis], axis=axis)
    return xp.ascontiguousarray(array[where])


def add(array: Any, where: Where, values: Any, xp: ModuleType) -> None:
    """array[where] += values in place; a place named twice gets both. `array` is C-contiguous, `values` an array."""
    if xp is not np and _names_rows(where) and gpu_takes(array, values):
        shape = (*where[0].shape, *array.shape[1:])
        gpu.add_rows(xp.broadcast_to(values, shape), where[0], array.shape, into=array)
    elif xp is not np:
        xp.add.at(array, where, xp.broadcast_to(values, array[where].shape))
    elif is_mask(where):
        array[where] += values
    else:
        places = flat_places(where, array.shape)
        np.add.at(array.reshape(-1), places.reshape(-1), np.broadcast_to(values, places.shape).reshape(-1))


def combine(array: Any, where: Where, values: Any, ufunc: Any, xp: ModuleType) -> None:
    """array[where] = ufunc(array[where], values) in place; a place named several times gets them all.

    `array` is C-contiguous, `values` an array, `ufunc` is associative and commutative.
    """
    flat = array.reshape(-1)
    at = xp.arange(flat.size).reshape(array.shape)[where].reshape(-1)
    if xp is np:
        ufunc.at(flat, at, values.reshape(-1))
    elif at.size:
        _combine_sorted(flat, at, values.reshape(-1), ufunc, xp)


def _combine_sorted(flat: Any, at: Any, values: Any, ufunc: Any, xp: ModuleType) -> None:
    """`combine` where the ufunc has no `at`: sorted by place, each element takes in the run of equal places before it.

    Runs double in each round, so log2(n) rounds do (Hillis and Steele 1986). The last of a run then holds all of it.
    """
    order = xp.argsort(at)
    at, values, step = at[order], values[order], 1
    while step < at.size:
        more = xp.where(at[step:] == at[:-step], ufunc(values[step:], values[:-step]), values[step:])
        values, step = xp.concatenate([values[:step], more]), 2 * step
    last = xp.concatenate([at[1:] != at[:-1], xp.ones(1, bool)])
    target = xp.where(last, at, flat.size)  # the others go to a place of their own, behind
    longer = xp.concatenate([flat, flat[:1]])
    longer[target] = ufunc(longer[target], values)
    flat[...] = longer[:-1]


def added(values: Any, where: Where, shape: tuple[int, ...], xp: ModuleType) -> Any:
    """Zeros of `shape` with `values` added at `where`: the adjoint of `read`."""
    if xp is not np and _names_rows(where) and gpu_takes(values):
        return gpu.add_rows(values, where[0], shape)
    out = xp.zeros(shape, values.dtype)
    if is_mask(where):
        _rows(out, where[0])[xp.flatnonzero(where[0])] = values
    elif xp is not np:
        xp.add.at(out, where, values)
    elif len(where) == 1 and where[0].ndim == 1 and values.ndim > 1 and len(values) == len(where[0]):
        if takes(COMPILED, values):
            width, loop = math.prod(shape[1:]), compiled(add_rows)
            loop(out.reshape(len(out), width), where[0], np.ascontiguousarray(values).reshape(len(values), width))
            return out
        first, again = _occurrences(where[0], shape[0])
        out[where[0][first]] = values[first]
        add(out, (where[0][again],), values[again], xp)
    else:
        add(out, where, values, xp)
    return out


def add_rows(out, index, values):
    """out[index[i]] += values[i], one i after the other."""
    for i in range(len(index)):
        row, value = out[index[i]], values[i]
        for j in range(len(row)):
            row[j] += value[j]


def _occurrences(index: Any, size: int) -> tuple[Any, Any]:
    """Where in `index` each of its values comes for the first time, and all other places. Copying rows is several
    times faster than adding them, and most rows of a large table are named once.
    """
    counted, first = np.arange(len(index)), np.empty(size, np.int64)
    first[index[::-1]] = counted[::-1]  # of several the last one written stays
    is_first = first[index] == counted
    return np.flatnonzero(is_first), np.flatnonzero(~is_first)


def _names_rows(where: Where) -> bool:
    """True for (index,), one array of ints for the first axis."""
    return len(where) == 1 and type(where[0]) is not slice and where[0].dtype.kind != "b"


def _rows(array: Any, mask: Any) -> Any:
    """`array` with the dims that `mask` covers made one."""
    return array.reshape((mask.size, *array.shape[mask.ndim :]))


def flat_places(where: Where, shape: tuple[int, ...]) -> Any:
    """Where in the flattened array of `shape` the elements of array[where] come from, on the CPU.

    As array[where], the result has the index arrays' dims in their place if they stand side by side, else in front.
    """
    where = where + (slice(None),) * (len(shape) - len(where))
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    arrays = [axis for axis, part in enumerate(where) if type(part) is not slice]
    kept = [axis for axis, part in enumerate(where) if type(part) is slice]
    together = arrays[-1] - arrays[0] == len(arrays) - 1
    before = [axis for axis in kept if together and axis < arrays[0]]
    after = [axis for axis in kept if axis not in before]

    places = sum(np.where(where[axis] < 0, where[axis] + shape[axis], where[axis]) * strides[axis] for axis in arrays)
    ndim = len(before) + places.ndim + len(after)
    at = dict(zip(before, range(ndim))) | dict(zip(after, range(ndim - len(after), ndim)))
    places = places.reshape(places.shape + (1,) * len(after))
    for axis, position in at.items():
        steps = np.arange(shape[axis]) * strides[axis]
        places = places + steps.reshape([-1 if i == position else 1 for i in range(position, ndim)])
    return places


def out_of_bounds(where: Where, shape: tuple[int, ...]) -> IndexError | None:
    """torch's error for the first index that is out of range, None if there is none."""
    for axis, part in enumerate(where):
        if type(part) is not slice and part.dtype.kind != "b":
            wrong = part[(part >= shape[axis]) | (part < -shape[axis])]
            if wrong.size:
                return IndexError(f"index {wrong[0]} is out of bounds for dimension {axis} with size {shape[axis]}")
    return None


def along(index: Any, dim: int, xp: ModuleType) -> Where:
    """Where element [i, j] of `index` points along `dim`: (index, j) for dim 0, (i, index) for dim 1."""
    where = []
    for axis, n in enumerate(index.shape):
        steps = xp.arange(n).reshape([-1 if i == axis else 1 for i in range(index.ndim)])
        where.append(index if axis == dim else steps)
    return tuple(where)


def first_outside(index: Any, low: int, high: int) -> int | None:
    """The first of the indices outside low <= i < high, None if there is none. Nobody looks on a GPU: it would wait."""
    if type(index) is not np.ndarray or not index.size:
        return None
    if low == 0:  # seen as unsigned, negative ones are too large as well
        if index.view(f"u{index.itemsize}").max() < high:
            return None
    elif index.min() >= low and index.max() < high:
        return None
    return int(index[(index < low) | (index >= high)].flat[0])
