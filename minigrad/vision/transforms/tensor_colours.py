"""The functions of `transforms.functional` that change colours, on tensors (..., 1 or 3, H, W).

Full brightness is 255 in uint8 and 1 in floats.
"""

from __future__ import annotations

from minigrad import backend, ops
from minigrad.tensor import Tensor
from minigrad.vision.transforms.conversion import convert_image_dtype, max_value
from minigrad.vision.transforms.images import check_hue
from minigrad.vision.transforms.tensors import get_dimensions, require_image, smoothed


def require_channels(img: Tensor, min_dims: int = 2) -> int:
    """The number of channels. TypeError unless it is 1 or 3 and there are dims enough."""
    require_image(img)
    require_dims(img, min_dims)
    channels = get_dimensions(img)[0]
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are [1, 3], but found {channels}")
    return channels


def require_dims(img: Tensor, count: int) -> None:
    if img.ndim < count:
        raise TypeError(f"Input image tensor should have at least {count} dimensions, but found {img.ndim}")


def require_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def floating(img: Tensor) -> Tensor:
    return img if img.is_floating_point() else img.to(backend.float32)


def blend(img: Tensor, other: Tensor, ratio: float) -> Tensor:
    """ratio img + (1 - ratio) other, kept within the range of the dtype."""
    ratio = float(ratio)
    return (ratio * img + (1.0 - ratio) * other).clamp(0, max_value(img.dtype)).to(img.dtype)


def rgb_to_grayscale(img: Tensor, num_output_channels: int = 1) -> Tensor:
    """0.2989 red + 0.587 green + 0.114 blue."""
    require_dims(img, 3)
    channels = require_channels(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if channels == 3:
        red, green, blue = img.unbind(dim=-3)
        grey = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
    else:
        grey = img.clone()
    return grey.expand(img.shape) if num_output_channels == 3 else grey


def adjust_brightness(img: Tensor, brightness_factor: float) -> Tensor:
    """0 gives black, 1 the image, 2 twice the brightness."""
    require_factor("brightness_factor", brightness_factor)
    require_channels(img)
    return blend(img, ops.zeros_like(img), brightness_factor)


def adjust_contrast(img: Tensor, contrast_factor: float) -> Tensor:
    """0 gives an even grey of the mean brightness, 1 the image, 2 twice the contrast."""
    require_factor("contrast_factor", contrast_factor)
    grey = rgb_to_grayscale(img) if require_channels(img) == 3 else img
    return blend(img, floating(grey).mean(dim=(-3, -2, -1), keepdim=True), contrast_factor)


def adjust_saturation(img: Tensor, saturation_factor: float) -> Tensor:
    """0 gives the image in grey, 1 as it is, 2 with twice the colour."""
    require_factor("saturation_factor", saturation_factor)
    return img if require_channels(img) == 1 else blend(img, rgb_to_grayscale(img), saturation_factor)


def adjust_sharpness(img: Tensor, sharpness_factor: float) -> Tensor:
    """0 gives the image smoothed, 1 as it is, 2 twice as sharp."""
    require_factor("sharpness_factor", sharpness_factor)
    require_channels(img)
    return img if min(img.shape[-2:]) <= 2 else blend(img, smoothed(img), sharpness_factor)


def adjust_gamma(img: Tensor, gamma: float, gain: float = 1) -> Tensor:
    """gain * x**gamma of values x from 0 to 1: a gamma above 1 darkens."""
    require_channels(img)
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    x = img if img.is_floating_point() else convert_image_dtype(img, backend.float32)
    return convert_image_dtype((gain * x.pow(gamma)).clamp(0, 1), img.dtype)


def adjust_hue(img: Tensor, hue_factor: float) -> Tensor:
    """The hue turned by that part of its circle, from -0.5 to 0.5."""
    check_hue(hue_factor)
    if require_channels(img) == 1:
        return img
    hue, saturation, value = rgb_to_hsv(convert_image_dtype(img, backend.float32))
    return convert_image_dtype(hsv_to_rgb((hue + hue_factor) % 1.0, saturation, value), img.dtype)


def rgb_to_hsv(img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each 0 to 1. The hue of a grey is 0.

    With c = max - min: value = max, saturation = c / max, and the hue is a sixth of (g - b) / c, 2 + (b - r) / c or
    4 + (r - g) / c for a largest channel of red, green or blue, modulo 1.
    """
    red, green, blue = img.unbind(dim=-3)
    value, least = img.amax(dim=-3), img.amin(dim=-3)
    chroma, grey = value - least, value == least
    saturation = chroma / ops.where(grey, 1.0, value)
    divisor = ops.where(grey, 1.0, chroma)
    r, g, b = ((value - channel) / divisor for channel in (red, green, blue))
    is_red = value == red
    is_green = (value == green) & ~is_red
    is_blue = (value != green) & ~is_red
    hue = is_red * (b - g) + is_green * (2.0 + r - b) + is_blue * (4.0 + g - r)
    return (hue / 6.0 + 1.0).fmod(1.0), saturation, value


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse: in each sixth of the circle one channel is `value`, one the least, and one goes between them."""
    sixth = (hue * 6.0).floor()
    rest = hue * 6.0 - sixth
    p = (value * (1.0 - saturation)).clamp(0.0, 1.0)
    q = (value * (1.0 - saturation * rest)).clamp(0.0, 1.0)
    t = (value * (1.0 - saturation * (1.0 - rest))).clamp(0.0, 1.0)
    sixth = sixth.to(backend.int64) % 6
    channels = ((value, q, p, p, t, value), (t, value, value, q, p, p), (p, p, t, value, value, q))
    return ops.stack([ops.stack(six, dim=0).gather(0, sixth[None])[0] for six in channels], dim=-3)


def invert(img: Tensor) -> Tensor:
    """Full brightness minus the image."""
    require_channels(img, 3)
    return max_value(img.dtype) - img


def posterize(img: Tensor, bits: int) -> Tensor:
    """Only the upper `bits` of the eight of each value."""
    require_channels(img, 3)
    require_bytes(img)
    return img & (256 - 2 ** (8 - bits))


def require_bytes(img: Tensor) -> None:
    if img.dtype != backend.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")


def solarize(img: Tensor, threshold: float) -> Tensor:
    """Values from `threshold` on inverted."""
    require_channels(img, 3)
    if threshold > max_value(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return ops.where(img >= threshold, invert(img), img)


def autocontrast(img: Tensor) -> Tensor:
    """Stretched so that each channel reaches from 0 to full brightness; a channel of one value stays."""
    require_channels(img, 3)
    bound = max_value(img.dtype)
    least, most = (floating(extreme(dim=(-2, -1), keepdim=True)) for extreme in (img.amin, img.amax))
    scale = bound / (most - least)
    flat = scale.isfinite().logical_not()
    least, scale = ops.where(flat, 0.0, least), ops.where(flat, 1.0, scale)
    return ((img - least) * scale).clamp(0, bound).to(img.dtype)


def equalize(img: Tensor) -> Tensor:
    """Each channel mapped so that its 256 values become about equally frequent."""
    require_image(img)
    if img.ndim not in (3, 4):
        raise TypeError(f"Input image tensor should have 3 or 4 dimensions, but found {img.ndim}")
    require_bytes(img)
    require_channels(img)
    height, width = img.shape[-2:]
    return ops.stack([equalized(channel) for channel in img.reshape(-1, height, width)]).view(img.shape)


def equalized(channel: Tensor) -> Tensor:
    """One channel through the table (cumulated counts + step / 2) / step; step = a 255th of all but the last value."""
    counts = channel.reshape(-1).bincount(minlength=256)
    present = counts[counts != 0]
    step = int(present[:-1].sum()) // 255
    if step == 0:
        return channel
    cumulated = (counts.cumsum(0) + step // 2).div(step, rounding_mode="floor")
    table = ops.cat([ops.zeros_like(cumulated[:1]), cumulated[:-1]]).clamp(0, 255)
    return table[channel.to(backend.int64)].to(backend.uint8)
