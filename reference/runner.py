"""Run a PyTorch program, unmodified, on torch or on minigrad, and collect what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = sorted((ROOT / "reference" / "tutorials").glob("t0*.py"))
PROGRAMS = sorted((ROOT / "reference" / "programs").glob("*.py"))

# One thread and no GPU, so that a run repeats to the last bit; no window for a plot.
SURROUNDINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg"}
COMMANDS = {"torch": (), "minigrad": ("-m", "minigrad.run")}


def run_program(path: Path | str, engine: str, *arguments: str) -> list[str]:
    """The lines that the program at `path` prints in a process of its own.

    `engine` is "torch", or "minigrad" for `python -m minigrad.run`. A program that fails raises RuntimeError with all
    that it wrote.
    """
    done = subprocess.run(
        [sys.executable, *COMMANDS[engine], str(path), *arguments],
        cwd=ROOT,
        env=os.environ | SURROUNDINGS | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{Path(path).name} failed on {engine}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()
