"""Padding layers: elements added around the last one, two or three dimensions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from minigrad.nn import functional as F
from minigrad.nn.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """`padding` is a number, or (left, right), (left, right, top, bottom), ... from the last dimension on."""

    dimensions: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, Iterable) else (padding,) * (2 * self.dimensions)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


# -- the input again ---------------------------------------------------------------------------------------------------


class _CircularPadNd(_PadNd):
    mode = "circular"

    def forward(self, input: Any) -> Any:
        n = self.dimensions
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """(N, C, L) or (C, L) continued by its other end; see `F.pad`."""

    dimensions = 1


class CircularPad2d(_CircularPadNd):
    """(N, C, H, W) or (C, H, W) continued by its other ends."""

    dimensions = 2


class CircularPad3d(_CircularPadNd):
    """(N, C, D, H, W) or (C, D, H, W) continued by its other ends."""

    dimensions = 3


class ReflectionPad1d(_PadNd):
    """(N, C, L) or (C, L) mirrored at its edges, which are not repeated; see `F.pad`."""

    dimensions, mode = 1, "reflect"


class ReflectionPad2d(_PadNd):
    """(N, C, H, W) or (C, H, W) mirrored at its edges."""

    dimensions, mode = 2, "reflect"


class ReflectionPad3d(_PadNd):
    """(N, C, D, H, W) or (C, D, H, W) mirrored at its edges."""

    dimensions, mode = 3, "reflect"


class ReplicationPad1d(_PadNd):
    """(N, C, L) or (C, L) with its edges repeated; see `F.pad`."""

    dimensions, mode = 1, "replicate"


class ReplicationPad2d(_PadNd):
    """(N, C, H, W) or (C, H, W) with its edges repeated."""

    dimensions, mode = 2, "replicate"


class ReplicationPad3d(_PadNd):
    """(N, C, D, H, W) or (C, D, H, W) with its edges repeated."""

    dimensions, mode = 3, "replicate"


# -- a constant --------------------------------------------------------------------------------------------------------


class _ConstantPadNd(_PadNd):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """`value` before and after the last dimension."""

    dimensions = 1


class ConstantPad2d(_ConstantPadNd):
    """`value` around the last two dimensions."""

    dimensions = 2


class ConstantPad3d(_ConstantPadNd):
    """`value` around the last three dimensions."""

    dimensions = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd, ConstantPad1d):
    """Zeros before and after the last dimension."""


class ZeroPad2d(_ZeroPadNd, ConstantPad2d):
    """Zeros around the last two dimensions."""


class ZeroPad3d(_ZeroPadNd, ConstantPad3d):
    """Zeros around the last three dimensions."""
