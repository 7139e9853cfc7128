"""How values between pixels are found: `InterpolationMode`, and Pillow's numbers for the same."""

from __future__ import annotations

from enum import Enum
from typing import Any

__all__ = ["InterpolationMode"]


class InterpolationMode(Enum):
    """The ways to resample. BOX, HAMMING and LANCZOS are Pillow's and for PIL images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


PILLOW_NUMBERS = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
    InterpolationMode.NEAREST_EXACT: 0,  # last: 0 alone means NEAREST
}
MODES = {number: mode for mode, number in reversed(PILLOW_NUMBERS.items())}


def mode_of(interpolation: Any) -> Any:
    """The mode that one of Pillow's numbers stands for; anything but an int as it is. KeyError for another number."""
    return MODES[interpolation] if isinstance(interpolation, int) else interpolation


def checked_mode(interpolation: Any) -> InterpolationMode:
    """As `mode_of`; TypeError unless it is a mode in the end."""
    mode = mode_of(interpolation)
    if not isinstance(mode, InterpolationMode):
        raise TypeError(
            "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant"
        )
    return mode
