"""Measuring: every engine in a process of its own, and all of them in turn, round after round."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engines import may_run
from benchmarks.suites import SUITES

BASE = "torch"
THREAD_SETTINGS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUM_CPU_THREADS"
)  # fmt: skip


@dataclass
class Timing:
    """One engine on one workload."""

    microseconds: float  # a step: the median over the rounds of each round's median
    ratio: float  # to torch: the median over the rounds
    ratios: list[float]
    peak_mib: float


@dataclass
class Result:
    workload: str
    threads: int
    engines: dict[str, Timing]


@dataclass
class Growth:
    """Memory of one engine's process on one workload, in MiB: after a tenth of the steps, after all, at its peak."""

    workload: str
    threads: int
    engine: str
    steps: int
    early_mib: float
    resident_mib: float
    peak_mib: float


class Worker:
    """A process that runs one engine on one workload when asked; `left_out` says why it cannot."""

    def __init__(self, engine: str, suite: str, workload: str, threads: int, device: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", engine, suite, workload, str(threads), device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(THREAD_SETTINGS, str(threads)),
            cwd=Path(__file__).resolve().parent.parent,
        )
        self.what = f"{engine} on {workload}"

    def ask(self, *words: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)
        answer = self.answer()
        if "left_out" in answer:
            raise RuntimeError(f"{self.what}: {answer['left_out']}")
        return answer

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"left_out": f"its process ended with status {self.process.wait()}"}

    def close(self) -> None:
        self.process.communicate("")


class Workers:
    """The processes of some engines on one workload, all ready. `with` ends them."""

    def __init__(self, engines: list[str], suite: str, workload: str, threads: int, device: str = "cpu") -> None:
        names = [name for name in engines if may_run(name, SUITES[suite][workload])]
        self.ready = {name: Worker(name, suite, workload, threads, device) for name in names}
        for name, worker in list(self.ready.items()):
            if "left_out" in (answer := worker.answer()):
                print(f"{worker.what} is left out: {answer['left_out']}", file=sys.stderr)
                self.ready.pop(name).close()
        if BASE not in self.ready:
            self.__exit__()
            raise RuntimeError(f"without {BASE} there is nothing to compare {workload} with")

    def __enter__(self) -> dict[str, Worker]:
        return self.ready

    def __exit__(self, *_: object) -> None:
        for worker in self.ready.values():
            worker.close()


def measure(
    engines: list[str], suite: str, workload: str, threads: int, rounds: int, seconds: float, device: str = "cpu"
) -> Result:
    """Time the engines in turn, `rounds` times `seconds` each."""
    answers: dict[str, list[dict[str, float]]] = {}
    with Workers(engines, suite, workload, threads, device) as workers:
        for _ in range(rounds):
            for name, worker in workers.items():
                answers.setdefault(name, []).append(worker.ask("time", seconds))
    timings = {}
    for name, own in answers.items():
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(own, answers[BASE], strict=True)]
        timings[name] = Timing(
            microseconds=statistics.median(a["seconds"] for a in own) * 1e6,
            ratio=statistics.median(ratios),
            ratios=ratios,
            peak_mib=max(a["peak_mib"] for a in own),
        )
    return Result(workload, threads, timings)


def grow(engines: list[str], workload: str, threads: int, steps: int, seconds: float) -> list[Growth]:
    """Let the engines take `steps` steps each, or as many as fit into `seconds`, and see what memory they hold."""
    with Workers(engines, "memory", workload, threads) as workers:
        return [
            Growth(workload, threads, name, **worker.ask("walk", steps, seconds)) for name, worker in workers.items()
        ]
