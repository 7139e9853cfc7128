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

DISTRIBUTIONS = (
    "torch", "numpy", "numba", "threadpoolctl", "jax", "jaxlib", "autograd", "mygrad", "tinygrad"
)  # fmt: skip


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cpu, mem = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    names = [line.split(":")[1].strip() for line in _lines(cpu) if "model name" in line]
    memory = [f"{int(line.split()[1]) / 2**20:.0f} GiB" for line in _lines(mem) if "MemTotal" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": memory[0] if memory else "unknown",
        "system": f"{platform.system()} {platform.machine()}",
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def versions() -> dict[str, str]:
    """Python, minigrad, NumPy's BLAS, and what is installed of the rest."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload, index]
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


def record(suite: str, results: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """All that a JSON file says; `settings` are how it was measured."""
    return {
        "suite": suite,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "allocator_settings": os.environ.get("MINIGRAD_KEEP_MALLOC") != "1",
        "settings": settings,
        "results": results,
    }


def header(suite: str, engines: Iterable[str]) -> list[str]:
    """The names of a table's columns."""
    if suite == "memory":
        return [
            "workload",
            "threads",
            "engine",
            "steps",
            "MiB after a tenth",
            "MiB after all",
            "growth, KiB",
            "peak MiB",
        ]
    times = [name if name == "torch" else f"{name}, ratio (range)" for name in engines]
    return ["workload", "threads", *times, "peak MiB: minigrad, torch"]


def row(result: dict[str, Any], engines: Iterable[str]) -> list[str]:
    """A result (as `dataclasses.asdict` gives it) as a row under that header."""
    if "engine" in result:
        early, late = result["early_mib"], result["resident_mib"]
        return [
            result["workload"], str(result["threads"]), result["engine"], f"{result['steps']:,}", f"{early:.1f}",
            f"{late:.1f}", f"{1024 * (late - early):+.0f}", f"{result['peak_mib']:.0f}",
        ]  # fmt: skip
    timings = result["engines"]
    peaks = [f"{timings[name]['peak_mib']:.0f}" if name in timings else "-" for name in ("minigrad", "torch")]
    return [result["workload"], str(result["threads"]), *[_cell(timings.get(n), n) for n in engines], ", ".join(peaks)]


def _cell(timing: dict[str, Any] | None, engine: str) -> str:
    if timing is None:
        return "-"
    time = duration(timing["microseconds"])
    if engine == "torch":
        return time
    return f"{time} {timing['ratio']:.2f} ({min(timing['ratios']):.2f}-{max(timing['ratios']):.2f})"


def duration(microseconds: float) -> str:
    """Three digits and their unit."""
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= 0.9995 * size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} us"


def line(cells: Sequence[str], names: Sequence[str]) -> str:
    """A row for the terminal, aligned under the names of its columns."""
    widths = [36, *[max(len(name), 24 if "ratio" in name else 8) for name in names[1:]]]
    return "  ".join([cells[0].ljust(widths[0]), *[c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]])


def markdown(rows: Iterable[Sequence[str]], names: Sequence[str]) -> str:
    """A table in Markdown."""
    rule = ["---", *["---:"] * (len(names) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (names, rule, *rows))


def engines_of(results: Iterable[dict[str, Any]]) -> list[str]:
    """Every engine that has a time in the results, in the order in which they come."""
    return list(dict.fromkeys(name for result in results for name in result.get("engines", ())))
