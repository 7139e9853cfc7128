"""Compiling the CUDA sources beside this file, and launching their kernels.

A source is compiled by CuPy (NVRTC) at its first launch, once for float32 and once for float64 (`real`), and kept by
CuPy on disk. Kernels take arrays without gaps, `long long` and `double` numbers (Python's int and float), `bool`, and
structs (a NumPy array of one element).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from minigrad.backend import Array, is_gpu_array, module_of, ndarray

THREADS = 256  # of a block; common.cu says the same
WARP, SHORT = 32, 1024  # threads of a warp, and numbers of a row up to which they are enough for it
BLOCKS = 1 << 16  # of a launch at most: the kernels' loops take the rest
_REAL = {"f": "float", "d": "double"}


class _Switch:
    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = True


_kernels = _Switch()


@contextlib.contextmanager
def without_kernels() -> Iterator[None]:
    """The plain way inside, on the GPU too: for comparing the two."""
    before, _kernels.on = _kernels.on, False
    try:
        yield
    finally:
        _kernels.on = before


def takes(first: Array, *more: Array | None, dtypes: str = "fd") -> bool:
    """Whether kernels may take the arrays: on the GPU, of one dtype, float32 or float64, the first with elements.

    None counts for nothing. A derivative that is itself recorded computes with tensors: those are no arrays.
    """
    if type(first) is ndarray:  # at once, as every op on the CPU asks
        return False
    if not is_gpu_array(first) or first.dtype.char not in dtypes or not first.size or not _kernels.on:
        return False
    return all(a is None or (is_gpu_array(a) and a.dtype == first.dtype) for a in more)


@functools.cache
def source(file: str) -> str:
    """The text of a `.cu` file, with what all have in common before it."""
    folder = Path(__file__).parent
    return "".join((folder / f"{name}.cu").read_text("utf-8") for name in ("common", file))


@functools.cache
def _kernel(xp: ModuleType, file: str, name: str, char: str) -> Any:
    return xp.RawKernel(source(file), name, ("-std=c++17", f"-Dreal={_REAL.get(char, 'float')}"))


def launch(file: str, name: str, like: Array, blocks: int, *args: Any, threads: int = THREADS) -> None:
    """Start kernel `name` of `file`.cu, compiled for the dtype of `like`, on the current stream."""
    kernel = _kernel(module_of(like), file, name, like.dtype.char)
    kernel((min(max(blocks, 1), BLOCKS),), (threads,), args)


def over_elements(file: str, name: str, like: Array, count: int, *args: Any) -> None:
    """Start a kernel that takes `count` elements, one a thread."""
    launch(file, name, like, -(-count // THREADS), *args)


def team_for(n: int) -> int:
    """How many threads take a row of n numbers: a warp, or a block."""
    return WARP if n <= SHORT else THREADS


def flat(array: Array) -> Array:
    """The array without gaps in memory: itself, or a copy."""
    return array if array.flags.c_contiguous else module_of(array).ascontiguousarray(array)
