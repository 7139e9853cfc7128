"""`make_tensor`: a tensor of random numbers for a test, torch.testing's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from minigrad import backend, ops
from minigrad.backend import np


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """Numbers uniform on [low, high), or False and True; torch.testing.make_tensor.

    The bounds are [-9, 9) for floats, [-9, 10) for integers ([0, 10) for uint8) unless given, and clamped to what the
    dtype can hold. `noncontiguous` leaves gaps in memory between the elements, `exclude_zero` puts the dtype's smallest
    normal number (1 for integers) in place of zeros. ValueError unless low < high, for bounds that are nan, and for
    integers that shall want a gradient.

    >>> import minigrad
    >>> from minigrad.testing import make_tensor
    >>> x = make_tensor((2, 3), dtype=minigrad.float64, device="cpu", low=1, high=2, requires_grad=True)
    >>> bool(((1 <= x) & (x < 2)).all())
    True
    >>> make_tensor(4, dtype=minigrad.int64, device="cpu", noncontiguous=True).stride()
    (2,)
    """
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got {noncontiguous=} and "
            f"{memory_format=}"
        )
    floating = backend.numpy_dtype(dtype).kind == "f"
    if requires_grad and not floating:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}: leave it out"
        )
    size = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    noncontiguous = noncontiguous and math.prod(size) > 1
    if noncontiguous:
        size = (*size[:-1], 2 * size[-1])
    start, stop = _bounds(low, high, dtype)
    if floating:
        result = _uniform(ops.empty(size, dtype=dtype, device=device), start, stop)
    else:
        result = ops.randint(math.ceil(start), math.ceil(stop), size=size, dtype=dtype, device=device)
    if noncontiguous:
        result = result[..., 1::2]
    if exclude_zero:
        array = result.array
        array[array == 0] = np.finfo(array.dtype).tiny if floating else 1
    return result.requires_grad_(requires_grad)


def _uniform(tensor: Any, low: float, high: float) -> Any:
    """Fill with numbers of [low, high); in two halves where high - low overflows."""
    if high - low >= np.finfo(tensor.array.dtype).max:
        ops.uniform_(tensor, low / 2, high / 2)
        tensor.array[...] *= 2
        return tensor
    return ops.uniform_(tensor, low, high)


def _bounds(low: Any, high: Any, dtype: Any) -> tuple[Any, Any]:
    """The bounds asked for, or the dtype's own, clamped to what it can hold."""
    kind = backend.numpy_dtype(dtype)
    if kind.kind == "b":
        least, limit, usual = 0, 2, (0, 2)
    elif kind.kind == "f":
        least, limit, usual = float(np.finfo(kind).min), float(np.finfo(kind).max), (-9, 9)  # type: ignore[assignment]
    else:
        # Of int64 the largest number cannot be drawn: the bound after it is no int64.
        least, limit, usual = int(np.iinfo(kind).min), int(np.iinfo(kind).max) + (dtype is not backend.int64), (-9, 10)
    low, high = usual[0] if low is None else low, usual[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and kind.kind == "f":
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is deprecated since 2.1 "
            "and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= limit:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports "
            f"[{least}, {limit})"
        )
    return min(max(low, least), limit), min(max(high, least), limit)
