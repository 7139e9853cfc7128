"""One engine in a process of its own: for every line "seconds" on its input it times steps and answers with JSON."""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time

from benchmarks.loader import LOADERS
from benchmarks.operations import OPERATIONS
from benchmarks.workloads import WORKLOADS, Step


def median_step(step: Step, seconds: float) -> float:
    """Median time of a step, over steps that together take `seconds`; at least three."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    engine, workload, threads = sys.argv[1:]
    T = importlib.import_module(engine)
    if engine == "torch":
        T.set_num_threads(int(threads))
    T.manual_seed(0)
    step = (WORKLOADS | OPERATIONS | LOADERS)[workload](T)
    for _ in range(10):
        loss = step()
    print(json.dumps({"version": T.__version__, "pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        seconds = median_step(step, float(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"seconds": seconds, "peak_kib": peak, "loss": float(loss.item())}), flush=True)


if __name__ == "__main__":
    main()
