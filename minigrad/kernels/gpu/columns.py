"""`convolution.unfold` and `fold` as one kernel each; what fold adds up comes in one order, so results repeat."""

from __future__ import annotations

import functools

from minigrad.backend import Array, module_of, np
from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.gpu.launch import flat, over_elements

Shape = tuple[int, ...]

_MOVES = np.dtype([(name, "i4", 3) for name in ("size", "windows", "kernel", "stride", "padding", "dilation")])
_NEUTRAL = (1, 1, 1, 1, 0, 1)  # of a dimension that is not there


def unfold(image: Array, kernel: Shape, windows: Shape, how: Conv) -> Array:
    """Images (B, C, *sizes), of one to three sizes, as columns (B, C, *kernel, *windows)."""
    image = flat(image)
    batch, channels, *sizes = image.shape
    columns = module_of(image).empty((batch, channels, *kernel, *windows), image.dtype)
    planes, moves = batch * channels, _moves(tuple(sizes), windows, kernel, how)
    over_elements("columns", "unfold", image, columns.size // _taps(moves), image, columns, planes, moves)
    return columns


def fold(columns: Array, sizes: Shape, how: Conv) -> Array:
    """The transpose of `unfold`: columns (B, C, *kernel, *windows) added to images (B, C, *sizes)."""
    columns, n = flat(columns), len(sizes)
    batch, channels, *both = columns.shape
    image = module_of(columns).empty((batch, channels, *sizes), columns.dtype)
    moves = _moves(sizes, tuple(both[n:]), tuple(both[:n]), how)
    over_elements("columns", "fold", columns, image.size, columns, image, batch * channels, moves)
    return image


def _taps(moves: np.ndarray) -> int:
    return int(moves["kernel"].prod())


@functools.lru_cache(maxsize=1024)
def _moves(sizes: Shape, windows: Shape, kernel: Shape, how: Conv) -> np.ndarray:
    """What the source calls Moves."""
    fields = (sizes, windows, kernel, how.stride, how.padding, how.dilation)
    missing = 3 - len(sizes)
    return np.array([tuple((neutral,) * missing + given for neutral, given in zip(_NEUTRAL, fields))], _MOVES)
