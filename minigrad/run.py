"""Run a PyTorch script, unmodified, on minigrad: `minigrad run script.py [arguments]`, `python -m minigrad.run`."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from collections.abc import Iterator, Sequence

from minigrad.compat.imports import Finder, torch_modules
from minigrad.nn.parameter import Parameter
from minigrad.tensor import Tensor

TORCH_NAMES = {Tensor: "torch", Parameter: "torch.nn.parameter"}  # where torch has these: `print(type(x))` shows it


@contextlib.contextmanager
def as_torch() -> Iterator[None]:
    """Within this context `import torch` and `import torchvision` give minigrad; afterwards what they gave before."""
    before = {name: sys.modules.pop(name) for name in torch_modules()}
    homes = {cls: cls.__module__ for cls in TORCH_NAMES}
    finder = Finder()
    sys.meta_path.insert(0, finder)
    for cls, home in TORCH_NAMES.items():
        cls.__module__ = home
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in list(torch_modules()):
            del sys.modules[name]
        sys.modules.update(before)
        for cls, home in homes.items():
            cls.__module__ = home


def run_script(path: str, arguments: Sequence[str] = ()) -> None:
    """Run the program at `path` as `python path arguments` would, with minigrad for torch.

    FileNotFoundError if there is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no script {path!r}")
    given = sys.argv, sys.path[:]
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    try:
        with as_torch():
            runpy.run_path(path, run_name="__main__")
    finally:
        sys.argv, sys.path[:] = given


def main() -> int:
    """`python -m minigrad.run script.py [arguments]`; returns the exit status."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m minigrad.run script.py [arguments]")
        return 0 if len(sys.argv) > 1 else 2
    run_script(sys.argv[1], sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
