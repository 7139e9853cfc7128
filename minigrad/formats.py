"""How a tensor lies in memory, by torch's names: `memory_format` and `layout`."""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "channels_last", "channels_last_3d", "contiguous_format", "layout", "memory_format", "preserve_format", "strided",
]  # fmt: skip


class _Named:
    """A constant that is printed, and pickled, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class memory_format(_Named):
    """In which order the dims of a tensor follow each other in memory."""


class layout(_Named):
    """How elements are found in memory; minigrad has `strided` only."""


contiguous_format, preserve_format = memory_format("contiguous_format"), memory_format("preserve_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")
strided = layout("strided")

RANKS = {channels_last: 4, channels_last_3d: 5}  # dim 1 is the last in memory


def memory_order(array: Any) -> tuple[int, ...]:
    """The dims of `array` from the outermost in memory to the innermost, as torch orders those of a copy.

    By decreasing stride, of equal ones the longer dim first. Dims of stride 0 (expanded ones) stay where they are.
    """
    order = list(range(array.ndim))
    if array.flags.c_contiguous:
        return tuple(order)
    for i in range(array.ndim - 2, -1, -1):  # an insertion sort, from the last dim on: only it can leave dims out
        here = i
        for there in range(i + 1, array.ndim):
            outer, inner = order[here], order[there]
            a, b = abs(array.strides[outer]), abs(array.strides[inner])
            if 0 in (a, b) or (a == b and array.shape[inner] <= array.shape[outer]):
                continue
            if a > b:
                break
            order[here], order[there], here = inner, outer, there
    return tuple(order)


def order_of(array: Any, format: Any) -> tuple[int, ...] | None:
    """The dims from the outermost in memory to the innermost, of a tensor like `array` in a memory format.

    None if that is their own order. RuntimeError if the format is one of another number of dims.
    """
    rank = RANKS.get(format)
    if rank is not None:
        if array.ndim != rank:
            raise RuntimeError(
                f"required rank {rank} tensor to use {format.name} format\nthis one has the shape {list(array.shape)}"
            )
        return (0, *range(2, rank), 1)
    return None if format is contiguous_format or array.flags.c_contiguous else memory_order(array)


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `order`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def arranged(array: Any, format: Any) -> Any:
    """A copy of `array` in a memory format; without one, or to preserve it, with its dims in their order in memory."""
    order = order_of(array, format)
    return array.copy() if order is None else array.transpose(order).copy().transpose(inverse(order))


def is_arranged(array: Any, format: Any) -> bool:
    """True if `array` lies in memory as `format` says."""
    if format not in RANKS:
        return array.flags.c_contiguous or not array.size
    return array.ndim == RANKS[format] and array.transpose(order_of(array, format)).flags.c_contiguous


def suggested_format(array: Any) -> Any:
    """The memory format that `array` counts as: `contiguous_format` unless it is in another one."""
    if not array.flags.c_contiguous:
        for format in RANKS:
            if is_arranged(array, format):
                return format
    return contiguous_format


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides in elements of a tensor in row-major order; an empty dim counts as one of length 1."""
    return tuple([math.prod([max(n, 1) for n in shape[dim + 1 :]]) for dim in range(len(shape))])


def check_format(function: str, format: Any) -> None:
    """TypeError unless `format` is a memory format or None."""
    if format is not None and type(format) is not memory_format:
        raise TypeError(
            f"{function}(): argument 'memory_format' must be torch.memory_format, not {type(format).__name__}"
        )
