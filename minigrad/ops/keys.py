"""What the key in `x[key]` means: first a view, then places named by index arrays."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable
from minigrad.backend import np
from minigrad.kernels.places import Where, is_mask
from minigrad.ops.create import array_from

__all__: list[str] = []

Key = tuple[Any, ...]
ALL = slice(None)


class Plan(NamedTuple):
    """A key taken apart: read array[basic][where].

    basic  ints, slices and None, with an Ellipsis that makes the result a view even of one element
    last   the kind of the last item that changes anything: int, slice, None, or Ellipsis if none does
    where  index arrays, for `kernels.places`; None if there are none
    masks  whether all of them were one mask
    """

    basic: Key
    last: Any
    where: Where | None
    masks: bool


def plan(key: Any, array: Any, keep: bool) -> Plan:
    """Take a key for `array` apart. With `keep`, index arrays are copied, since they are remembered and may be changed.

    IndexError for ints out of range, for too many items, for masks of another shape and for what is no index.
    """
    shape = array.shape
    items = _with_whole_dims([_item(item, array, keep) for item in _items(key)], shape)
    basic: list[Any] = []
    where: list[Any] = []
    last: Any = ...
    dim = 0
    misfit: tuple[Any, int] | None = None  # a mask of another shape, and the dim of the view that it is for
    for item in items:
        if type(item) is int:
            if not -shape[dim] <= item < shape[dim]:
                raise IndexError(f"index {item} is out of bounds for dimension {dim} with size {shape[dim]}")
            basic.append(item)
            last, dim = int, dim + 1
        elif type(item) is slice:
            basic.append(item)
            where.append(ALL)
            if item.start or item.step not in (None, 1) or (item.stop is not None and item.stop < shape[dim]):
                last = slice
            dim += 1
        elif item is None or not item.ndim:  # True and False are masks over a new dim of size 1
            basic.append(None)
            where.append(ALL if item is None else item.reshape(1))
            last = None
        else:
            covered = item.ndim if item.dtype.kind == "b" else 1
            if item.dtype.kind == "b" and item.shape != shape[dim : dim + covered] and misfit is None:
                misfit = (
                    item,
                    sum([1 if type(part) is slice or part.dtype.kind != "b" else part.ndim for part in where]),
                )
            basic += [ALL] * covered
            where.append(item)
            dim += covered
    if misfit is not None:
        raise _other_shape(*misfit, array[(*basic, ...)].shape)
    while where and type(where[-1]) is slice:
        where.pop()
    arrays = [part for part in where if type(part) is not slice]
    masks = len(arrays) == 1 and arrays[0].dtype.kind == "b"
    return Plan((*basic, ...), last, _settled(tuple(where)) if where else None, masks)


def _items(key: Any) -> Any:
    """The items of a key; a list that holds more than numbers is taken for a tuple, as NumPy once did."""
    if type(key) is tuple:
        return key
    if type(key) is list and any(i is None or i is ... or isinstance(i, (slice, list, tuple, Variable)) for i in key):
        warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch "
            "2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, "
            "x[torch.tensor(seq)], which will result either in an error or a different result"
        )
        return tuple(key)
    return (key,)


def _item(item: Any, array: Any, keep: bool) -> Any:
    """An item as an int, a slice of ints, None, Ellipsis, an array of int64 or an array of bools."""
    if type(item) is int or item is None or item is ...:
        return item
    if type(item) is slice:
        return checked_slice(item)
    if isinstance(item, Variable):
        return _index_array(item.array, array, keep)
    if backend.is_array(item) or isinstance(item, (bool, np.bool_)):
        return _index_array(np.asarray(item) if isinstance(item, (bool, np.bool_)) else item, array, keep)
    if isinstance(item, (list, tuple, range, str)):
        values = array_from(list(item) if isinstance(item, range) else item)
        return _index_array(values if values.dtype.kind == "b" else values.astype(np.int64), array, keep=False)
    if hasattr(item, "__index__"):
        return operator.index(item)
    raise IndexError(
        f"only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
        f"{type(item).__name__})"
    )


def checked_slice(item: slice) -> slice:
    """A slice of ints; ValueError unless its step is positive."""
    if item.step is not None and item.step <= 0:
        raise ValueError("step must be greater than zero" if item.step else "slice step cannot be zero")
    if item.start.__class__ in (int, type(None)) and item.stop.__class__ in (int, type(None)):
        return item
    try:
        bounds = [None if bound is None else operator.index(bound) for bound in (item.start, item.stop)]
    except TypeError as error:
        if isinstance(item.start, Variable) or isinstance(item.stop, Variable):
            raise
        raise TypeError("slice indices must be integers or None or have an __index__ method") from error
    return slice(bounds[0], bounds[1], item.step)


def _index_array(index: Any, array: Any, keep: bool) -> Any:
    """An index array on the device of `array`; of a 0-dim integer its value."""
    kind = index.dtype.kind
    if not index.ndim and kind in "iu" and index.dtype != np.uint8:
        return int(index)
    if index.dtype == np.uint8:
        warn("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.")
        index = backend.as_array(index != 0)
        kind, keep = "b", False
    if kind != "b" and index.dtype not in (np.int64, np.int32):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if type(index) is not type(array):
        where = backend.device_of(array)
        if type(index) is not backend.ndarray:
            raise RuntimeError(
                f"indices should be either on cpu or on the same device as the indexed tensor ({where})\nmove the "
                f"index with .cpu()"
            )
        index = backend.move(index, where)
    return index.astype(bool if kind == "b" else np.int64, copy=keep)


def _with_whole_dims(items: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The items with the first Ellipsis written out and others left out; IndexError if there are too many."""
    named = 0
    for item in items:
        if item is not None and item is not ...:
            named += 1 if type(item) in (int, slice) or item.dtype.kind != "b" else item.ndim
    if named > len(shape):
        if not shape and len(items) == 1 and type(items[0]) is slice:
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        if not shape and len(items) == 1 and type(items[0]) is int:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                "convert a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}\nthe index names {named} dimensions")
    whole: list[Any] = []
    missing = len(shape) - named
    for item in items:
        if item is ...:
            whole += [ALL] * missing
            missing = 0
        else:
            whole.append(item)
    return whole


def _other_shape(mask: Any, start: int, shape: tuple[int, ...]) -> IndexError:
    """torch's error for a mask that does not have the shape of dims `start` and following of `shape`."""
    i = next(i for i in range(mask.ndim) if mask.shape[i] != shape[start + i])
    return IndexError(
        f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape of the indexed tensor "
        f"{list(shape)} at index {start + i}"
    )


def _settled(where: Where) -> Where:
    """(mask,) as it is; otherwise every mask replaced by the indices of what it holds true."""
    if is_mask(where):
        return where
    parts: list[Any] = []
    for part in where:
        if type(part) is not slice and part.dtype.kind == "b":
            parts += part.nonzero()
        else:
            parts.append(part)
    return tuple(parts)
