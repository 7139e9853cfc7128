"""What is installed, what the GPU is, and how cuDNN describes it."""

from __future__ import annotations

import importlib

from benchmarks.device import facts
from benchmarks.gpu.bench import Bench
from benchmarks.report import machine, versions


def section(bench: Bench) -> None:
    for name, value in {**machine(), **facts(), **versions()}.items():
        bench.row(name, is_=value)
    for module in ("cupy", "cudnn", "pytest", "hypothesis", "numba", "triton"):
        bench.row(module, is_=version_of(module))
    if not bench.stand_in:
        # The description by which plans can be built, and tested, without a GPU.
        bench.attempt("device properties", lambda: _describe(bench))


def version_of(module: str) -> str:
    try:
        return str(getattr(importlib.import_module(module), "__version__", "installed"))
    except ImportError:
        return "not installed"


def _describe(bench: Bench) -> None:
    described = importlib.import_module("cudnn").create_device_properties(0).serialize()
    bench.row("device properties", is_=described)
    (bench.folder / "device_properties.json").write_text(described + "\n")
