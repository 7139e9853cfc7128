"""Checks that the constructors of several transforms share, and the random numbers that they draw.

The numbers come from the default generator, by the calls with which torchvision draws its own: after
`minigrad.manual_seed(s)` an augmentation gives the images that torchvision gives after `torch.manual_seed(s)`.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Sequence
from typing import Any

from minigrad import ops


def pair_of(size: Any, message: str = "Please provide only two dimensions (h, w) for size.") -> Any:
    """(n, n) of a number or a sequence of one; a sequence of two as it is; ValueError with `message` for others."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


def require_sequence(value: Any, name: str, lengths: tuple[int, ...] = (2,)) -> None:
    """TypeError unless `value` is a sequence, ValueError unless it has one of the `lengths`."""
    message = f"{name} should be a sequence of length {' or '.join(str(length) for length in lengths)}."
    if not isinstance(value, Sequence):
        raise TypeError(message)
    if len(value) not in lengths:
        raise ValueError(message)


def angles(value: Any, name: str, lengths: tuple[int, ...] = (2,)) -> list[float]:
    """[-a, a] of a number a, else the numbers of a sequence."""
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        value = [-value, value]  # type: ignore[operator]
    else:
        require_sequence(value, name, lengths)
    return [float(degrees) for degrees in value]


def require_ranges(scale: Any, ratio: Any) -> None:
    """TypeError unless both are sequences; a warning if one runs downwards."""
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)


def checked_fill(fill: Any) -> Any:
    """`fill`, 0 for None. TypeError unless it is a number or a sequence."""
    if fill is None:
        return 0
    if not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return fill


def fill_for(img: Any, fill: Any, channels: int) -> Any:
    """`fill` as the functions want it: for a tensor, a list of floats, a number's for each channel."""
    if not hasattr(img, "dtype"):
        return fill
    return [float(fill)] * channels if isinstance(fill, (int, float)) else [float(value) for value in fill]


def happens(p: float) -> bool:
    """True with probability `p`."""
    return bool(ops.rand(1) < p)


def uniform(low: Any, high: Any) -> float:
    """A number from [low, high)."""
    return ops.empty(1).uniform_(float(low), float(high)).item()


def integer(low: int, high: int) -> int:
    """An integer from [low, high)."""
    return ops.randint(low, high, size=(1,)).item()


def area_and_ratio(area: int, scale: Any, log_ratio: Any) -> tuple[float, float]:
    """A part of `area` within `scale`, and a ratio of two sides whose logarithm is uniform."""
    part = area * uniform(scale[0], scale[1])
    return part, ops.empty(1).uniform_(float(log_ratio[0]), float(log_ratio[1])).exp().item()


def sides_of(area: float, ratio: float) -> tuple[int, int]:
    """The whole sides (a, b) nearest to those of a rectangle of that area with a / b = ratio."""
    return round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
