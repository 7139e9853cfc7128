"""Where what is timed runs: on the CPU, on a GPU, or, to try the benchmarks themselves, on the stand-in for one.

On the stand-in minigrad's device "cuda" is emulated and torch stays on the CPU: its times mean nothing.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from minigrad import backend

DEVICES = ("cpu", "cuda", "stand-in")
_installed = ExitStack()  # the stand-in, for as long as the process lives


def begin(device: str, package: str) -> str:
    """Prepare this process for `device`; returns the engine's own name for it. RuntimeError if it is not there."""
    if device == "stand-in":
        if package == "torch":
            return "cpu"
        _installed.enter_context(importlib.import_module("reference.strict_cupy").install())
        return "cuda"
    if device == "cuda" and not importlib.import_module(package).cuda.is_available():
        raise RuntimeError(f"{package} finds no GPU")
    return device


def waiting(T: Any, device: str) -> Callable[[], None]:
    """What waits until the device has done all that it was given; nothing is to be awaited on the CPU."""
    return T.cuda.synchronize if device == "cuda" else lambda: None


def peak_mib(T: Any) -> float:
    """Most memory of the GPU that the engine's arrays have held, in MiB."""
    return T.cuda.max_memory_allocated() / 2**20


def captured(T: Any, step: Callable[[], Any], warm_steps: int = 3) -> Callable[[], Any]:
    """`step` as a CUDA graph that is replayed as a whole; the optimizer then counts its steps on the GPU."""
    optimizer = getattr(step, "optimizer", None)
    for group in optimizer.param_groups if optimizer else ():
        if "capturable" in group:
            group["capturable"] = True
    side = T.cuda.Stream()
    side.wait_stream(T.cuda.current_stream())
    with T.cuda.stream(side), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of steps that are not captured, though they could be
        for _ in range(warm_steps):
            step()
    T.cuda.current_stream().wait_stream(side)
    graph = T.cuda.CUDAGraph()
    with T.cuda.graph(graph):
        result = step()

    def replay() -> Any:
        graph.replay()
        return result

    return replay


# -- what it was measured on -------------------------------------------------------------------------------------------


def facts() -> dict[str, str]:
    """The GPU, its driver and the libraries in use; of what cannot be asked, the reason."""
    return {name: _asked(question) for name, question in QUESTIONS.items()}


def _asked(question: Callable[[], Any]) -> str:
    try:
        return str(question())
    except Exception as error:  # whatever is not installed, or finds no GPU
        return f"unknown ({type(error).__name__})"


def _smi(field: str) -> str:
    """What `nvidia-smi` says of the first GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise FileNotFoundError("nvidia-smi")
    command = [program, f"--query-gpu={field}", "--format=csv,noheader", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


QUESTIONS: dict[str, Callable[[], Any]] = {
    "GPU": lambda: _smi("name"),
    "GPU memory": lambda: _smi("memory.total"),
    "driver": lambda: _smi("driver_version"),
    "CuPy": lambda: backend.gpu_module().__version__,
    "CUDA of the driver": lambda: backend.gpu_module().cuda.runtime.driverGetVersion(),
    "CUDA of CuPy": lambda: backend.gpu_module().cuda.runtime.runtimeGetVersion(),
    "CUDA of torch": lambda: importlib.import_module("torch").version.cuda,
    "cuDNN": lambda: importlib.import_module("cudnn").backend_version(),
    "cuDNN of torch": lambda: importlib.import_module("torch").backends.cudnn.version(),
    "cuDNN frontend": lambda: importlib.import_module("cudnn").__version__,
}
