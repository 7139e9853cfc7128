"""`python -m reference.ledger`: see the package's docstring."""

from __future__ import annotations

import argparse
import os
import sys
from fnmatch import fnmatch

# Before NumPy and torch are imported: sums have one order, and a process is one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from reference.ledger import report
from reference.ledger.ledger import Row, Settings
from reference.ledger.modules import modules
from reference.ledger.operations import operations
from reference.ledger.optimizers import optimizers
from reference.ledger.workers import measured


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reference.ledger", description="Compare minigrad with PyTorch.")
    parser.add_argument(
        "names", nargs="*", help="what to measure, by name or pattern ('nn.functional.*pool*', 'optim.*'); default: all"
    )
    parser.add_argument("--core", action="store_true", help="only the operations of core_ops.txt")
    parser.add_argument("--family", help="only the families whose name contains this")
    parser.add_argument("--verbose", action="store_true", help="print every failing sample in full")
    parser.add_argument("--samples", type=int, help="at most so many samples of each operation")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--failing", action="store_true", help="print only the rows that do not pass")
    parser.add_argument("--write", action="store_true", help="write reference/parity.json and reference/PARITY.md")
    options = parser.parse_args()
    chosen = bool(options.names or options.core or options.family or options.samples)
    if options.write and chosen:
        parser.error("--write is for the whole ledger")

    torch.set_num_threads(1)
    settings = Settings(samples=options.samples, verbose=options.verbose)
    entries = [
        entry
        for entry in operations() + modules() + optimizers()
        if (not options.names or any(fnmatch(n, p) for n in (entry.name, entry.function) for p in options.names))
        and (not options.core or entry.is_core)
        and (not options.family or options.family in entry.family)
    ]
    rows: dict[int, Row] = {}
    for number, row in measured(entries, settings, options.jobs):
        rows[number] = row
        if sys.stderr.isatty():
            print(f"\r{len(rows)} of {len(entries)}: {row.name:50}", end="", file=sys.stderr)
        for detail in row.details:
            print(f"{row.name}: {detail}\n")
    in_order = [rows[n] for n in sorted(rows)]
    report.show(in_order, only_failing=options.failing)
    if options.write:
        report.write(in_order)


if __name__ == "__main__":
    main()
