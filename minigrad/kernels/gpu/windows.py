"""The struct by which kernels over windows are told of them: three dimensions, those not there being neutral."""

from __future__ import annotations

import functools

from minigrad.backend import np

Shape = tuple[int, ...]

_FIELDS = {"size": 1, "windows": 1, "kernel": 1, "stride": 1, "padding": 0, "dilation": 1}  # and what is neutral
_STRUCT = np.dtype([(name, np.int32, 3) for name in _FIELDS])


@functools.lru_cache(maxsize=1024)
def moves(size: Shape, windows: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> np.ndarray:
    """`Moves` of columns.cu, `Pool` of pooling.cu: of one to three dimensions each."""
    given = (size, windows, kernel, stride, padding, dilation)
    missing = 3 - len(size)
    return np.array([tuple((neutral,) * missing + part for neutral, part in zip(_FIELDS.values(), given))], _STRUCT)
