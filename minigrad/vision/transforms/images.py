"""The functions of `transforms.functional` on PIL images: Pillow's own, with torchvision's arguments."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.vision.pillow import image_of, is_image, pillow

FLIP_LEFT_RIGHT, FLIP_TOP_BOTTOM = 0, 1  # Pillow's constants, here without importing it
AFFINE, PERSPECTIVE = 0, 2
PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def on_image(function: Callable[..., Any]) -> Callable[..., Any]:
    """TypeError unless the first argument is a PIL image."""

    @functools.wraps(function)
    def checked(img: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_image(img):
            raise TypeError(f"img should be PIL Image. Got {type(img)}")
        return function(img, *args, **kwargs)

    return checked


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    width, height = get_image_size(img)
    return [len(img.getbands()), height, width]


def get_image_size(img: Any) -> list[int]:
    """[width, height]. TypeError unless it is a PIL image."""
    if not is_image(img):
        raise TypeError(f"Unexpected type {type(img)}")
    return list(img.size)


# -- geometry ----------------------------------------------------------------------------------------------------------


@on_image
def hflip(img: Any) -> Any:
    return img.transpose(FLIP_LEFT_RIGHT)


@on_image
def vflip(img: Any) -> Any:
    return img.transpose(FLIP_TOP_BOTTOM)


@on_image
def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    return img.crop((left, top, left + width, top + height))


@on_image
def resize(img: Any, size: list[int], number: int) -> Any:
    height, width = size
    return img.resize((width, height), number)


@on_image
def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    left, top, right, bottom = sides(padding, padding_mode)
    if padding_mode == "constant":
        padded = pillow("ImageOps").expand(img, border=(left, top, right, bottom), fill=colour(fill, img))
    else:
        img = img.crop((max(-left, 0), max(-top, 0), img.width - max(-right, 0), img.height - max(-bottom, 0)))
        widths = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)]
        pixels = np.asarray(img)
        mode: Any = padding_mode  # one of NumPy's, by the check in `sides`
        padded = pillow().fromarray(np.pad(pixels, widths[: pixels.ndim], mode=mode))
    if img.mode == "P":
        padded.putpalette(img.getpalette())
    return padded


def sides(padding: Any, padding_mode: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from a number or 1, 2 or 4 of them. Refuses what torchvision refuses."""
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if isinstance(padding, (tuple, list)) and len(padding) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    if padding_mode not in PADDING_MODES:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    values = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,)
    left, top, right, bottom = (values * 4)[:4] if len(values) < 4 else values
    return left, top, right, bottom


def colour(fill: Any, img: Any) -> Any:
    """`fill` as Pillow wants it for `img`: one number, or one for each band; integers unless the mode is F."""
    channels = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, (int, float)) and channels > 1:
        fill = (fill,) * channels
    whole = img.mode != "F"
    if not isinstance(fill, (list, tuple)):
        return int(fill) if whole else fill
    if len(fill) == 1:
        fill = tuple(fill) * channels
    if len(fill) != channels:
        raise ValueError(
            "The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(fill)} != {channels})"
        )
    return tuple(int(value) if whole else value for value in fill)


@on_image
def affine(img: Any, matrix: list[float], number: int, fill: Any = None) -> Any:
    return img.transform(img.size, AFFINE, matrix, number, fillcolor=colour(fill, img))


@on_image
def rotate(img: Any, angle: float, number: int, expand: bool = False, center: Any = None, fill: Any = None) -> Any:
    return img.rotate(angle, number, expand, center, fillcolor=colour(fill, img))


@on_image
def perspective(img: Any, coefficients: list[float], number: int, fill: Any = None) -> Any:
    return img.transform(img.size, PERSPECTIVE, coefficients, number, fillcolor=colour(fill, img))


# -- colour ------------------------------------------------------------------------------------------------------------


def enhancer(name: str) -> Callable[..., Any]:
    """Pillow's enhancer of that name: a blend of the image with a degenerate one."""

    @on_image
    def enhance(img: Any, factor: float) -> Any:
        return getattr(pillow("ImageEnhance"), name)(img).enhance(factor)

    return enhance


adjust_brightness, adjust_contrast = enhancer("Brightness"), enhancer("Contrast")
adjust_saturation, adjust_sharpness = enhancer("Color"), enhancer("Sharpness")


def adjust_hue(img: Any, hue_factor: float) -> Any:
    check_hue(hue_factor)
    if not is_image(img):
        raise TypeError(f"img should be PIL Image. Got {type(img)}")
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    turned = np.asarray(hue) + np.int32(hue_factor * 255).astype(np.uint8)  # modulo 256: the hue is a circle
    return pillow().merge("HSV", (image_of(turned, "L"), saturation, value)).convert(img.mode)


def check_hue(hue_factor: float) -> None:
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")


@on_image
def adjust_gamma(img: Any, gamma: float, gain: float = 1.0) -> Any:
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    table = [int((255 + 1 - 1e-3) * gain * pow(value / 255.0, gamma)) for value in range(256)]
    return img.convert("RGB").point(table * 3).convert(img.mode)


@on_image
def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    grey = img.convert("L")
    return grey if num_output_channels == 1 else pillow().merge("RGB", (grey,) * 3)


@on_image
def invert(img: Any) -> Any:
    return pillow("ImageOps").invert(img)


@on_image
def posterize(img: Any, bits: int) -> Any:
    return pillow("ImageOps").posterize(img, bits)


@on_image
def solarize(img: Any, threshold: int) -> Any:
    return pillow("ImageOps").solarize(img, threshold)


@on_image
def autocontrast(img: Any) -> Any:
    return pillow("ImageOps").autocontrast(img)


@on_image
def equalize(img: Any) -> Any:
    return pillow("ImageOps").equalize(img)
