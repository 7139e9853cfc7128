"""One engine in a process of its own, on one workload.

It answers in JSON, first that it is ready, then every line of its input: "time SECONDS", and "walk STEPS SECONDS", so
many steps, or as many as fit into the seconds. On a GPU blocks of steps are timed, each until the GPU has done it.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.device import peak_mib, waiting
from benchmarks.engines import ENGINES
from benchmarks.suites import SUITES
from benchmarks.workloads import Step

WARM_STEPS, WARM_SECONDS = 10, 1.0
BLOCK_SECONDS = 0.05  # of steps that are given to a GPU before it is awaited
STATUS = Path("/proc/self/status")


def warm_up(step: Step) -> Any:
    """Ten steps, or as many as begin within a second, but three at least: caches, pools and states are there then."""
    step()  # compiles, where that is done
    end = time.perf_counter() + WARM_SECONDS
    for done in range(1, WARM_STEPS):
        if done >= 3 and time.perf_counter() > end:
            break
        loss = step()
    return loss


def timed(step: Step, seconds: float) -> dict[str, float]:
    """Median time of the steps that begin within `seconds`, one at least."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times), **memory()}


def timed_on_gpu(step: Step, seconds: float, T: Any) -> dict[str, float]:
    """Median time of a step over the blocks that begin within `seconds`; memory is the GPU's."""
    wait = waiting(T, "cuda")

    def block(steps: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        return (time.perf_counter() - start) / steps

    steps = max(1, round(BLOCK_SECONDS / block(1)))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        times.append(block(steps))
    return {"seconds": statistics.median(times), "peak_mib": peak_mib(T)}


def walk(step: Step, steps: int, seconds: float) -> dict[str, float]:
    """Resident memory after a tenth of the steps and after all; fewer steps if all would take more than `seconds`."""
    fitting = int(seconds / max(timed(step, min(1.0, seconds / 10))["seconds"], 1e-9))
    steps = max(10, min(steps, fitting))
    for _ in range(steps // 10):
        step()
    early = memory()["resident_mib"]
    for _ in range(steps - steps // 10):
        step()
    return {"steps": steps, "early_mib": early, **memory()}


def memory() -> dict[str, float]:
    """Resident memory of this process now, and its peak, in MiB; where the system does not tell, the peak for both.

    The peak is not getrusage's: on Linux that one starts from the memory of the process that started this one.
    """
    if not STATUS.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        return {"resident_mib": peak, "peak_mib": peak}
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return {"resident_mib": int(fields["VmRSS"].split()[0]) / 1024, "peak_mib": int(fields["VmHWM"].split()[0]) / 1024}


def bind(threads: int) -> None:
    """Bind this process to as many cores as it may have threads: the one limit that all engines obey."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def answer(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the one who asks says that it was stopped
    name, suite, workload, threads, device = sys.argv[1:]
    if suite not in ("loader", "gpu"):  # whose workers want cores of their own, as the driver's threads do
        bind(int(threads))
    try:
        step = ENGINES[name].step(SUITES[suite][workload], int(threads), device)
        loss = warm_up(step)
    except Exception as error:  # of an engine that may be of any version: one that cannot do this is left out
        reason = str(error).strip().splitlines() or [""]
        return answer(left_out=f"{type(error).__name__}: {reason[0]}")
    answer(loss=float(loss.item()))
    for line in sys.stdin:
        order, *numbers = line.split()
        if order == "time":
            on_gpu = device == "cuda" or (device == "stand-in" and ENGINES[name].package == "minigrad")
            T = importlib.import_module(ENGINES[name].package)
            answer(**(timed_on_gpu(step, float(numbers[0]), T) if on_gpu else timed(step, float(numbers[0]))))
        else:
            answer(**walk(step, int(numbers[0]), float(numbers[1])))


if __name__ == "__main__":
    main()
