"""`minigrad bench`: time minigrad beside torch and other engines, on whole training steps unless told otherwise."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.engines import ENGINES
from benchmarks.measure import BASE, grow, measure
from benchmarks.page import write_page
from benchmarks.report import header, line, machine, record, row
from benchmarks.suites import SUITES

DEFAULT_ENGINES = ("minigrad", "torch")
# In `--all`: the engines, whether at every number of threads or the first alone, rounds, and seconds of a measurement.
ALL: dict[str, tuple[Sequence[str], bool, int, float]] = {
    "steps": (tuple(ENGINES), True, 5, 0.3),
    "scaling": (tuple(ENGINES), False, 3, 0.2),
    "operations": (DEFAULT_ENGINES, False, 5, 0.1),
    "loader": (DEFAULT_ENGINES, False, 5, 0.2),
    "memory": (DEFAULT_ENGINES, False, 1, 10.0),
}


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="minigrad bench", description=__doc__)
    add = result.add_argument_group("what to measure (default: whole training steps)").add_argument
    add("--operations", dest="suite", action="store_const", const="operations", help="single operations and layers")
    add(
        "--scaling",
        dest="suite",
        action="store_const",
        const="scaling",
        help="a perceptron over batch sizes and widths",
    )
    add("--memory", dest="suite", action="store_const", const="memory", help="growth over many steps, and the peak")
    add("--loader", dest="suite", action="store_const", const="loader", help="DataLoaders, with and without workers")
    add("--all", dest="suite", action="store_const", const="all", help="everything, and the page; some 20 minutes")
    add(
        "--page", dest="suite", action="store_const", const="page", help="nothing: only write the page of results again"
    )
    add = result.add_argument
    result.set_defaults(suite="steps")
    add("--only", nargs="+", metavar="WORKLOAD", help="these of the suite")
    add("--engines", nargs="+", choices=ENGINES, metavar="ENGINE", help="beside torch: %(choices)s; default: minigrad")
    add("--threads", nargs="+", type=int, help="default: 1; with --all 1 and 2")
    add("--rounds", type=int, help="default: 7")
    add("--seconds", type=float, help="length of one measurement, default 0.5; with --memory of all steps, default 120")
    add("--steps", type=int, default=10_000, help="of --memory; default: %(default)s")
    add("--folder", type=Path, default=Path("benchmarks/results"), help="for what is written; default: %(default)s")
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; RuntimeError, OSError or ModuleNotFoundError where it cannot be done."""
    p = parser()
    options = p.parse_args(arguments)
    start = time.perf_counter()
    if options.suite not in ("page", "all"):
        if unknown := set(options.only or ()) - set(SUITES[options.suite]):
            p.error(f"no {' or '.join(sorted(unknown))} in this suite; it has {', '.join(SUITES[options.suite])}")
        seconds = options.seconds or (120.0 if options.suite == "memory" else 0.5)
        engines = installed(options.engines or DEFAULT_ENGINES)
        run(options, options.suite, engines, options.threads or [1], options.rounds or 7, seconds)
        return
    if options.suite == "all":
        engines = installed(options.engines or tuple(ENGINES))
        threads = options.threads or [1, 2]
        for suite, (wanted, every, rounds, seconds) in ALL.items():
            own = [name for name in engines if name in wanted]
            run(
                options,
                suite,
                own,
                threads if every else threads[:1],
                options.rounds or rounds,
                options.seconds or seconds,
            )
    print(f"wrote {write_page(options.folder)}, after {(time.perf_counter() - start) / 60:.1f} minutes")


def installed(wanted: Sequence[str]) -> list[str]:
    """Those of the wanted engines that run here, with torch; the others are named. ModuleNotFoundError if no torch."""
    found = []
    for name, engine in ENGINES.items():
        if name not in wanted and name != BASE:
            continue
        if reason := engine.missing():
            if name == BASE:
                raise ModuleNotFoundError(f"torch, beside which all is timed, is {reason}")
            print(f"{name} is left out: {reason}")
        else:
            found.append(name)
    return found


def run(
    options: argparse.Namespace, suite: str, engines: list[str], threads: list[int], rounds: int, seconds: float
) -> None:
    """Measure one suite, print its table, and write its JSON and plot."""
    if lacking := plots.missing():
        print(f"without a plot: {lacking}")
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    names = header(suite, engines)
    print(line(names, names))
    results: list[dict[str, Any]] = []
    for count in threads:
        for workload in (options.only if options.only and options.suite == suite else None) or SUITES[suite]:
            new: list[Any]
            if suite == "memory":
                new = grow(engines, workload, count, options.steps, seconds)
            else:
                new = [measure(engines, suite, workload, count, rounds, seconds)]
            results += map(asdict, new)
            for result in results[-len(new) :]:
                print(line(row(result, engines), names), flush=True)
    settings = {"steps": options.steps} if suite == "memory" else {"rounds": rounds}
    saved = record(suite, results, threads=threads, **settings, seconds=seconds)
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / f"{suite}.json"
    file.write_text(json.dumps(saved, indent=1) + "\n")
    written = [file]
    if suite in plots.PLOTS and not lacking:
        written.append(file.with_suffix(".png"))
        plots.PLOTS[suite](saved, written[-1])
    print(f"wrote {' and '.join(map(str, written))}")


def script() -> int:
    """`python -m benchmarks`: as the command does, an error in one line."""
    try:
        main()
    except (OSError, RuntimeError, ModuleNotFoundError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0
