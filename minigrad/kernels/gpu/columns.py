"""`convolution.unfold` and `fold` as one kernel each; what fold adds up comes in one order, so results repeat."""

from __future__ import annotations

import math

from minigrad.backend import Array, module_of
from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.gpu.launch import flat, over_elements
from minigrad.kernels.gpu.windows import moves

Shape = tuple[int, ...]


def unfold(image: Array, kernel: Shape, windows: Shape, how: Conv) -> Array:
    """Images (B, C, *sizes), of one to three sizes, as columns (B, C, *kernel, *windows)."""
    image = flat(image)
    batch, channels, *sizes = image.shape
    columns = module_of(image).empty((batch, channels, *kernel, *windows), image.dtype)
    how_far = moves(tuple(sizes), windows, kernel, *how[:3])
    over_elements(
        "columns", "unfold", image, columns.size // math.prod(kernel), image, columns, batch * channels, how_far
    )
    return columns


def fold(columns: Array, sizes: Shape, how: Conv) -> Array:
    """The transpose of `unfold`: columns (B, C, *kernel, *windows) added to images (B, C, *sizes)."""
    columns, n = flat(columns), len(sizes)
    batch, channels, *both = columns.shape
    image = module_of(columns).empty((batch, channels, *sizes), columns.dtype)
    how_far = moves(sizes, tuple(both[n:]), tuple(both[:n]), *how[:3])
    over_elements("columns", "fold", columns, image.size, columns, image, batch * channels, how_far)
    return image
