"""The engines that can be timed: what each needs, and how it is given a workload."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import other_engines
from benchmarks.device import DEVICES, begin, captured
from benchmarks.workloads import Chain, Step, Training, allow_tf32

Workload = Callable[..., Step]


Start = Callable[[str, Workload, int, str], Step]  # of the package, the workload, the number of threads, the device


@dataclass(frozen=True)
class Engine:
    """`package` is what is imported and installed; `program` what it compiles with."""

    package: str
    start: Start
    program: str = ""
    devices: tuple[str, ...] = ("cpu",)

    def step(self, workload: Workload, threads: int, device: str = "cpu") -> Step:
        """The workload on this engine; NotImplementedError if it has it not."""
        return self.start(self.package, workload, threads, device)

    def missing(self, device: str = "cpu") -> str:
        """What must be installed before it runs on a device; '' if nothing."""
        if device not in self.devices:
            return f"not written for the device {device}"
        if importlib.util.find_spec(self.package) is None:
            return f"not installed (pip install {self.package})"
        if self.program and not shutil.which(self.program):
            return f"it compiles with {self.program}, which is not installed"
        return ""


def _torch_api(package: str, workload: Workload, threads: int, device: str) -> Step:
    T = importlib.import_module(package)
    if package == "torch":
        T.set_num_threads(threads)
    T.manual_seed(0)
    if device == "cpu":
        return workload(T)
    allow_tf32(T, False)  # unless the workload says otherwise
    return workload(T, begin(device, package))


def _captured(package: str, workload: Workload, threads: int, device: str) -> Step:
    """The whole step as one CUDA graph."""
    step = _torch_api(package, workload, threads, device)
    if device == "stand-in" and package == "torch":
        raise NotImplementedError("torch captures on a GPU only")
    return captured(importlib.import_module(package), step)


def _compiled(package: str, workload: Workload, threads: int, device: str) -> Step:
    """Network and loss compiled, and with them their backward; the optimizer is torch's own."""
    step = _torch_api(package, workload, threads, device)
    if not isinstance(step, Training):
        raise NotImplementedError("nothing to compile")
    step.forward = importlib.import_module(package).compile(step.forward)
    return step


def _chain(build: Callable[[Chain], Step]) -> Start:
    def start(package: str, workload: Workload, threads: int, device: str) -> Step:
        if not isinstance(workload, Chain):
            raise NotImplementedError("not written for its API")
        return build(workload)

    return start


ENGINES = {
    "minigrad": Engine("minigrad", _torch_api, devices=DEVICES),
    "minigrad.graph": Engine("minigrad", _captured, devices=("cuda", "stand-in")),
    "torch": Engine("torch", _torch_api, devices=DEVICES),  # eager: what all are compared with
    "torch.graph": Engine("torch", _captured, devices=("cuda", "stand-in")),
    "torch.compile": Engine("torch", _compiled, os.environ.get("CXX", "g++"), ("cpu", "cuda")),
    "jax": Engine("jax", _chain(other_engines.jax_step)),
    "autograd": Engine("autograd", _chain(other_engines.autograd_step)),
    "mygrad": Engine("mygrad", _chain(other_engines.mygrad_step)),
    "tinygrad": Engine("tinygrad", _chain(other_engines.tinygrad_step), "clang"),
}


def may_run(name: str, workload: Workload) -> bool:
    """False where it is plain, without a process being started, that the engine has no such workload."""
    return ENGINES[name].start in (_torch_api, _captured, _compiled) or isinstance(workload, Chain)
