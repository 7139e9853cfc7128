"""From a list of items to a batch: `default_collate`, and `default_convert` for loaders that do not batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.backend import float64, np
from minigrad.ops.create import as_tensor, tensor
from minigrad.ops.join import stack

__all__ = ["default_collate", "default_convert"]

NO_NUMBERS = "OSUa"  # kinds of NumPy arrays that hold objects or text


def default_collate(batch: Sequence[Any]) -> Any:
    """The items of a batch as one: tensors and arrays stacked along a new first dim, containers element by element.

    Python floats become float64, ints int64, bools bool; NumPy scalars keep their dtype; text stays a list. Dicts and
    lists keep their type, tuples become lists, named tuples stay. The first item says how all are treated. RuntimeError
    for tensors or sequences of unequal size, TypeError for anything else.
    """
    first = batch[0]
    if isinstance(first, Variable):
        return stack(batch, 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in NO_NUMBERS:
            raise _cannot(first.dtype)
        return default_collate([as_tensor(array) for array in batch])
    if isinstance(first, (np.bool_, np.number)):
        return as_tensor(batch)
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like_mapping(first, {key: default_collate([item[key] for item in batch]) for key in first})
    if isinstance(first, Sequence):
        if not _is_named(first) and any(len(item) != len(first) for item in batch):
            raise RuntimeError(
                "each element in list of batch should be of equal size\n"
                f"Got lengths {[len(item) for item in batch]}: give the DataLoader a collate_fn that pads them."
            )
        return _like_sequence(first, map(default_collate, zip(*batch)))
    raise _cannot(type(first))


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars as tensors, inside containers too; anything else unchanged."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind not in NO_NUMBERS:
        return as_tensor(data)
    if isinstance(data, (Variable, np.ndarray, str, bytes)):
        return data
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return _like_sequence(data, map(default_convert, data))
    return data


def _cannot(found: Any) -> TypeError:
    return TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}"
    )


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _like_mapping(original: Any, values: dict[Any, Any]) -> Any:
    """`values` in a mapping of the type of `original`, with whatever else that one carries; else in a dict."""
    try:
        if not isinstance(original, MutableMapping):
            return type(original)(values)
        result = copy.copy(original)
        result.update(values)
        return result
    except TypeError:  # it cannot be made in this way
        return values


def _like_sequence(original: Any, values: Any) -> Any:
    """The same for sequences; a tuple becomes a list, a named tuple stays one."""
    values = list(values)
    if _is_named(original):
        return type(original)(*values)
    if isinstance(original, tuple):
        return values
    try:
        if not isinstance(original, MutableSequence):
            return type(original)(values)
        result = copy.copy(original)
        for i, value in enumerate(values):
            result[i] = value
        return result
    except TypeError:
        return values
