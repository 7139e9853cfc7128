"""`Size`: the shape of a tensor, a tuple that prints as torch prints it."""

from __future__ import annotations

import math
from typing import Any, SupportsIndex


class Size(tuple):
    """`torch.Size([2, 3])`: a tuple of ints; slices and sums of sizes are sizes."""

    __slots__ = ()

    def numel(self) -> int:
        """How many elements a tensor of this size has."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        part = tuple.__getitem__(self, index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, tuple(other)))
