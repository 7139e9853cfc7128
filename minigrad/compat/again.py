"""The main module of a process that a script has started: the script again, as `__mp_main__`, with minigrad for torch.

Where processes do not begin as a copy of the first one ("spawn", "forkserver"), multiprocessing runs the main module in
each of them, by the name that `minigrad.run` has given it: this one.
"""

from __future__ import annotations

import os
import runpy

from minigrad.compat.imports import as_torch
from minigrad.run import SCRIPT

if __name__ == "__mp_main__":
    as_torch().__enter__()  # for as long as the process lasts
    globals().update(runpy.run_path(os.environ[SCRIPT], run_name="__mp_main__"))
