"""`torch.multiprocessing`: the standard library's, and `spawn`. Tensors travel pickled."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing import *  # noqa: F403  all its names
from typing import Any

__all__ = [
    *multiprocessing.__all__, "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn",
]  # fmt: skip


def spawn(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> Any:  # fmt: skip
    """Run fn(i, *args) in `nprocs` processes; returns them, or with `join` waits until all have ended.

    RuntimeError if one fails, after the others have been ended.
    """
    context: Any = multiprocessing.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    waiting = {process.sentinel: process for process in processes}
    while waiting:
        for sentinel in multiprocessing.connection.wait(list(waiting)):
            process = waiting.pop(sentinel)
            process.join()
            if process.exitcode:
                for other in waiting.values():
                    other.terminate()
                number = processes.index(process)
                raise RuntimeError(f"process {number} terminated with exit code {process.exitcode}")
    return None


def get_all_sharing_strategies() -> set[str]:
    """{"file_system"}; there is nothing to choose."""
    return {"file_system"}


def get_sharing_strategy() -> str:
    """ "file_system"."""
    return "file_system"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted; there is nothing to choose."""
