"""Transforms that change values at random: colours, blur, erased rectangles."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from minigrad import backend, ops
from minigrad.nn.module import Module
from minigrad.tensor import Tensor
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.arguments import (
    area_and_ratio,
    happens,
    integer,
    pair_of,
    require_ranges,
    sides_of,
    uniform,
)

__all__ = [
    "ColorJitter", "GaussianBlur", "RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize", "RandomErasing",
    "RandomGrayscale", "RandomInvert", "RandomPosterize", "RandomSolarize",
]  # fmt: skip


class ColorJitter(Module):
    """Brightness, contrast, saturation and hue changed by factors drawn from ranges, in an order drawn too.

    A number v means from max(0, 1 - v) to 1 + v, of the hue from -v to v; the hue stays within 0.5 of its circle.
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = self.range_of(brightness, "brightness")
        self.contrast = self.range_of(contrast, "contrast")
        self.saturation = self.range_of(saturation, "saturation")
        self.hue = self.range_of(hue, "hue", 0, (-0.5, 0.5))

    @staticmethod
    def range_of(
        value: Any, name: str, center: int = 1, bound: tuple[float, float] = (0, float("inf"))
    ) -> tuple[float, float] | None:
        """(low, high), or None where it would change nothing."""
        if isinstance(value, numbers.Number):
            if value < 0:  # type: ignore[operator]
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = center - float(value), center + float(value)  # type: ignore[arg-type]
            if center == 1:
                low = max(low, 0.0)
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            low, high = float(value[0]), float(value[1])
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {[low, high]}.")
        return None if low == high == center else (low, high)

    @staticmethod
    def get_params(
        brightness: Any, contrast: Any, saturation: Any, hue: Any
    ) -> tuple[Tensor, float | None, float | None, float | None, float | None]:
        """The order of the four changes, and the factor of each."""
        order = ops.randperm(4)
        b, c, s, h = (None if r is None else uniform(r[0], r[1]) for r in (brightness, contrast, saturation, hue))
        return order, b, c, s, h

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue
        for i in order.tolist():
            if factors[i] is not None:
                img = changes[i](img, factors[i])
        return img

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in ("brightness", "contrast", "saturation", "hue"))


class GaussianBlur(Module):
    """Blurred by a Gaussian of `kernel_size` (width, height) pixels and a deviation drawn from `sigma` (low, high)."""

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = pair_of(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Number):
            if sigma <= 0:  # type: ignore[operator]
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif not isinstance(sigma, Sequence) or len(sigma) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        elif not 0.0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A standard deviation."""
        return uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, sigma={self.sigma}"


class RandomErasing(Module):
    """With probability `p` a rectangle of a tensor image gets `value`: a number, one for each channel, or "random".

    Its area is a part of the image's within `scale`, its height by its width within `ratio`. Source: Zhong et al.,
    "Random Erasing Data Augmentation", 2017.
    """

    def __init__(
        self, p: float = 0.5, scale: Any = (0.02, 0.33), ratio: Any = (0.3, 3.3), value: Any = 0, inplace: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        require_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(img: Tensor, scale: Any, ratio: Any, value: Any = None) -> tuple[int, int, int, int, Tensor]:
        """(top, left, height, width, values): the first of ten draws that fits, else the whole image as it is."""
        channels, height, width = img.shape[-3:]
        log_ratio = ops.tensor(ratio).log()
        for _ in range(10):
            h, w = sides_of(*area_and_ratio(height * width, scale, log_ratio))
            if h >= height or w >= width:
                continue
            if value is None:
                values = ops.empty(channels, h, w, dtype=backend.float32).normal_()
            else:
                values = ops.tensor(value)[:, None, None]
            top = integer(0, height - h + 1)
            return top, integer(0, width - w + 1), h, w, values
        return 0, 0, height, width, img

    def forward(self, img: Tensor) -> Tensor:
        if not happens(self.p):
            return img
        value: Any = self.value
        if isinstance(value, (int, float)):
            value = [float(value)]
        elif isinstance(value, str):
            value = None
        elif len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        else:
            value = [float(v) for v in value]
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, value), self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, inplace={self.inplace}"


class RandomGrayscale(Module):
    """In grey, in as many channels as before, with probability `p`."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        channels = F.get_dimensions(img)[0]
        return F.rgb_to_grayscale(img, channels) if happens(self.p) else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomInvert(Module):
    """Dark made bright and bright dark, with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.invert(img) if ops.rand(1).item() < self.p else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomPosterize(Module):
    """Only the upper `bits` of each value, with probability `p`."""

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__()
        self.bits = bits
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.posterize(img, self.bits) if ops.rand(1).item() < self.p else img

    def extra_repr(self) -> str:
        return f"bits={self.bits},p={self.p}"


class RandomSolarize(Module):
    """Values from `threshold` on inverted, with probability `p`."""

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.solarize(img, self.threshold) if ops.rand(1).item() < self.p else img

    def extra_repr(self) -> str:
        return f"threshold={self.threshold},p={self.p}"


class RandomAdjustSharpness(Module):
    """Sharpness changed by a factor (0 blurs, 1 keeps, 2 doubles), with probability `p`."""

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__()
        self.sharpness_factor = sharpness_factor
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor) if ops.rand(1).item() < self.p else img

    def extra_repr(self) -> str:
        return f"sharpness_factor={self.sharpness_factor},p={self.p}"


class RandomAutocontrast(Module):
    """Each channel stretched to the full range, with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.autocontrast(img) if ops.rand(1).item() < self.p else img

    def extra_repr(self) -> str:
        return f"p={self.p}"


class RandomEqualize(Module):
    """The values of each channel made about equally frequent, with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return F.equalize(img) if ops.rand(1).item() < self.p else img

    def extra_repr(self) -> str:
        return f"p={self.p}"
