"""CuPy's RawKernel without a GPU: the CUDA source is compiled for the CPU and run on the stand-in's memory.

`cuda_on_cpu.h` beside this file has the language. Arguments are checked against the kernel's parameters, which CuPy
cannot do: a Python int must meet a `long long`, a float a `double`, an array a pointer to its dtype.
"""

from __future__ import annotations

import ctypes
import functools
import getpass
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from reference.strict_array import ndarray
from reference.strict_capture import launch

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
KERNEL = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(([^)]*)\)')
DTYPES = {
    "float": "float32", "double": "float64", "long long": "int64", "int": "int32", "unsigned": "uint32",
    "unsigned long long": "uint64", "unsigned char": "uint8", "bool": "bool",
}  # fmt: skip
FLAGS = os.environ.get("CUDA_ON_CPU_FLAGS", "-O1").split()  # such as "-O1 -fsanitize=address"


@functools.cache
def compiler() -> str | None:
    """The C++ compiler, None where there is none: then there are no kernels."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("c++")


def built(code: str, options: tuple[str, ...]) -> Path:
    """A shared library of C++ `code`, compiled once for all processes and kept in the folder for temporary files."""
    command = [compiler() or "g++", "-std=c++17", "-shared", "-fPIC", "-ffp-contract=off", "-w", *FLAGS, *options]
    key = hashlib.sha256("\0".join([*command, HEADER.read_text("utf-8"), code]).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"minigrad-cuda-on-cpu-{getpass.getuser()}"
    library = folder / f"{key}.so"
    if not library.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            text, made = Path(work, "code.cpp"), Path(work, "code.so")
            text.write_text(code, "utf-8")
            done = subprocess.run([*command, str(text), "-o", str(made)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"the kernels' source does not compile:\n{done.stderr}")
            made.replace(library)
    return library


@functools.cache
def _library(code: str, options: tuple[str, ...]) -> tuple[Any, dict[str, list[str]]]:
    """The compiled source with a launcher for each kernel, and the types of the kernels' parameters."""
    kernels = {name: _types(parameters) for name, parameters in KERNEL.findall(code)}
    plain = "false" if re.search(r"__sync|__shfl", code) else "true"
    launchers = "".join(
        f'extern "C" int launch_{name}(const unsigned* grid, const unsigned* block, void** args) {{\n'
        f"    return emulated::run(grid, block, {plain}, [&] {{\n"
        f"        {name}({', '.join(f'*({kind}*)args[{i}]' for i, kind in enumerate(kinds))});\n    }});\n}}\n"
        + "".join(
            f'extern "C" unsigned long size_of_{name}_{i}() {{ return sizeof({kind}); }}\n'
            for i, kind in enumerate(kinds)
        )
        for name, kinds in kernels.items()
    )
    language = tuple(option for option in options if option.startswith("-D"))
    # PyDLL: Python's lock is kept, for the emulation has one set of fibers.
    library = ctypes.PyDLL(str(built(f'#include "{HEADER}"\n{code}\n{launchers}', language)))
    real = next((option.removeprefix("-Dreal=") for option in options if option.startswith("-Dreal=")), "real")
    return library, {name: [kind.replace("real", real) for kind in kinds] for name, kinds in kernels.items()}


@launch
def _start(library: Any, name: str, sizes: list[Any], pointers: Any, kept: Any) -> None:
    """Run a kernel; `kept` are the objects behind its pointers."""
    if getattr(library, f"launch_{name}")(*sizes, pointers):
        raise RuntimeError(f"{name}: not all threads reach a barrier that others wait at")


def _types(parameters: str) -> list[str]:
    """`const real* x, long long n` as ["real*", "long long"]."""
    plain = re.sub(r"\b(const|__restrict__|__grid_constant__)\b", " ", parameters)
    found = [re.fullmatch(r"\s*(.*?)\s*(\**)\s*\w+\s*", part, re.S) for part in plain.split(",")]
    return [f"{' '.join(m[1].split())}{m[2]}" for m in found if m]


class RawKernel:
    """cupy.RawKernel: `kernel(grid, block, args)` runs the kernel on arrays of the stand-in."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.code, self.name, self.options = code, name, options

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0) -> None:
        """Launch it; TypeError for arguments that do not fit, RuntimeError for a launch that a GPU would refuse."""
        if shared_mem:
            raise NotImplementedError("dynamic shared memory")
        grid, block = ((*size, 1, 1)[:3] for size in (grid, block))
        if not all(type(n) is int and n > 0 for n in (*grid, *block)) or np.prod(block) > 1024:
            raise RuntimeError(f"cudaErrorInvalidConfiguration: grid {grid}, block {block}")
        library, kernels = _library(self.code, self.options)
        kinds = kernels[self.name]
        if len(args) != len(kinds):
            raise TypeError(f"{self.name} takes {len(kinds)} arguments ({', '.join(kinds)}), got {len(args)}")
        values = [self._value(library, i, kind, value) for i, (kind, value) in enumerate(zip(kinds, args))]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]
        _start(library, self.name, sizes, pointers, (args, values))

    def _value(self, library: Any, i: int, kind: str, value: Any) -> Any:
        """The argument as C sees it."""
        if kind.endswith("*"):
            if value is None:
                return ctypes.c_void_p()
            if isinstance(value, ndarray) and str(value.dtype) == DTYPES.get(kind[:-1]) and value.flags.forc:
                return ctypes.c_void_p(value.data.ptr)
        elif kind == "long long" and type(value) is int:
            return ctypes.c_longlong(value)
        elif kind == "double" and type(value) is float:
            return ctypes.c_double(value)
        elif kind == "bool" and type(value) is bool:
            return ctypes.c_bool(value)
        elif isinstance(value, np.ndarray) and value.size == 1 and value.dtype.names:  # a struct
            if getattr(library, f"size_of_{self.name}_{i}")() != value.nbytes:
                raise TypeError(f"{self.name}: parameter {i} is a {kind} of another size than {value.nbytes} bytes")
            return (ctypes.c_char * value.nbytes).from_buffer_copy(value.tobytes())
        got = f"{type(value).__name__} {getattr(value, 'dtype', '')} {getattr(value, 'flags', '')}"
        raise TypeError(f"{self.name}: parameter {i} is a {kind}, not {got}")
