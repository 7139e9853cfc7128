"""Augmentation without a search: transforms drawn from a table, at a fixed or a drawn strength."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minigrad import ops
from minigrad.nn.module import Module
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.arguments import fill_for, integer
from minigrad.vision.transforms.interpolation import InterpolationMode

__all__ = ["RandAugment", "TrivialAugmentWide"]

# How each operation is applied at a magnitude m; `how` are the interpolation and the fill of those that move pixels.
APPLY: dict[str, Callable[..., Any]] = {
    "Identity": lambda img, m, how: img,
    "ShearX": lambda img, m, how: F.affine(img, 0.0, [0, 0], 1.0, [shear(m), 0.0], center=[0, 0], **how),
    "ShearY": lambda img, m, how: F.affine(img, 0.0, [0, 0], 1.0, [0.0, shear(m)], center=[0, 0], **how),
    "TranslateX": lambda img, m, how: F.affine(img, 0.0, [int(m), 0], 1.0, [0.0, 0.0], **how),
    "TranslateY": lambda img, m, how: F.affine(img, 0.0, [0, int(m)], 1.0, [0.0, 0.0], **how),
    "Rotate": lambda img, m, how: F.rotate(img, m, **how),
    "Brightness": lambda img, m, how: F.adjust_brightness(img, 1.0 + m),
    "Color": lambda img, m, how: F.adjust_saturation(img, 1.0 + m),
    "Contrast": lambda img, m, how: F.adjust_contrast(img, 1.0 + m),
    "Sharpness": lambda img, m, how: F.adjust_sharpness(img, 1.0 + m),
    "Posterize": lambda img, m, how: F.posterize(img, int(m)),
    "Solarize": lambda img, m, how: F.solarize(img, m),
    "AutoContrast": lambda img, m, how: F.autocontrast(img),
    "Equalize": lambda img, m, how: F.equalize(img),
}
UNSIGNED = ("Identity", "Posterize", "Solarize", "AutoContrast", "Equalize")
WITHOUT_MAGNITUDE = ("Identity", "AutoContrast", "Equalize")


def shear(magnitude: float) -> float:
    """The angle in degrees of a shear by that many pixels a pixel."""
    return math.degrees(math.atan(magnitude))


def magnitude_of(name: str, strongest: float, i: int, bins: int, bits: int) -> float:
    """The i-th of `bins` magnitudes from none to the strongest; Posterize keeps 8 bits down to 8 - `bits`."""
    if name in WITHOUT_MAGNITUDE:
        return 0.0
    if name == "Posterize":
        return float(8 - (ops.arange(bins) / ((bins - 1) / bits)).round()[i].item())
    if name == "Solarize":
        return ops.linspace(255.0, 0.0, bins)[i].item()
    return ops.linspace(0.0, strongest, bins)[i].item()


class _Augmentation(Module):
    """Draws one operation of the table and a sign, and applies it."""

    num_magnitude_bins: int
    interpolation: InterpolationMode
    fill: Any
    posterized_bits = 4

    def strongest(self, height: int, width: int) -> dict[str, float]:
        """The greatest shear, translations in pixels, angle in degrees and change of colour."""
        raise NotImplementedError

    def magnitude_index(self) -> int:
        """Which of the magnitudes."""
        raise NotImplementedError

    def augmented(self, img: Any) -> Any:
        """The image after one operation."""
        channels, height, width = F.get_dimensions(img)
        name = list(APPLY)[integer(0, len(APPLY))]
        limits = self.strongest(height, width)
        i = 0 if name in WITHOUT_MAGNITUDE else self.magnitude_index()
        limit = limits.get(name, limits["Color"])
        magnitude = magnitude_of(name, limit, i, self.num_magnitude_bins, self.posterized_bits)
        if name not in UNSIGNED and integer(0, 2):
            magnitude = -magnitude
        fill = None if self.fill is None else fill_for(img, self.fill, channels)
        return APPLY[name](img, magnitude, {"interpolation": self.interpolation, "fill": fill})


class RandAugment(_Augmentation):
    """`num_ops` operations at strength `magnitude` of `num_magnitude_bins`. Source: Cubuk et al., 2019."""

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def strongest(self, height: int, width: int) -> dict[str, float]:
        moved = {"TranslateX": 150.0 / 331.0 * width, "TranslateY": 150.0 / 331.0 * height}
        return {"ShearX": 0.3, "ShearY": 0.3, "Rotate": 30.0, "Color": 0.9, **moved}

    def magnitude_index(self) -> int:
        return self.magnitude

    def forward(self, img: Any) -> Any:
        for _ in range(self.num_ops):
            img = self.augmented(img)
        return img

    def extra_repr(self) -> str:
        return (
            f"num_ops={self.num_ops}, magnitude={self.magnitude}, num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill}"
        )


class TrivialAugmentWide(_Augmentation):
    """One operation at a strength drawn from `num_magnitude_bins`. Source: Müller and Hutter, 2021."""

    posterized_bits = 6

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def strongest(self, height: int, width: int) -> dict[str, float]:
        moved = {"TranslateX": 32.0, "TranslateY": 32.0}
        return {"ShearX": 0.99, "ShearY": 0.99, "Rotate": 135.0, "Color": 0.99, **moved}

    def magnitude_index(self) -> int:
        return integer(0, self.num_magnitude_bins)

    def forward(self, img: Any) -> Any:
        return self.augmented(img)

    def extra_repr(self) -> str:
        return f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill}"
