"""Kernels for the GPU, run without one: on the stand-in for CuPy, whose kernels are emulated on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import random
from minigrad.kernels.gpu.launch import without_kernels
from reference import strict_cupy, strict_kernels

needs_emulation = pytest.mark.skipif(strict_kernels.compiler() is None, reason="no C++ compiler to run kernels with")
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """A tensor of normal numbers on the GPU."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return minigrad.tensor(values, dtype=getattr(minigrad, dtype)).cuda()


def assert_kernels_change_nothing(program: Callable[[str], list[Any]], dtype: str, rtol: float | None = None) -> None:
    """`program(dtype)` gives tensors on the GPU: with kernels the same as without, up to the rounding of sums."""
    with strict_cupy.install():
        with_kernels = [t.detach().cpu().numpy() for t in program(dtype)]
        with without_kernels():
            plain = [t.detach().cpu().numpy() for t in program(dtype)]
    rtol = rtol or (2e-5 if dtype == "float32" else 1e-12)
    for a, b in zip(with_kernels, plain, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b[np.isfinite(b)]).max(initial=0))


@contextmanager
def drawn_as_on_the_gpu() -> Iterator[random.GpuGenerator]:
    """What is drawn for the CPU inside comes from a Philox generator: the specification of what the GPU draws."""
    before, generator = random.default_generator, random.GpuGenerator("cpu")
    random.default_generator = generator
    try:
        yield generator
    finally:
        random.default_generator = before
