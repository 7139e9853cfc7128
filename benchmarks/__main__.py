"""`python -m benchmarks`: whole training steps on minigrad and on torch, in turn, with the ratio of their times.

With `--operations` single operations instead: small ones a hundred times a step, large ones once. With `--loader`
DataLoaders: sixteen batches a step.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.loader import LOADERS
from benchmarks.operations import OPERATIONS
from benchmarks.workloads import WORKLOADS

ENGINES = ("minigrad", "torch")
THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Result:
    """One workload at one number of threads; times in microseconds a step, memory in MiB."""

    workload: str
    threads: int
    minigrad_us: float
    torch_us: float
    ratio: float  # median of minigrad / torch over the rounds
    ratios: list[float]
    minigrad_peak_mib: float
    torch_peak_mib: float


class Worker:
    """A process that times one engine on one workload when asked."""

    def __init__(self, engine: str, workload: str, threads: int) -> None:
        environment = os.environ | dict.fromkeys(THREAD_SETTINGS, str(threads))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", engine, workload, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).resolve().parent.parent,
        )
        self.version = self._answer()["version"]

    def time(self, seconds: float) -> dict[str, float]:
        assert self.process.stdin is not None
        print(seconds, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a benchmark process ended with status {self.process.wait()}; its error is above")
        return json.loads(line)

    def close(self) -> None:
        self.process.communicate("")


def measure(workload: str, threads: int, rounds: int, seconds: float) -> tuple[Result, dict[str, str]]:
    """Time both engines in turn, `rounds` times `seconds` each."""
    workers = {engine: Worker(engine, workload, threads) for engine in ENGINES}
    times: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    peaks: dict[str, float] = {}
    try:
        for _ in range(rounds):
            for engine, worker in workers.items():
                answer = worker.time(seconds)
                times[engine].append(answer["seconds"] * 1e6)
                peaks[engine] = answer["peak_kib"] / 1024
    finally:
        for worker in workers.values():
            worker.close()
    ratios = [a / b for a, b in zip(times["minigrad"], times["torch"], strict=True)]
    result = Result(
        workload,
        threads,
        *(statistics.median(times[engine]) for engine in ENGINES),
        statistics.median(ratios),
        ratios,
        *(peaks[engine] for engine in ENGINES),
    )
    return result, {engine: worker.version for engine, worker in workers.items()}


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def plot(results: list[Result], path: str) -> None:
    """Bars of the ratio, one a workload and thread count, with the line at 1 where both are equal."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        sys.exit("a plot needs matplotlib: pip install '.[plot]'")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 0.45 * len(results) + 1.2), layout="constrained")
    labels = [f"{r.workload}, {r.threads} thread{'s' if r.threads > 1 else ''}" for r in results]
    bars = axes.barh(
        labels, [r.ratio for r in results], color=["#3a7ca5" if r.ratio <= 1 else "#c8553d" for r in results]
    )
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("time, minigrad / torch (less is faster)")
    axes.set_xlim(0, max([1.2, *(1.15 * r.ratio for r in results)]))
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--operations", action="store_true", help="single operations, not whole steps")
    parser.add_argument("--loader", action="store_true", help="DataLoaders, with and without workers")
    parser.add_argument("--only", nargs="+", choices=[*WORKLOADS, *OPERATIONS, *LOADERS], metavar="WORKLOAD")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one measurement; default: %(default)s")
    parser.add_argument("--json", help="default: steps.json, operations.json or loader.json in benchmarks/results")
    parser.add_argument("--plot", help="default: the same with .png; '' for none")
    options = parser.parse_args()
    kind, table = ("operations", OPERATIONS) if options.operations else ("steps", WORKLOADS)
    if options.loader:
        kind, table = "loader", LOADERS
    workloads = options.only or list(table)
    file = Path(options.json or f"benchmarks/results/{kind}.json")
    picture = str(file.with_suffix(".png")) if options.plot is None else options.plot

    facts, results = machine(), []
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    print(
        f"{'workload':28} {'threads':>7} {'minigrad us':>12} {'torch us':>10} {'ratio':>6} {'(min-max)':>12} "
        f"{'peak MiB':>14}"
    )
    versions: dict[str, str] = {}
    for threads in options.threads:
        for workload in workloads:
            r, versions = measure(workload, threads, options.rounds, options.seconds)
            results.append(r)
            spread = f"({min(r.ratios):.2f}-{max(r.ratios):.2f})"
            memory = f"{r.minigrad_peak_mib:.0f} / {r.torch_peak_mib:.0f}"
            print(f"{workload:28} {threads:7d} {r.minigrad_us:12.1f} {r.torch_us:10.1f} {r.ratio:6.2f} {spread:>12} "
                  f"{memory:>14}", flush=True)  # fmt: skip
    allocator = os.environ.get("MINIGRAD_KEEP_MALLOC") != "1"
    print(f"minigrad {versions['minigrad']}, torch {versions['torch']}; minigrad's allocator settings "
          f"{'on' if allocator else 'off'}, torch as it comes")  # fmt: skip
    record = {
        "date": datetime.date.today().isoformat(),
        "machine": facts,
        "versions": versions,
        "allocator_settings": allocator,
        "results": [asdict(r) for r in results],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1) + "\n")
    if picture:
        plot(results, picture)
    print(f"wrote {file}{f' and {picture}' if picture else ''}")


if __name__ == "__main__":
    main()
