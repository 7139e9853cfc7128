"""The CUDA sources compile for a GPU, and the emulation that runs them on the CPU shows mistakes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from minigrad.kernels import gpu
from minigrad.kernels.gpu.launch import source
from reference import strict_kernels
from reference.strict_array import wrap
from tests.gpu import needs_emulation

SOURCES = sorted(path.stem for path in Path(gpu.__file__).parent.glob("*.cu") if path.stem != "common")


def said_by_nvcc(text: str, real: str, folder: Path) -> str:
    """What nvcc has against a source; warnings count."""
    path = folder / f"{real}.cu"
    path.write_text(text, "utf-8")
    options = ["-arch=sm_90", "-cubin", "-std=c++17", "-Werror", "all-warnings", f"-Dreal={real}"]
    done = subprocess.run(["nvcc", *options, path, "-o", folder / real], stderr=subprocess.PIPE, text=True)
    return done.stderr if done.returncode else ""


def said_by_nvrtc(text: str, real: str, folder: Path) -> str:
    """What NVRTC, with which CuPy compiles them, has against a source."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(text, f"{real}.cu", [], [])
    try:
        nvrtc.compileProgram(program, ["-std=c++17", f"-Dreal={real}", "--gpu-architecture=sm_90"])
    except nvrtc.NVRTCError:
        return nvrtc.getProgramLog(program)
    return ""


def has_nvrtc() -> bool:
    try:
        from cupy.cuda import nvrtc

        return bool(nvrtc.getVersion())
    except (ImportError, RuntimeError):
        return False


COMPILERS = [
    pytest.param(said_by_nvcc, marks=pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not installed")),
    pytest.param(said_by_nvrtc, marks=pytest.mark.skipif(not has_nvrtc(), reason="CuPy with NVRTC is not installed")),
]


@pytest.mark.parametrize("complaints", COMPILERS)
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("file", SOURCES)
def test_the_source_compiles_for_a_gpu(file, real, complaints, tmp_path):
    """For Hopper."""
    assert complaints(source(file), real, tmp_path) == ""


RACE = """
extern "C" __global__ void turned(const real* x, real* out, bool waits) {
    __shared__ real kept[64];
    kept[threadIdx.x] = x[threadIdx.x];
    if (waits) __syncthreads();
    out[threadIdx.x] = kept[63 - threadIdx.x];
}
extern "C" __global__ void halves(real* out) {
    if (threadIdx.x % 2) __syncthreads();
    out[threadIdx.x] = __shfl_xor_sync(0xffffffff, threadIdx.x, 1);
}
extern "C" __global__ void typed(const real* x, const long long* i, long long n, double a, bool b) {}
"""


def kernel(name):
    return strict_kernels.RawKernel(RACE, name, ("-Dreal=float",))


@needs_emulation
def test_the_emulation_shows_a_missing_barrier():
    out = wrap(np.zeros(64, "float32"))
    for waits in (True, False):
        x = wrap(np.arange(64, dtype="float32") + waits)  # not what the other launch has left in shared memory
        kernel("turned")((1,), (64,), (x, out, waits))
        assert np.array_equal(out.get(), x.get()[::-1]) == waits


@needs_emulation
def test_a_barrier_that_some_never_reach_is_an_error():
    with pytest.raises(RuntimeError, match="halves: not all threads reach a barrier"):
        kernel("halves")((1,), (64,), (wrap(np.zeros(64, "float32")),))


@needs_emulation
def test_arguments_must_be_what_the_kernel_declares():
    x, i = wrap(np.zeros(2, "float32")), wrap(np.zeros(2, "int64"))
    fits = [x, i, 2, 1.0, True]
    kernel("typed")((1,), (32,), tuple(fits))
    wrong = {0: wrap(np.zeros(2)), 1: x, 2: 2.0, 3: 1, 4: 1}
    for place, value in wrong.items():
        args = [value if n == place else argument for n, argument in enumerate(fits)]
        with pytest.raises(TypeError, match=f"typed: parameter {place} is a"):
            kernel("typed")((1,), (32,), tuple(args))
    with pytest.raises(TypeError, match="parameter 0"):
        kernel("typed")((1,), (32,), (wrap(np.zeros((4, 4), "float32"))[:, 0], *fits[1:]))
    with pytest.raises(RuntimeError, match="cudaErrorInvalidConfiguration"):
        kernel("typed")((1,), (2048,), tuple(fits))
