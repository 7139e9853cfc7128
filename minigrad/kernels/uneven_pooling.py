"""Maxima of windows that start anywhere, and where windows start that cover a dimension evenly, or at random.

Shapes: x (..., *sizes); starts and ends (windows,) for each spatial axis, or (..., windows) with those of every plane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

Array = Any
Shape = tuple[int, ...]


def even_windows(size: int, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """Where windows start and end that cover `size` positions: window i goes from floor(i*n/m) to ceil((i+1)*n/m)."""
    i = np.arange(windows)
    return i * size // max(windows, 1), -(-(i + 1) * size // max(windows, 1))


def random_windows(sample: Array, size: int, windows: int, kernel: int, xp: ModuleType) -> Array:
    """Where windows of `kernel` positions start, for every plane by its `sample` of [0, 1) (Graham 2014).

    They are (size - kernel) / (windows - 1) apart, cut to whole numbers from an offset on; the last ends at the end.
    """
    last = xp.full((*sample.shape, 1), size - kernel, "int64")
    if windows < 2:
        return last[..., :windows]
    apart, sample = sample.dtype.type(size - kernel) / sample.dtype.type(windows - 1), sample[..., None]
    first = xp.trunc((xp.arange(windows - 1, dtype=sample.dtype) + sample) * apart) - xp.trunc(sample * apart)
    return xp.concatenate([first.astype("int64"), last], axis=-1)


def max_windows(
    x: Array, starts: Sequence[Array], ends: Sequence[Array], widths: Shape, xp: ModuleType
) -> tuple[Array, Array]:
    """The largest number of every window, none wider than `widths`, and its flat position in (*sizes), int64.

    Of equal numbers the first in memory order wins; a nan beats all, of several the last, as in torch. Since the
    maximum of a box is that of its rows' maxima, one axis comes after the other.
    """
    n = len(widths)
    sizes = x.shape[x.ndim - n :]
    values, places = x, xp.broadcast_to(xp.arange(math.prod(sizes)).reshape(sizes), x.shape)
    for axis in range(-1, -1 - n, -1):
        start, last = xp.asarray(starts[axis]), xp.asarray(ends[axis]) - 1
        at = _along(start, axis, n)
        best, place = _pick(values, at, axis, xp), _pick(places, at, axis, xp)
        for tap in range(1, widths[axis]):
            at = _along(xp.minimum(start + tap, last), axis, n)  # a narrower window meets its last number again
            value = _pick(values, at, axis, xp)
            wins = (value > best) | (value != value)
            best, place = xp.where(wins, value, best), xp.where(wins, _pick(places, at, axis, xp), place)
        values, places = best, place
    return values, places


def _along(at: Array, axis: int, n: int) -> Array:
    """Positions (..., windows) of every plane as (..., 1, windows, 1), the windows at `axis` of n."""
    if at.ndim == 1:
        return at
    after = -1 - axis
    return at.reshape(*at.shape[:-1], *(1,) * (n - 1 - after), at.shape[-1], *(1,) * after)


def _pick(x: Array, at: Array, axis: int, xp: ModuleType) -> Array:
    return x.take(at, axis=axis) if at.ndim == 1 else xp.take_along_axis(x, at, axis=axis)
