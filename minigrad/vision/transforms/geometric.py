"""Transforms that move pixels at random: windows, mirrors, rotations, affine maps, perspectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import ops
from minigrad.nn.module import Module
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.arguments import (
    angles,
    area_and_ratio,
    checked_fill,
    fill_for,
    happens,
    integer,
    pair_of,
    require_ranges,
    require_sequence,
    sides_of,
    uniform,
)
from minigrad.vision.transforms.interpolation import InterpolationMode, mode_of

__all__ = [
    "ElasticTransform", "RandomAffine", "RandomCrop", "RandomHorizontalFlip", "RandomPerspective", "RandomResizedCrop",
    "RandomRotation", "RandomVerticalFlip",
]  # fmt: skip


class RandomCrop(Module):
    """A window of `size`, after a border of `padding` and, with `pad_if_needed`, one that makes the image fit."""

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = tuple(pair_of(size))
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width), each place of the window equally likely. ValueError if it does not fit."""
        _, h, w = F.get_dimensions(img)
        height, width = output_size
        if h < height or w < width:
            raise ValueError(f"Required crop size {(height, width)} is larger than input image size {(h, w)}")
        if (h, w) == (height, width):
            return 0, 0, h, w
        top = integer(0, h - height + 1)
        return top, integer(0, w - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def extra_repr(self) -> str:
        return f"size={self.size}, padding={self.padding}"


class RandomHorizontalFlip(Module):
    """Left and right exchanged, with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.hflip(img) if happens(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomVerticalFlip(Module):
    """Top and bottom exchanged, with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.vflip(img) if happens(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomResizedCrop(Module):
    """A window with a part of the area within `scale` and sides in a `ratio`, resized to `size`."""

    def __init__(
        self,
        size: Any,
        scale: Any = (0.08, 1.0),
        ratio: Any = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = pair_of(size)
        require_ranges(scale, ratio)
        self.interpolation = mode_of(interpolation)
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(img: Any, scale: Any, ratio: Any) -> tuple[int, int, int, int]:
        """(top, left, height, width): the first of ten draws that fits, else the middle in the nearest ratio."""
        _, height, width = F.get_dimensions(img)
        log_ratio = ops.tensor(ratio).log()
        for _ in range(10):
            w, h = sides_of(*area_and_ratio(height * width, scale, log_ratio))
            if 0 < w <= width and 0 < h <= height:
                top = integer(0, height - h + 1)
                return top, integer(0, width - w + 1), h, w
        h, w = height, width
        if width / height < min(ratio):
            h = round(w / min(ratio))
        elif width / height > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img: Any) -> Any:
        window = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *window, self.size, self.interpolation, antialias=self.antialias)

    def extra_repr(self) -> str:
        scale, ratio = (tuple(round(value, 4) for value in pair) for pair in (self.scale, self.ratio))
        return (
            f"size={self.size}, scale={scale}, ratio={ratio}, interpolation={self.interpolation.value}, "
            f"antialias={self.antialias}"
        )


class RandomRotation(Module):
    """Turned by an angle from `degrees`, (low, high) or a number a for (-a, a)."""

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Any = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = angles(degrees, "degrees")
        if center is not None:
            require_sequence(center, "center")
        self.center = center
        self.interpolation = mode_of(interpolation)
        self.expand = expand
        self.fill = checked_fill(fill)

    @staticmethod
    def get_params(degrees: Any) -> float:
        """An angle in degrees."""
        return uniform(degrees[0], degrees[1])

    def forward(self, img: Any) -> Any:
        fill = fill_for(img, self.fill, F.get_dimensions(img)[0])
        return F.rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, fill)

    def extra_repr(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}{center}, "
            f"fill={self.fill}"
        )


class RandomAffine(Module):
    """Turned by `degrees`, moved by parts (x, y) of the size up to `translate`, scaled and sheared, around `center`."""

    def __init__(
        self,
        degrees: Any,
        translate: Any = None,
        scale: Any = None,
        shear: Any = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Any = None,
    ) -> None:
        super().__init__()
        self.degrees = angles(degrees, "degrees")
        if translate is not None:
            require_sequence(translate, "translate")
            if any(not 0.0 <= part <= 1.0 for part in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            require_sequence(scale, "scale")
            if any(value <= 0 for value in scale):
                raise ValueError("scale values should be positive")
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else angles(shear, "shear", (2, 4))
        self.interpolation = mode_of(interpolation)
        self.fill = checked_fill(fill)
        if center is not None:
            require_sequence(center, "center")
        self.center = center

    @staticmethod
    def get_params(
        degrees: Any, translate: Any, scale_ranges: Any, shears: Any, img_size: Any
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """(angle, translation in pixels, scale, shear in degrees) for an image of (width, height) = `img_size`."""
        angle = uniform(degrees[0], degrees[1])
        moved, scale, shear_x, shear_y = (0, 0), 1.0, 0.0, 0.0
        if translate is not None:
            furthest = [float(part * size) for part, size in zip(translate, img_size)]
            moved = (round(uniform(-furthest[0], furthest[0])), round(uniform(-furthest[1], furthest[1])))
        if scale_ranges is not None:
            scale = uniform(scale_ranges[0], scale_ranges[1])
        if shears is not None:
            shear_x = uniform(shears[0], shears[1])
            if len(shears) == 4:
                shear_y = uniform(shears[2], shears[3])
        return angle, moved, scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        channels, height, width = F.get_dimensions(img)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, [width, height])
        fill = fill_for(img, self.fill, channels)
        return F.affine(img, *drawn, interpolation=self.interpolation, fill=fill, center=self.center)

    def extra_repr(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{name}={getattr(self, name)}" for name in ("translate", "scale", "shear") if getattr(self, name)]
        if self.interpolation != InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return ", ".join(parts)


class RandomPerspective(Module):
    """With probability `p` seen from aside: each corner moved inwards by up to half the side times the scale."""

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.p = p
        self.interpolation = mode_of(interpolation)
        self.distortion_scale = distortion_scale
        self.fill = checked_fill(fill)

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """The corners, clockwise from the upper left one, before and after."""
        across, down = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        left, right = (0, across + 1), (width - across - 1, width)
        top, bottom = (0, down + 1), (height - down - 1, height)
        moved = [[integer(*x), integer(*y)] for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
        return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], moved

    def forward(self, img: Any) -> Any:
        channels, height, width = F.get_dimensions(img)
        if not happens(self.p):
            return img
        startpoints, endpoints = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, startpoints, endpoints, self.interpolation, fill_for(img, self.fill, channels))

    def extra_repr(self) -> str:
        return f"p={self.p}"


class ElasticTransform(Module):
    """As if seen through moving water: each pixel displaced by smoothed noise of size `alpha` and width `sigma`.

    Source: Simard, Steinkraus, Platt, "Best practices for convolutional neural networks", 2003.
    """

    def __init__(
        self,
        alpha: Any = 50.0,
        sigma: Any = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = two_floats(alpha, "alpha")
        self.sigma = two_floats(sigma, "sigma")
        self.interpolation = mode_of(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(f"fill should be int or float or a list or tuple of them. Got {type(fill)}")
        self.fill = [float(value) for value in (fill if isinstance(fill, (list, tuple)) else [fill])]

    @staticmethod
    def get_params(alpha: Any, sigma: Any, size: Any) -> Any:
        """The displacements (1, H, W, 2), along x and y, for an image of (height, width) = `size`."""
        fields = []
        for i, side in enumerate((size[1], size[0])):
            field = ops.rand(1, 1, *size) * 2 - 1
            if sigma[i] > 0.0:
                width = int(8 * sigma[i] + 1) | 1  # odd
                field = F.gaussian_blur(field, [width, width], list(sigma))
            fields.append(field * alpha[i] / side)
        return ops.cat(fields, 1).permute(0, 2, 3, 1)

    def forward(self, tensor: Any) -> Any:
        _, height, width = F.get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, sigma={self.sigma}, interpolation={self.interpolation}, fill={self.fill}"


def two_floats(value: Any, name: str) -> Any:
    """[v, v] of a float, or a sequence of two floats."""
    if isinstance(value, float):
        return [value, value]
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if len(value) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(value)}")
    for element in value:
        if not isinstance(element, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(element)}")
    return value
