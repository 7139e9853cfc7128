"""Run a PyTorch script, unmodified, on minigrad: `minigrad run script.py [arguments]`, `python -m minigrad.run`."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from minigrad.compat.imports import as_torch

AGAIN = "minigrad.compat.again"  # what processes that a script starts run for a main module
SCRIPT = "MINIGRAD_SCRIPT"  # the environment variable that tells them the script


def run_script(path: str, arguments: Sequence[str] = ()) -> None:
    """Run the program at `path` as `python path arguments` would, with minigrad for torch.

    Processes that the script starts run it with minigrad, too. FileNotFoundError if there is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no script {path!r}")
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins)
    main.__spec__ = ModuleSpec(AGAIN, None)
    os.environ[SCRIPT] = os.path.abspath(path)
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    given = sys.argv, sys.path[:], sys.modules["__main__"]
    sys.argv, sys.modules["__main__"] = [path, *arguments], main
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    try:
        with as_torch():
            exec(code, main.__dict__)
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = given


def main() -> int:
    """`python -m minigrad.run script.py [arguments]`; returns the exit status."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m minigrad.run script.py [arguments]")
        return 0 if len(sys.argv) > 1 else 2
    run_script(sys.argv[1], sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
