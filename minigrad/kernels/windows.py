"""What convolution and pooling share: a window sliding along one axis, and float16 computed in float32.

Along an axis, tap t of window o reads position o*stride + t*dilation - padding of the input.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Array = Any


def span(kernel: int, dilation: int) -> int:
    """How many positions a window reaches over: dilation * (kernel - 1) + 1."""
    return dilation * (kernel - 1) + 1


@functools.lru_cache(maxsize=1024)
def taps(
    size: int, windows: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[tuple[int, slice, slice]]:
    """For every tap that falls inside the input: its number, the windows where it does, the positions read there.

    The two slices are equally long: position i of the second is read by window i of the first.
    """
    found = []
    for tap in range(kernel):
        offset = tap * dilation - padding
        first = max(0, -(offset // stride))  # the first window with o*stride + offset >= 0
        end = min(windows, (size - 1 - offset) // stride + 1)
        if first < end:
            reads = slice(first * stride + offset, (end - 1) * stride + offset + 1, stride)
            found.append((tap, slice(first, end), reads))
    return found


def half_in_single(kernel: Callable[..., Array]) -> Callable[..., Array]:
    """Make `kernel(array, ...) -> array` compute float16 in float32, as torch does: the sums would lose digits."""

    @functools.wraps(kernel)
    def compute(first: Array, *rest: Any) -> Array:
        if first.dtype != "float16":
            return kernel(first, *rest)
        single = [a.astype("float32") if getattr(a, "dtype", None) == "float16" else a for a in (first, *rest)]
        return kernel(*single).astype("float16")

    return compute
