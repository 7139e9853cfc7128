"""One engine in a process of its own: for every line "seconds" on its input it times steps and answers with JSON."""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time
from typing import Any

from benchmarks.loader import LOADERS
from benchmarks.operations import OPERATIONS
from benchmarks.workloads import WORKLOADS, Step

WARM_STEPS, WARM_SECONDS = 10, 1.0


def warm_up(step: Step) -> Any:
    """Ten steps, or as many as begin within a second, but two at least: caches, pools and states are there then."""
    end = time.perf_counter() + WARM_SECONDS
    for done in range(WARM_STEPS):
        if done >= 2 and time.perf_counter() > end:
            break
        loss = step()
    return loss


def median_step(step: Step, seconds: float) -> float:
    """Median time of a step, over the steps that begin within `seconds`: one at least, the rounds are several."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
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
    loss = warm_up(step)
    print(json.dumps({"version": T.__version__, "pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        seconds = median_step(step, float(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"seconds": seconds, "peak_kib": peak, "loss": float(loss.item())}), flush=True)


if __name__ == "__main__":
    main()
