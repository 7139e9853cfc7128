"""What the transforms do, as functions: torchvision.transforms.functional, on PIL images and tensors (..., C, H, W).

Each function here checks its arguments, then hands them to the one of the same name for PIL images (`images`) or for
tensors (`tensors`, `tensor_colours`), which leave derivatives behind them as all tensor code does.
"""

from __future__ import annotations

import functools
import numbers
import warnings
from collections.abc import Callable
from typing import Any

from minigrad.tensor import Tensor
from minigrad.vision.pillow import is_image
from minigrad.vision.transforms import images, matrices, tensor_colours, tensors
from minigrad.vision.transforms.conversion import convert_image_dtype, pil_to_tensor, to_pil_image, to_tensor
from minigrad.vision.transforms.interpolation import PILLOW_NUMBERS, InterpolationMode, checked_mode, mode_of

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "adjust_sharpness", "affine", "autocontrast", "center_crop", "convert_image_dtype", "crop", "elastic_transform",
    "equalize", "erase", "five_crop", "gaussian_blur", "get_dimensions", "get_image_num_channels", "get_image_size",
    "hflip", "invert", "normalize", "pad", "perspective", "pil_to_tensor", "posterize", "resize", "resized_crop",
    "rgb_to_grayscale", "rotate", "solarize", "ten_crop", "to_grayscale", "to_pil_image", "to_tensor", "vflip",
]  # fmt: skip

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def either(for_image: Callable[..., Any], for_tensor: Callable[..., Any]) -> Callable[..., Any]:
    """One function for both kinds, which takes its name and parameters from the one for tensors."""

    @functools.wraps(for_tensor)
    def function(img: Any, *args: Any, **kwargs: Any) -> Any:
        return (for_tensor if isinstance(img, Tensor) else for_image)(img, *args, **kwargs)

    function.__module__ = __name__  # where pickle finds it
    return function


get_dimensions = either(images.get_dimensions, tensors.get_dimensions)
get_image_size = either(images.get_image_size, tensors.get_image_size)
hflip, vflip = either(images.hflip, tensors.hflip), either(images.vflip, tensors.vflip)
crop, pad = either(images.crop, tensors.crop), either(images.pad, tensors.pad)
adjust_brightness = either(images.adjust_brightness, tensor_colours.adjust_brightness)
adjust_contrast = either(images.adjust_contrast, tensor_colours.adjust_contrast)
adjust_saturation = either(images.adjust_saturation, tensor_colours.adjust_saturation)
adjust_sharpness = either(images.adjust_sharpness, tensor_colours.adjust_sharpness)
adjust_hue = either(images.adjust_hue, tensor_colours.adjust_hue)
adjust_gamma = either(images.adjust_gamma, tensor_colours.adjust_gamma)
rgb_to_grayscale = either(images.rgb_to_grayscale, tensor_colours.rgb_to_grayscale)
invert, solarize = either(images.invert, tensor_colours.invert), either(images.solarize, tensor_colours.solarize)
autocontrast = either(images.autocontrast, tensor_colours.autocontrast)
equalize = either(images.equalize, tensor_colours.equalize)


def get_image_num_channels(img: Any) -> int:
    """How many channels the image has."""
    return get_dimensions(img)[0]


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A PIL image of any mode in grey, in 1 or 3 equal channels."""
    if not is_image(img):
        raise TypeError("Input should be PIL Image")
    return images.rgb_to_grayscale(img, num_output_channels)


def posterize(img: Any, bits: int) -> Any:
    """Only the upper `bits` of the eight of each value."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    return (tensor_colours if isinstance(img, Tensor) else images).posterize(img, bits)


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """(tensor - mean) / std, channel by channel, of a floating tensor (..., C, H, W)."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    return tensors.normalize(tensor, mean, std, inplace)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """The tensor image with `v` in the h x w pixels from row i and column j on."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    return tensors.erase(img, i, j, h, w, v, inplace)


# -- sizes -------------------------------------------------------------------------------------------------------------


def resized_shape(height: int, width: int, size: Any, max_size: int | None = None) -> list[int]:
    """[height, width] after a resize: `size` if it is a pair, else its number for the shorter side, in proportion.

    Then a longer side above `max_size` becomes that, and the shorter one follows.
    """
    if len(size) == 2:
        return [size[0], size[1]]
    short, long = sorted((height, width))
    new_short, new_long = size[0], int(size[0] * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested "
                f"size for the smaller edge size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return [new_long, new_short] if width <= height else [new_short, new_long]


def resize(
    img: Any, size: Any, interpolation: Any = BILINEAR, max_size: int | None = None, antialias: bool | None = True
) -> Any:
    """`img` resampled to (height, width) = `size`, or with a shorter side of `size`; see `resized_shape`.

    `antialias` widens the filter where a tensor shrinks; for PIL images it always does.
    """
    mode = checked_mode(interpolation)
    if isinstance(size, (list, tuple)):
        if len(size) not in (1, 2):
            raise ValueError(
                f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element tuple/list"
            )
        if max_size is not None and len(size) != 1:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge, "
                "i.e. size should be an int or a sequence of length 1 in torchscript mode."
            )
    _, height, width = get_dimensions(img)
    shape = resized_shape(height, width, [size] if isinstance(size, int) else size, max_size)
    if shape == [height, width]:
        return img
    if isinstance(img, Tensor):
        return tensors.resize(img, shape, mode.value, antialias)
    if antialias is False:
        warnings.warn(
            "Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.", stacklevel=2
        )
    return images.resize(img, shape, PILLOW_NUMBERS[mode])


def pair(size: Any) -> tuple[int, int]:
    """(height, width) of a number, a sequence of one, or of two. ValueError for other lengths."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return size[0], size[1]


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of `img`, padded with 0 where it is too small."""
    height, width = pair(output_size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        right, below = max(width - w, 0), max(height - h, 0)
        img = pad(img, [right // 2, below // 2, (right + 1) // 2, (below + 1) // 2], fill=0)
        _, h, w = get_dimensions(img)
        if (width, height) == (w, h):
            return img
    return crop(img, round((h - height) / 2.0), round((w - width) / 2.0), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners, left before right and top before bottom, and the middle."""
    height, width = pair(size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        raise ValueError(f"Requested crop size {(height, width)} is bigger than input size {(h, w)}")
    down, right = h - height, w - width
    corners = [crop(img, i, j, height, width) for i, j in ((0, 0), (0, right), (down, 0), (down, right))]
    return (corners[0], corners[1], corners[2], corners[3], center_crop(img, [height, width]))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of its mirror image."""
    size = pair(size)
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


# -- maps of the plane -------------------------------------------------------------------------------------------------


def from_middle(img: Any, center: Any) -> list[float]:
    """`center`, which counts from the upper left corner, counted from the middle of `img`; None is the middle."""
    if center is None:
        return [0.0, 0.0]
    _, height, width = get_dimensions(img)
    return [center[0] - width * 0.5, center[1] - height * 0.5]


def rotate(
    img: Any, angle: float, interpolation: Any = NEAREST, expand: bool = False, center: Any = None, fill: Any = None
) -> Any:
    """`img` turned counter-clockwise by `angle` degrees around `center` (x, y), the middle unless given."""
    mode = checked_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not isinstance(img, Tensor):
        return images.rotate(img, angle, PILLOW_NUMBERS[mode], expand, center, fill)
    matrix = matrices.inverse_affine(from_middle(img, center), -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    return tensors.rotate(img, matrix, mode.value, expand, fill)


def affine(
    img: Any,
    angle: float,
    translate: Any,
    scale: float,
    shear: Any,
    interpolation: Any = NEAREST,
    fill: Any = None,
    center: Any = None,
) -> Any:
    """`img` sheared and turned clockwise by degrees, scaled, and moved by `translate` pixels, around `center`."""
    mode = checked_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    shear = [shear, 0.0] if isinstance(shear, numbers.Number) else list(shear) * (2 if len(shear) == 1 else 1)
    if len(shear) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {shear}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    _, height, width = get_dimensions(img)
    if not isinstance(img, Tensor):
        middle = [width * 0.5, height * 0.5] if center is None else center
        matrix = matrices.inverse_affine(middle, angle, translate, scale, shear)
        return images.affine(img, matrix, PILLOW_NUMBERS[mode], fill)
    matrix = matrices.inverse_affine(from_middle(img, center), angle, translate, scale, shear)
    return tensors.affine(img, matrix, mode.value, fill)


def perspective(img: Any, startpoints: Any, endpoints: Any, interpolation: Any = BILINEAR, fill: Any = None) -> Any:
    """`img` as seen where the corners `startpoints` have moved to `endpoints`, each four points (x, y)."""
    coefficients = matrices.perspective(startpoints, endpoints)
    mode = checked_mode(interpolation)
    if not isinstance(img, Tensor):
        return images.perspective(img, coefficients, PILLOW_NUMBERS[mode], fill)
    return tensors.perspective(img, coefficients, mode.value, fill)


def elastic_transform(img: Any, displacement: Tensor, interpolation: Any = BILINEAR, fill: Any = None) -> Any:
    """Each pixel taken from elsewhere: `displacement` (1, H, W, 2) is how far, along x and y, in half images."""
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    if not isinstance(img, Tensor) and not is_image(img):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    x = img if isinstance(img, Tensor) else pil_to_tensor(img)
    shape = (1, *x.shape[-2:], 2)
    if shape != displacement.shape:
        raise ValueError(f"Argument displacement shape should be {shape}, but given {displacement.shape}")
    x = tensors.elastic_transform(x, displacement, mode_of(interpolation).value, fill)
    return x if isinstance(img, Tensor) else to_pil_image(x, mode=img.mode)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Each channel filtered with a Gaussian kernel of (width, height) pixels, the border mirrored.

    `sigma`, its deviation along x and y, is 0.15 `kernel_size` + 0.35 unless given.
    """
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}")
    sizes: Any = [kernel_size] * 2 if isinstance(kernel_size, int) else kernel_size
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    if any(size % 2 == 0 or size < 0 for size in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigma = [size * 0.15 + 0.35 for size in sizes]
    if not isinstance(sigma, (int, float, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma) * (2 if len(sigma) == 1 else 1)
    if len(sigmas) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(sigmas)}")
    if any(value <= 0.0 for value in sigmas):
        raise ValueError(f"sigma should have positive values. Got {sigmas}")
    if isinstance(img, Tensor):
        return tensors.gaussian_blur(img, sizes, sigmas)
    if not is_image(img):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    return to_pil_image(tensors.gaussian_blur(pil_to_tensor(img), sizes, sigmas), mode=img.mode)
