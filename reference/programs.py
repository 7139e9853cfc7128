"""Run a PyTorch program, unmodified, on torch or on minigrad, and collect what it prints.

`python -m reference.programs minigrad reference/tutorials/t004_linear_regression.py` runs one by hand.
"""

from __future__ import annotations

import importlib
import os
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TUTORIALS = sorted((ROOT / "reference" / "tutorials").glob("t0*.py"))

# What the programs import from, besides `torch` itself.
SUBMODULES = ("nn", "nn.functional", "nn.init", "optim", "optim.lr_scheduler", "autograd", "utils", "utils.data")

# One thread and no GPU, so that a run repeats to the last bit; no window for a plot.
SURROUNDINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg"}


def run_program(path: Path | str, engine: str) -> list[str]:
    """The lines that the program at `path` prints in a process of its own, with `import torch` giving `engine`.

    `engine` is "torch" or "minigrad". A program that fails raises RuntimeError with all that it wrote.
    """
    done = subprocess.run(
        [sys.executable, "-m", "reference.programs", engine, str(path)],
        cwd=ROOT,
        env=os.environ | SURROUNDINGS,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{Path(path).name} failed on {engine}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()


def stand_in_for_torch(engine: str) -> None:
    """From here on, `import torch` and imports of its submodules give this process `engine` and its submodules."""
    sys.modules["torch"] = importlib.import_module(engine)
    for name in SUBMODULES:
        sys.modules[f"torch.{name}"] = importlib.import_module(f"{engine}.{name}")


if __name__ == "__main__":
    engine, program = sys.argv[1:]
    if engine != "torch":
        stand_in_for_torch(engine)
    runpy.run_path(program, run_name="__main__")
