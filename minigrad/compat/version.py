"""`torch.version`: the release whose behaviour minigrad follows."""

from __future__ import annotations

import re
from typing import Any

from minigrad.version import __version__ as own

__all__ = ["Version", "__version__", "cuda", "debug", "git_version", "hip", "vision", "xpu"]


class Version(str):
    """A version that compares by its numbers, with strings and tuples as well, as torch's does."""

    def _numbers(self, other: Any = None) -> tuple[int, ...]:
        text = self if other is None else ".".join(map(str, other)) if isinstance(other, tuple) else str(other)
        return tuple(int(n) for n in re.findall(r"\d+", text.partition("+")[0]))

    def __lt__(self, other: Any) -> bool:
        return self._numbers() < self._numbers(other)

    def __le__(self, other: Any) -> bool:
        return self._numbers() <= self._numbers(other)

    def __gt__(self, other: Any) -> bool:
        return self._numbers() > self._numbers(other)

    def __ge__(self, other: Any) -> bool:
        return self._numbers() >= self._numbers(other)


__version__ = Version(f"2.13.0+minigrad.{own}")
vision = Version(f"0.28.0+minigrad.{own}")  # torchvision's, of that release
cuda = hip = xpu = None
debug = False
git_version = "Unknown"
