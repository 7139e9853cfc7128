"""Arrays one after the other, on a GPU also while its work is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.backend import Array, np

AT_ONCE = 8  # arrays that CuPy copies one by one; for more it sends a table of addresses, which no recording allows


def concatenate(xp: Any, arrays: Sequence[Array], axis: int | None = 0, out: Array | None = None) -> Array:
    """numpy.concatenate; what is recorded joins eight arrays at a time, and then what that gave."""
    if xp is not np and len(arrays) > AT_ONCE and xp.cuda.get_current_stream().is_capturing():
        eights = (arrays[i : i + AT_ONCE] for i in range(0, len(arrays), AT_ONCE))
        return concatenate(xp, [xp.concatenate(some, axis) for some in eights], axis, out)
    return xp.concatenate(arrays, axis, out)
