"""From a list of items to a batch: `default_collate`, and `default_convert` for loaders that do not batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from minigrad.backend import float64, np
from minigrad.ops.create import as_tensor, tensor
from minigrad.ops.join import stack
from minigrad.tensor import Tensor

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

Rules = dict[Any, Callable[..., Any]]

NO_NUMBERS = "OSUa"  # kinds of NumPy arrays that hold objects or text


def default_collate(batch: Sequence[Any]) -> Any:
    """The items of a batch as one: tensors and arrays stacked along a new first dim, containers element by element.

    Python floats become float64, ints int64, bools bool; NumPy scalars keep their dtype; text stays a list. Dicts and
    lists keep their type, tuples become lists, named tuples stay. The first item says how all are treated. RuntimeError
    for tensors or sequences of unequal size, TypeError for anything else. Types added to `default_collate_fn_map` are
    treated as it says.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """A batch by rules of one's own: `collate_fn_map` has a function(batch, *, collate_fn_map) for types of items.

    The rule for the type of the first item counts, else the first one for a type, or tuple of types, that it is an
    instance of. Containers without a rule are collated element by element; TypeError for anything else.
    """
    first = batch[0]
    rules = collate_fn_map or {}
    kind = type(first) if type(first) in rules else next((kind for kind in rules if isinstance(first, kind)), None)
    if kind is not None:
        return rules[kind](batch, collate_fn_map=collate_fn_map)

    def inner(items: Sequence[Any]) -> Any:
        return collate(items, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        return like_mapping(first, {key: inner([item[key] for item in batch]) for key in first})
    if isinstance(first, Sequence):
        if not _is_named(first) and any(len(item) != len(first) for item in batch):
            raise RuntimeError(
                "each element in list of batch should be of equal size\n"
                f"Got lengths {[len(item) for item in batch]}: give the DataLoader a collate_fn that pads them."
            )
        return like_sequence(first, map(inner, zip(*batch)))
    raise _cannot(type(first))


def collate_tensor_fn(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """Tensors, stacked."""
    return stack(batch, 0)


def collate_numpy_array_fn(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """NumPy arrays as tensors, stacked; TypeError for text and objects."""
    if batch[0].dtype.kind in NO_NUMBERS:
        raise _cannot(batch[0].dtype)
    return collate([as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """NumPy's scalars, in their dtype."""
    return as_tensor(batch)


def collate_float_fn(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """Python's floats, in float64."""
    return tensor(batch, dtype=float64)


def collate_int_fn(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """Python's ints and bools."""
    return tensor(batch)


def collate_str_fn(batch: Sequence[Any], *, collate_fn_map: Rules | None = None) -> Any:
    """Text, as it is."""
    return batch


default_collate_fn_map: Rules = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars as tensors, inside containers too; anything else unchanged."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind not in NO_NUMBERS:
        return as_tensor(data)
    if isinstance(data, (Tensor, np.ndarray, str, bytes)):
        return data
    if isinstance(data, Mapping):
        return like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return like_sequence(data, map(default_convert, data))
    return data


def _cannot(found: Any) -> TypeError:
    return TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}"
    )


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def like_mapping(original: Any, values: dict[Any, Any]) -> Any:
    """`values` in a mapping of the type of `original`, with whatever else that one carries; else in a dict."""
    try:
        if not isinstance(original, MutableMapping):
            return type(original)(values)
        result = copy.copy(original)
        result.update(values)
        return result
    except TypeError:  # it cannot be made in this way
        return values


def like_sequence(original: Any, values: Any) -> Any:
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
