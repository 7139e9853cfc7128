"""What can be timed, by kind and name."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.engines import Workload
from benchmarks.loader import LOADERS
from benchmarks.operations import OPERATIONS
from benchmarks.scaling import SCALING
from benchmarks.workloads import GPU_WORKLOADS, WORKLOADS

SUITES: dict[str, Mapping[str, Workload]] = {
    "steps": WORKLOADS,
    "operations": OPERATIONS,
    "loader": LOADERS,
    "scaling": SCALING,
    "memory": WORKLOADS,
    "gpu": GPU_WORKLOADS,  # with --device cuda
}
