"""`python -m benchmarks.gpu`: everything that only a GPU can tell, in one run of some minutes.

Each section stands alone: one that fails is noted, and the next one begins. After every section results.json is written
anew; log.txt has what was printed. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import minigrad
from benchmarks.gpu import calls, capture, convolution, kernels, steps, versions
from benchmarks.gpu.bench import Bench

SECTIONS: dict[str, Callable[[Bench], None]] = {
    "versions": versions.section,
    "capture": capture.section,
    "calls": calls.section,
    "convolutions": convolution.section,
    "kernels": kernels.section,
    "steps": steps.section,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=Path("benchmarks/results/gpu"), help="folder; default: %(default)s")
    add("--quick", action="store_true", help="smaller sizes and fewer repeats")
    add("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    add("--stand-in", action="store_true", help=argparse.SUPPRESS)  # tries the sections themselves, without a GPU
    options = parser.parse_args(arguments)
    if not options.stand_in and not minigrad.cuda.is_available():
        print("benchmarks.gpu: CuPy is not installed, or finds no GPU", file=sys.stderr)
        return 1
    with Bench(options.out, options.quick, options.stand_in) as bench:
        for name in options.only or SECTIONS:
            bench.run(name, SECTIONS[name])
        return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
