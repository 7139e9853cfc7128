"""Whole training steps, as `minigrad bench --device cuda` times them, and how they stand beside what is aimed at."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from benchmarks.engines import ENGINES
from benchmarks.gpu.bench import Bench
from benchmarks.measure import BASE, measure
from benchmarks.report import duration, record
from benchmarks.suites import SUITES

WANTED = ("minigrad", "minigrad.graph", "torch", "torch.graph")
QUICK = ("linear-regression", "mnist-mlp", "lenet", "bilstm", "resnet18, batch 128", "char-transformer")
TINY = ("linear-regression",)


def section(bench: Bench) -> None:
    """Every engine in a process of its own; ratios are to torch's eager time in the same round."""
    device = "stand-in" if bench.stand_in else "cuda"
    engines = [name for name in WANTED if not ENGINES[name].missing(device)]
    if BASE not in engines:
        raise ModuleNotFoundError(f"{BASE}, with which steps are compared, is not installed")
    rounds, seconds = (1, 0.01) if bench.stand_in else (3, 0.2) if bench.quick else (5, 0.3)
    results: list[dict[str, Any]] = []

    def one(workload: str) -> None:
        result = asdict(measure(engines, "gpu", workload, 1, rounds, seconds, device))
        results.append(result)
        for engine in engines:
            if engine in result["engines"]:
                t = result["engines"][engine]
                text = f"{workload}, {engine}"
                bench.row(text, time=duration(t["microseconds"]), ratio=t["ratio"], peak_mib=t["peak_mib"])
            elif not bench.stand_in:
                bench.fail(f"{workload}, {engine}", "left out; the reason is on the standard error")
        saved = record("gpu", results, device, rounds=rounds, seconds=seconds)
        (bench.folder / "gpu.json").write_text(json.dumps(saved, indent=1) + "\n")

    for workload in TINY if bench.stand_in else QUICK if bench.quick else SUITES["gpu"]:
        bench.attempt(workload, lambda workload=workload: one(workload))
    for name, (value, most) in targets(results).items():
        bench.row(name, is_=value, aimed_at=most, reached=value <= most)


TUTORIALS = ("linear-regression", "mnist-mlp", "fashion-mlp", "fashion-mlp-adam", "lenet", "lenet-adam", "bilstm")
LARGE = ("resnet18, batch 128", "char-transformer")


def targets(results: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """What is aimed at, beside torch eager: the figure that was measured, and the largest that is wanted."""
    found = {}
    for result in results:
        workload, engines = result["workload"], result["engines"]
        name = workload.removesuffix(", TF32")
        ours, theirs, graph = (engines.get(engine) for engine in ("minigrad", "torch", "minigrad.graph"))
        if graph and name in TUTORIALS:
            found[f"{workload}, captured"] = (graph["ratio"], 0.3)
        if graph and name in LARGE:
            found[f"{workload}, captured"] = (graph["ratio"], 1.0)
        if ours and name in LARGE:
            found[f"{workload}, eager"] = (ours["ratio"], 1.2)
        if ours and theirs and theirs["peak_mib"]:
            found[f"{workload}, memory"] = (ours["peak_mib"] / theirs["peak_mib"], 1.1)
    return found
