"""Elements moved between channels and pixels: pixel_shuffle, pixel_unshuffle, channel_shuffle.

All only reorder, so each derivative is the way back.
"""

from __future__ import annotations

from typing import Any

from minigrad.autograd.op import Op

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


@Op
def pixel_shuffle(input, upscale_factor: int):
    """(..., C * r * r, H, W) -> (..., C, H * r, W * r) for a factor of r: channels become pixels.

    RuntimeError if the channels are no multiple of r * r.
    """
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={channels} is not divisible by {r * r}"
        )
    blocks = input.reshape(*batch, channels // (r * r), r, r, height, width)
    blocks = blocks.swapaxes(-4, -2).swapaxes(-3, -2).swapaxes(-2, -1)  # C, r, s, H, W -> C, H, r, W, s
    return blocks.copy().reshape(*batch, channels // (r * r), height * r, width * r)


@Op
def pixel_unshuffle(input, downscale_factor: int):
    """(..., C, H * r, W * r) -> (..., C * r * r, H, W) for a factor of r: the way back from `pixel_shuffle`.

    RuntimeError if height or width is no multiple of r.
    """
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *batch, channels, height, width = input.shape
    for name, axis, size in (("height", -2, height), ("width", -1, width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({axis})={size} is "
                f"not divisible by {r}"
            )
    blocks = input.reshape(*batch, channels, height // r, r, width // r, r)
    blocks = blocks.swapaxes(-2, -1).swapaxes(-3, -2).swapaxes(-4, -2)  # C, H, r, W, s -> C, r, s, H, W
    return blocks.copy().reshape(*batch, channels * r * r, height // r, width // r)


pixel_shuffle.derivative(input=lambda g, upscale_factor: pixel_unshuffle(g, upscale_factor))
pixel_unshuffle.derivative(input=lambda g, downscale_factor: pixel_shuffle(g, downscale_factor))


def _factor(name: str, argument: str, input: Any, factor: Any) -> int:
    if not isinstance(factor, int):
        raise TypeError(f"{name}(): argument '{argument}' (position 2) must be int, not {type(factor).__name__}")
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if factor < 1:
        raise RuntimeError(f"{name} expects a positive {argument}, but got {factor}")
    return factor


@Op
def channel_shuffle(input, groups: int):
    """Channels (dim 1) dealt out: the first of each of `groups` equal groups, then the second of each, and so on.

    RuntimeError if the channels are no multiple of the groups.
    """
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if groups < 1:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    n, channels, *sizes = input.shape
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    return input.reshape(n, groups, channels // groups, *sizes).swapaxes(1, 2).copy().reshape(input.shape)


channel_shuffle.derivative(
    input=lambda g, groups, input_shape: channel_shuffle(g, max(1, input_shape[1] // groups)),
)
