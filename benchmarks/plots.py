"""Plots of a record as PNG files: bars of the ratios to torch, and curves of times over a size."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from benchmarks.report import engines_of

COLORS = {
    "minigrad": "#c8553d", "minigrad.graph": "#e0a58f", "torch": "#333333", "torch.graph": "#666666",
    "torch.compile": "#888888", "jax": "#3a7ca5", "autograd": "#81a684", "mygrad": "#b08ea2", "tinygrad": "#d9a441",
}  # fmt: skip
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def missing() -> str:
    """What plots need and is not there; '' if nothing."""
    return "" if importlib.util.find_spec("matplotlib") else "plots need matplotlib: pip install matplotlib"


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def ratio_bars(record: dict[str, Any], path: Path) -> None:
    """Bars from 1, where an engine is as fast as torch: to the left it is faster, to the right slower."""
    results = record["results"]
    engines = [name for name in engines_of(results) if name != "torch"]
    several = len({result["threads"] for result in results}) > 1
    gap = 0.7 if len(engines) > 1 else 0.1
    rows = [(result, name) for result in results for name in engines if name in result["engines"]]
    size = (8, 0.17 * (len(rows) + gap * len(results)) + 1.2)
    figure, axes = _pyplot().subplots(figsize=size, layout="constrained")
    height, labels = 0.0, []
    for result in results:
        if not any(name in result["engines"] for name in engines):
            continue
        top = height
        for name in engines:
            if name not in result["engines"]:
                continue
            ratio = result["engines"][name]["ratio"]
            axes.barh(height, ratio - 1, left=1, height=0.9, color=COLORS[name], label=name)
            axes.annotate(
                f"{ratio:.2f}", (ratio, height), (3 if ratio >= 1 else -3, 0), textcoords="offset points",
                ha="left" if ratio >= 1 else "right", va="center", fontsize=7,
            )  # fmt: skip
            height += 1
        threads = f", {result['threads']} thread{'s' * (result['threads'] > 1)}" * several
        labels.append(((top + height - 1) / 2, result["workload"] + threads))
        height += gap
    axes.set_yticks([place for place, _ in labels], [text for _, text in labels], fontsize=8)
    axes.set_ylim(height - gap, -0.9)
    axes.set_xscale("log")
    ratios = [result["engines"][name]["ratio"] for result, name in rows]
    low, high = 0.7 * min([0.7, *ratios]), 1.4 * max([1.4, *ratios])  # with room for the figures
    axes.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low < tick < high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("time / torch's time (left of 1: faster)")
    if len(engines) > 1:
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), fontsize=8)
    figure.savefig(path, dpi=130)
    _pyplot().close(figure)


def scaling_curves(record: dict[str, Any], path: Path) -> None:
    """Time of a step over batch size and over width, a line an engine, dashed for the second number of threads."""
    results = record["results"]
    threads = list(dict.fromkeys(result["threads"] for result in results))
    figure, both = _pyplot().subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    for axes, size in zip(both, ("batch", "width"), strict=True):
        for name in engines_of(results):
            for count in threads:
                points = [
                    (int(result["workload"].split()[1]), result["engines"][name]["microseconds"] / 1e3)
                    for result in results
                    if result["workload"].startswith(size) and result["threads"] == count and name in result["engines"]
                ]
                if points:
                    style = {"linestyle": "-" if count == threads[0] else "--", "color": COLORS[name], "marker": "."}
                    text = f"{name}, {count} threads" if len(threads) > 1 else name
                    axes.loglog(*zip(*points, strict=True), label=text, base=10, **style)
        sizes = sorted({int(r["workload"].split()[1]) for r in results if r["workload"].startswith(size)})
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.minorticks_off()
        axes.set_xlabel({"batch": "batch size, at width 512", "width": "width, at batch 64"}[size])
        axes.grid(alpha=0.3)
    both[0].set_ylabel("ms a step")
    both[0].legend(fontsize=8)
    figure.savefig(path, dpi=130)
    _pyplot().close(figure)


PLOTS = {
    "steps": ratio_bars,
    "operations": ratio_bars,
    "loader": ratio_bars,
    "gpu": ratio_bars,
    "scaling": scaling_curves,
}
