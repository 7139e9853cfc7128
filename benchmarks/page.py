"""The page of results, written from the JSON files and plots that lie in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report import engines_of, markdown, table, wide_table
from benchmarks.suites import SUITES

INTRODUCTION = """\
# Times and memory beside PyTorch

Written by `minigrad bench --page` from the JSON files in this folder; `minigrad bench --all` measures everything again.

The same network code, written against PyTorch's API, runs on minigrad, on torch (eager) and with torch.compile (network
and loss compiled). JAX (jitted), HIPS autograd, MyGrad and tinygrad (jitted) have other APIs: they are given the chains
of layers among the networks, with the same parameters, data, loss and update, and a test holds their losses to torch's.

Every engine runs in a process of its own, bound to as many cores as it has threads. The engines are timed in turn,
round after round, after a warm-up in which what compiles is compiled. A time is the median over the rounds of a round's
median step, and behind it in brackets is the median of its ratios to torch's time in the same round: below 1 is faster
than torch. The JSON files have the ratios of all rounds.
"""
KEPT = """\
minigrad runs as it comes, which is with glibc's allocator told to keep the memory that a step frees
(`MINIGRAD_KEEP_MALLOC=1` would leave the allocator alone); torch runs as it comes, too, with the allocator untouched.
"""
UNTOUCHED = "minigrad ran with `MINIGRAD_KEEP_MALLOC=1`: the allocator is untouched for all engines.\n"
TITLES = {
    "steps": ("Training steps", "zero_grad, forward, backward and update; the sizes are in `benchmarks/workloads.py`."),
    "scaling": (
        "Scaling",
        "The step of the perceptron 784-512-512-10 with SGD over batch sizes, and at batch 64 over its width.",
    ),
    "operations": (
        "Operations",
        "Small ones: ten elements, a hundred calls, so what is timed is the engine. Large ones: a million elements, "
        "one call. Layers: one call, at the sizes in `benchmarks/operations.py`.",
    ),
    "loader": ("Data loading", "Sixteen batches of 64 from a DataLoader, read in this process or by workers."),
    "memory": (
        "Memory",
        "Resident memory of the process after a tenth of the steps and after all of them, and its peak. Workloads with "
        "slow steps take fewer.",
    ),
    "gpu": (
        "Training steps on a GPU",
        "The same steps, eager (minigrad, torch) and as one CUDA graph that is replayed (minigrad.graph, torch.graph): "
        "blocks of steps, each timed until the GPU has done it, and the peaks of the GPU's memory. In float32, where "
        "the name does not say TF32.",
    ),
}


def write_page(folder: Path) -> Path:
    """Write README.md in `folder`; FileNotFoundError if it has no JSON file of ours."""
    records = {suite: json.loads(file.read_text()) for suite in TITLES if (file := folder / f"{suite}.json").exists()}
    if not records:
        raise FileNotFoundError(f"no results in {folder}: `minigrad bench --all` measures them")
    kept = all(record["allocator_settings"] for record in records.values())
    parts = [INTRODUCTION, KEPT if kept else UNTOUCHED, *[_section(record, folder) for record in records.values()]]
    page = folder / "README.md"
    page.write_text("\n".join(parts))
    return page


def _section(record: dict[str, Any], folder: Path) -> str:
    suite, results = record["suite"], record["results"]
    title, text = TITLES[suite]
    parts = [f"## {title}", text, _where(record)]
    if (folder / f"{suite}.png").exists():
        parts.append(f"![{title}]({suite}.png)")
    parts.append(markdown(table(suite, results) if suite == "memory" else wide_table(results, engines_of(results))))
    return "\n\n".join(parts) + "\n"


def _where(record: dict[str, Any]) -> str:
    """Date, machine, versions and settings in a sentence."""
    facts = [", ".join(f"{name} {value}" for name, value in record[part].items()) for part in ("machine", "versions")]
    settings = ", ".join(f"{name} {str(value).strip('[]')}" for name, value in record["settings"].items())
    return f"Measured on {record['date']}: {'; '.join([*facts, settings])}."


assert TITLES.keys() == SUITES.keys()
