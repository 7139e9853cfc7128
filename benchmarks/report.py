"""What was measured on what: the record that is saved as JSON, and its tables, on the terminal and in Markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from benchmarks import device as devices

DISTRIBUTIONS = (
    "torch", "numpy", "numba", "threadpoolctl", "jax", "jaxlib", "autograd", "mygrad", "tinygrad"
)  # fmt: skip


def machine(device: str = "cpu") -> dict[str, str]:
    """What the figures were measured on; for a GPU with its driver and libraries."""
    cpu, mem = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    names = [line.split(":")[1].strip() for line in _lines(cpu) if "model name" in line]
    memory = [f"{int(line.split()[1]) / 2**20:.0f} GiB" for line in _lines(mem) if "MemTotal" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": memory[0] if memory else "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        **(devices.facts() if device != "cpu" else {}),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def versions() -> dict[str, str]:
    """Python, minigrad, NumPy's BLAS, and what is installed of the rest."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {
        "python": platform.python_version(),
        "minigrad": minigrad.__version__,
        "blas": f"{blas['name']} {blas['version']}",
    }
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def record(suite: str, results: list[dict[str, Any]], device: str = "cpu", **settings: Any) -> dict[str, Any]:
    """All that a JSON file says; `settings` are how it was measured."""
    return {
        "suite": suite,
        "date": datetime.date.today().isoformat(),
        "device": device,
        "machine": machine(device),
        "versions": versions(),
        "allocator_settings": os.environ.get("MINIGRAD_KEEP_MALLOC") != "1",
        "settings": settings,
        "results": results,
    }


def table(suite: str, results: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Every engine on a line of its own, the names of the columns in the first; `results` are dataclasses as dicts."""
    if suite == "memory":
        names = ["workload", "threads", "engine", "steps", "MiB at a tenth", "MiB at the end", "growth KiB", "peak MiB"]
        return [names, *map(_growth, results)]
    rows = [["workload", "threads", "engine", "time", "time / torch's", "(range)", "peak MiB"]]
    for result in results:
        for name, t in result["engines"].items():
            ratio, spread = f"{t['ratio']:.2f}", f"({min(t['ratios']):.2f}-{max(t['ratios']):.2f})"
            rows.append([
                result["workload"], str(result["threads"]), name, duration(t["microseconds"]),
                *(("", "") if name == "torch" else (ratio, spread)), f"{t['peak_mib']:.0f}",
            ])  # fmt: skip
    return rows


def _growth(r: dict[str, Any]) -> list[str]:
    early, late = r["early_mib"], r["resident_mib"]
    return [
        r["workload"], str(r["threads"]), r["engine"], f"{r['steps']:,}", f"{early:.1f}", f"{late:.1f}",
        f"{1024 * (late - early):+.0f}", f"{r['peak_mib']:.0f}",
    ]  # fmt: skip


def wide_table(results: Iterable[dict[str, Any]], engines: Sequence[str]) -> list[list[str]]:
    """A line a workload, with times, ratios in brackets, and the peaks of minigrad and of torch."""
    rows = [["workload", "threads", *engines, "peak MiB, minigrad", "torch"]]
    for result in results:
        timings = result["engines"]
        peaks = [f"{timings[name]['peak_mib']:.0f}" if name in timings else "" for name in ("minigrad", "torch")]
        cells = [_cell(timings.get(name), name) for name in engines]
        rows.append([result["workload"], str(result["threads"]), *cells, *peaks])
    return rows


def _cell(timing: dict[str, Any] | None, engine: str) -> str:
    if timing is None:
        return ""
    time = duration(timing["microseconds"])
    return time if engine == "torch" else f"{time} ({timing['ratio']:.2f})"


def duration(microseconds: float) -> str:
    """Three digits and their unit."""
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= 0.9995 * size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} us"


def line(cells: Sequence[str], names: Sequence[str]) -> str:
    """A row for the terminal, aligned under the names of its columns."""
    widths = [40, *[max(len(name), 13) for name in names[1:]]]
    return "".join([cells[0].ljust(widths[0]), *[c.rjust(w + 1) for c, w in zip(cells[1:], widths[1:], strict=True)]])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, the names of its columns the first row."""
    rule = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], rule, *rows[1:]))


def engines_of(results: Iterable[dict[str, Any]]) -> list[str]:
    """Every engine that has a time in the results, in the order in which they come."""
    return list(dict.fromkeys(name for result in results for name in result.get("engines", ())))
