"""cuBLAS without a GPU: `cublas_on_cpu.cpp` beside this file, compiled, for minigrad to load instead of libcublas."""

from __future__ import annotations

import functools
from pathlib import Path

from minigrad.kernels.gpu.blas import Library
from reference.strict_capture import launch
from reference.strict_kernels import built, compiler

SOURCE = Path(__file__).with_name("cublas_on_cpu.cpp")


@functools.cache
def library() -> Library | None:
    """Its functions, whose products a capturing stream records; None without a C++ compiler."""
    if compiler() is None:
        return None
    made = Library(str(built(SOURCE.read_text("utf-8"), ())))
    made.gemm, made.gemm_batched = launch(made.gemm), launch(made.gemm_batched)
    return made
