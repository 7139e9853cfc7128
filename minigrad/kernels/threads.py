"""How many threads an operation may use, and work split over them.

BLAS has threads of its own, which wait for more work by spinning: they are quick to start, but for 26 ms after each
large product they take a core from ours (a ResNet's step took twice as long on two cores as on one). A program of
nothing but products is best left to them. From the first time that work is split here BLAS is held to one thread, and
its products are split like everything else (see `products`). To hold it takes threadpoolctl (`pip install
'minigrad-engine[fast]'`); without it nothing is split.
"""

from __future__ import annotations

import functools
import os
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from itertools import pairwise
from typing import Any, TypeVar

T = TypeVar("T")

WORTH = 1 << 20  # multiplications, some 25 us, from which a part pays: to hand it to a thread takes about as long

_count: int | None = None  # None until it is asked for or set
# A job is (context, work, part, index, where the result goes); None ends a thread.
_jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
_threads = 0  # that serve
_lock = threading.Lock()
_splitting = False  # whether work was ever split
_holders = 0  # uses of `held` at this moment


def get_num_threads() -> int:
    """How many threads an operation may use: what was set, or else what BLAS started with."""
    global _count
    if _count is None:
        asked = os.environ.get("OMP_NUM_THREADS", "")
        default = int(asked) if asked.isdecimal() and int(asked) else os.cpu_count() or 1
        _count = max((library.num_threads for library in _blas()), default=default)
    return _count


def set_num_threads(threads: int) -> bool:
    """Let operations use so many. False, and nothing changes, if that needs threadpoolctl and it is missing."""
    global _count, _threads
    if not _blas():
        return threads == get_num_threads()
    with _lock:
        _count = threads
        if not _holders:
            _set_blas(threads)
        for _ in range(_threads - threads + 1):
            _jobs.put(None)
        _threads = min(_threads, threads - 1)
    return True


def is_splitting() -> bool:
    """Whether BLAS must be held to one thread, and large products be split."""
    return _splitting and get_num_threads() > 1


def over(n: int, work: Callable[[int, int], T], cost: int) -> list[T]:
    """[work(start, stop), ...] for parts of range(n), each in a thread of its own, the first in the caller's.

    `cost` counts the multiplications of all: a part has `WORTH` of them at least. An error in a part is raised when all
    parts have ended. `work` must not come here again.
    """
    global _splitting
    parts = min(get_num_threads(), n, cost // WORTH)
    if parts < 2 or not _blas():
        return [work(0, n)]
    first = min(n - parts + 1, n * (cost + (parts - 1) * WORTH) // (parts * cost))  # more: the others begin later
    ends = [0, *(first + (n - first) * i // (parts - 1) for i in range(parts))]
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    results: list[Any] = [None] * parts
    _splitting = True
    with held:
        with _lock:  # threads that are told to end, end after these jobs
            _start(parts - 1)
            for i, part in enumerate(pairwise(ends[1:]), 1):
                _jobs.put((copy_context(), work, part, i, done))  # the context has NumPy's errstate
        results[0] = _attempt(work, (0, first))
        for _ in range(parts - 1):
            i, result = done.get()
            results[i] = result
    for result in results:
        if isinstance(result, _Failed):
            raise result.error
    return results


def over_blocks(n: int, block: int, work: Callable[[slice], Any], cost: int) -> None:
    """Call work(slice) for range(n) in slices of `block`, runs of them in threads as with `over`."""

    def run(start: int, stop: int) -> None:
        for i in range(start * block, stop * block, block):
            work(slice(i, i + block))

    over(-(-n // block), run, cost)


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _attempt(work: Callable[[int, int], Any], part: tuple[int, int]) -> Any:
    try:
        return work(*part)
    except BaseException as error:
        return _Failed(error)


def _serve(jobs: queue.SimpleQueue[Any]) -> None:
    while (job := jobs.get()) is not None:
        context, work, part, i, done = job
        done.put((i, context.run(_attempt, work, part)))
        del job, context, work, done  # or their arrays would live until the next job


def _start(threads: int) -> None:
    """See that so many serve."""
    global _threads
    while _threads < threads:
        threading.Thread(target=_serve, args=(_jobs,), name="minigrad", daemon=True).start()
        _threads += 1


class _Held:
    """`with held:` BLAS has one thread, from the first that holds it at once to the last."""

    def __enter__(self) -> None:
        global _holders
        get_num_threads()  # asked for the first time below, it would be 1
        with _lock:
            if not _holders:
                _set_blas(1)
            _holders += 1

    def __exit__(self, *error: object) -> None:
        global _holders
        with _lock:
            _holders -= 1
            if not _holders:
                _set_blas(get_num_threads())


held = _Held()


@functools.cache
def _blas() -> list[Any]:
    """threadpoolctl's handles of the BLAS libraries; none without it."""
    try:
        import threadpoolctl
    except ModuleNotFoundError:
        return []
    return threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers


def _set_blas(threads: int) -> None:
    for library in _blas():
        library.set_num_threads(threads)


def _forget() -> None:
    """A forked process has none of its parent's threads, and perhaps their lock."""
    global _jobs, _threads, _lock, _holders
    _jobs, _threads, _lock = queue.SimpleQueue(), 0, threading.Lock()
    if _holders:
        _holders = 0
        _set_blas(get_num_threads())


os.register_at_fork(after_in_child=_forget)
