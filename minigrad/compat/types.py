"""`torch.types`: names for annotations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO

from minigrad.backend import device as _device
from minigrad.backend import dtype as _dtype  # noqa: F401  part of what torch shows
from minigrad.size import Size
from minigrad.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Size", "Tensor"]

_int, _float, _bool, _str, _bytes = int, float, bool, str, bytes
_size = Size | list[int] | tuple[int, ...]
_TensorOrTensors = Tensor | Sequence[Tensor]
Number = int | float | bool
Device = _device | str | int | None
FileLike = str | os.PathLike[str] | IO[bytes]
