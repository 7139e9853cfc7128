"""`minigrad bench`: time minigrad beside torch and other engines, on whole training steps unless told otherwise."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.device import DEVICES
from benchmarks.engines import ENGINES
from benchmarks.measure import BASE, grow, measure
from benchmarks.page import write_page
from benchmarks.report import line, machine, record, table
from benchmarks.suites import SUITES


@dataclass(frozen=True)
class Plan:
    """How one suite is measured; `workloads` empty for all of them, `steps` of the memory suite alone."""

    suite: str
    engines: Sequence[str] = ("minigrad", "torch")
    threads: Sequence[int] = (1,)
    rounds: int = 7
    seconds: float = 0.5
    steps: int = 10_000
    workloads: Sequence[str] = ()
    device: str = "cpu"


ON_THE_CPU = tuple(name for name, engine in ENGINES.items() if "cpu" in engine.devices)
ALONE = {suite: Plan(suite, seconds=120 if suite == "memory" else 0.5) for suite in SUITES}
ALONE["gpu"] = Plan("gpu", ("minigrad", "minigrad.graph", "torch", "torch.graph"))
ALL = [
    Plan("steps", ON_THE_CPU, threads=(1, 2), rounds=5, seconds=0.3),
    Plan("scaling", ON_THE_CPU, rounds=3, seconds=0.2),
    Plan("operations", rounds=5, seconds=0.1),
    Plan("loader", rounds=5, seconds=0.2),
    Plan("memory", seconds=10),
]
ENGINE_NAMES = f"engines: {', '.join(ENGINES)}"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="minigrad bench", description=__doc__, epilog=ENGINE_NAMES)
    add = result.add_argument_group("what to measure (whole training steps if nothing is chosen)").add_argument
    for suite, text in {
        "operations": "single operations and layers",
        "scaling": "a perceptron over batch sizes and widths",
        "memory": "growth over many steps, and the peak",
        "loader": "DataLoaders, with and without workers",
        "all": "everything, and the page of results, in half an hour",
        "page": "nothing: only write the page of results from the JSON files",
    }.items():
        add(f"--{suite}", dest="suite", action="store_const", const=suite, default="steps", help=text)
    add = result.add_argument
    add("--only", nargs="+", metavar="WORKLOAD", help="these workloads of the suite")
    add("--engines", nargs="+", choices=ENGINES, metavar="ENGINE", help="these, and torch; default: minigrad, torch")
    add("--threads", nargs="+", type=int, help="default: 1; with --all 1 and, for the steps, 2")
    add("--rounds", type=int, help="how often every engine is measured; default: 7")
    add("--seconds", type=float, help="of a measurement, default 0.5; of all steps together with --memory, default 120")
    add("--steps", type=int, help="with --memory; default: 10000")
    add(
        "--device",
        choices=DEVICES,
        default="cpu",
        metavar="{cpu,cuda}",
        help="cuda: whole steps on a GPU, captured too",
    )
    add("--folder", type=Path, default=Path("benchmarks/results"), help="for what is written; default: %(default)s")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; RuntimeError, OSError or ModuleNotFoundError where it cannot be done."""
    start = time.perf_counter()
    p = parser()
    options = p.parse_args(arguments)
    given = {name: value for name in ("rounds", "seconds", "steps") if (value := getattr(options, name)) is not None}
    if options.device != "cpu":
        if options.suite != "steps":
            p.error(f"--{options.suite} is measured on the CPU only")
        options.suite = "gpu"
    if options.suite in ALONE:
        if unknown := set(options.only or ()) - set(SUITES[options.suite]):
            p.error(f"no {' or '.join(sorted(unknown))} in this suite; it has {', '.join(SUITES[options.suite])}")
        plan = replace(ALONE[options.suite], workloads=options.only or (), **given)
        engines = options.engines or plan.engines
        threads = options.threads or plan.threads
        run(replace(plan, engines=engines, threads=threads, device=options.device), options.folder)
        return
    for plan in ALL if options.suite == "all" else ():
        engines = [name for name in options.engines or plan.engines if name in plan.engines]
        threads = (options.threads or plan.threads)[: len(plan.threads)]
        run(replace(plan, engines=engines, threads=threads, **given), options.folder)
    print(f"wrote {write_page(options.folder)}, after {(time.perf_counter() - start) / 60:.1f} minutes")


def run(plan: Plan, folder: Path) -> None:
    """Measure one suite, print its table, and write its JSON and plot."""
    engines = installed(plan.engines, plan.device)
    if lacking := plots.missing():
        print(f"without a plot: {lacking}")
    print(", ".join(f"{key} {value}" for key, value in machine(plan.device).items()))
    names = table(plan.suite, [])[0]
    print(line(names, names))
    results: list[dict[str, Any]] = []
    for threads in plan.threads:
        for workload in plan.workloads or SUITES[plan.suite]:
            new: list[Any]
            if plan.suite == "memory":
                new = grow(engines, workload, threads, plan.steps, plan.seconds)
            else:
                new = [measure(engines, plan.suite, workload, threads, plan.rounds, plan.seconds, plan.device)]
            dicts = [asdict(result) for result in new]
            for cells in table(plan.suite, dicts)[1:]:
                print(line(cells, names), flush=True)
            results += dicts
    settings = {"steps": plan.steps} if plan.suite == "memory" else {"rounds": plan.rounds}
    saved = record(plan.suite, results, plan.device, threads=list(plan.threads), **settings, seconds=plan.seconds)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{plan.suite}.json"
    file.write_text(json.dumps(saved, indent=1) + "\n")
    written = [file]
    if plan.suite in plots.PLOTS and not lacking:
        written.append(file.with_suffix(".png"))
        plots.PLOTS[plan.suite](saved, written[-1])
    print(f"wrote {' and '.join(map(str, written))}")


def installed(wanted: Sequence[str], device: str) -> list[str]:
    """Those of the wanted engines that run here, with torch; the others are named. ModuleNotFoundError if no torch."""
    found = []
    for name, engine in ENGINES.items():
        if name not in wanted and name != BASE:
            continue
        if reason := engine.missing(device):
            if name == BASE:
                raise ModuleNotFoundError(f"torch, with which all is compared, is {reason}")
            print(f"{name} is left out: {reason}")
        else:
            found.append(name)
    return found


def script() -> int:
    """`python -m benchmarks`: as the command does, an error in one line."""
    try:
        main()
    except (OSError, RuntimeError, ModuleNotFoundError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0
