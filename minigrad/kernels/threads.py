"""How many threads an operation may use, and samples split over them.

Two pools would fight for the cores, for BLAS has threads of its own. Where samples are split over ours, BLAS is held to
one thread; elsewhere its products use as many as were asked for. To hold it takes threadpoolctl (`pip install
'minigrad-engine[fast]'`); without it nothing is split.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

T = TypeVar("T")

WORTH = 1 << 21  # multiplications, some 50 us, from which a thread pays: to hand it its part takes about 20

_count: int | None = None  # None until it is asked for or set
_pool: ThreadPoolExecutor | None = None  # of all threads but the caller's
_lock = threading.Lock()
_holders = 0  # callers of `over` that now hold BLAS to one thread


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
    global _count, _pool
    if not _blas():
        return threads == get_num_threads()
    with _lock:
        _count = threads
        if not _holders:
            _set_blas(threads)
        if _pool is not None:
            _pool.shutdown(wait=False)
        _pool = None
    return True


def over(samples: int, work: Callable[[int, int], T], cost: int) -> list[T]:
    """[work(start, stop), ...] for parts of range(samples), each in a thread of its own, the first in the caller's.

    `cost` counts the multiplications of all: a part has `WORTH` of them at least.
    """
    parts = min(get_num_threads(), samples, cost // WORTH)
    if parts < 2 or not _blas():
        return [work(0, samples)]
    ends = [samples * i // parts for i in range(parts + 1)]
    with _held():
        others = [_threads().submit(work, *part) for part in pairwise(ends[1:])]
        try:
            first = work(0, ends[1])
        finally:
            wait(others)
    return [first, *(other.result() for other in others)]


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


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), "minigrad")
        return _pool


@contextmanager
def _held() -> Iterator[None]:
    """BLAS on one thread, from the first of the callers at once to the last."""
    global _holders
    with _lock:
        if not _holders:
            _set_blas(1)
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders:
                _set_blas(get_num_threads())


def _forget() -> None:
    """A forked process has none of its parent's threads, and perhaps their lock."""
    global _pool, _lock, _holders
    _pool, _lock, _holders = None, threading.Lock(), 0


os.register_at_fork(after_in_child=_forget)
