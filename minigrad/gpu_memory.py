"""The GPU's memory: an allocator over CuPy's pool that knows the most that was in use, and says when there is no more.

CuPy keeps what arrays free in a pool, by stream, and asks CUDA only for what the pool has not. The pool knows what is
in use and keeps no maximum: once somebody asks for one, the allocator looks at every allocation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

UNIT = 512  # bytes, in which CuPy's pool gives memory


class OutOfMemoryError(RuntimeError):
    """The GPU has no memory left for a tensor; nothing else has changed, and smaller ones can still be made."""


class Use:
    """The memory of one GPU over time; all in bytes but the last two."""

    __slots__ = ("given", "ooms", "peak", "peak_held", "retries")

    def __init__(self) -> None:
        self.peak: int | None = None  # the most in use; None until somebody asks
        self.peak_held = 0  # the most that pools held
        self.given = 0  # the sum of what was given, since somebody asked
        self.ooms = self.retries = 0


class Pool:
    """A pool of CuPy's and the allocator on it: `with cupy.cuda.using_allocator(pool.malloc)`."""

    def __init__(self, memory: Memory, pool: Any, allocate: Callable[[int], Any]) -> None:
        self.memory, self.pool, self.allocate = memory, pool, allocate

    def malloc(self, size: int) -> Any:
        """`size` bytes of the current GPU; OutOfMemoryError if there are none even with nothing kept in the pools."""
        memory = self.memory
        try:
            block = self.allocate(size)
        except memory.full:
            block = None
        if block is None:
            block = self._retry(size)
        if memory.watching:
            memory.note(size)
        return block

    def _retry(self, size: int) -> Any:
        """The same once more, when the pool has given back what no array uses."""
        use = self.memory.use()
        use.retries += 1
        self.memory.give_back()
        try:
            return self.allocate(size)
        except self.memory.full:
            use.ooms += 1
        # Not inside `except`: CuPy's error would be shown first, and its traceback would keep arrays alive.
        raise OutOfMemoryError(self.memory.told(size))


class Memory:
    """The memory of all GPUs, as CuPy's pools have it."""

    def __init__(self, cp: ModuleType) -> None:
        self.cp = cp
        self.full: type[Exception] = cp.cuda.memory.OutOfMemoryError
        self.uses: dict[int, Use] = {}  # by the GPU's number
        self.watching = False
        self.kept: list[tuple[Any, Any]] = []  # events, and arrays that stay until then
        self.default = Pool(self, cp.get_default_memory_pool(), cp.cuda.get_allocator())
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet([self.default])
        self.retired: list[Any] = []  # CuPy's pools that nobody holds any more, while they have memory

    def new_pool(self) -> Pool:
        """A pool of its own, such as a CUDA graph needs; it counts as long as somebody holds it."""
        pool = self.cp.cuda.MemoryPool()
        made = Pool(self, pool, pool.malloc)
        self.pools.add(made)
        # CuPy would never give back what is free in a pool that is gone.
        weakref.finalize(made, self.retired.append, pool).atexit = False
        return made

    def use(self) -> Use:
        """What is known of the current GPU."""
        return self.uses.setdefault(self.cp.cuda.get_device_id(), Use())

    def used(self) -> int:
        """Bytes of the current GPU in use by arrays."""
        return sum(pool.pool.used_bytes() for pool in self.pools)

    def held(self) -> int:
        """Bytes of the current GPU that the pools hold."""
        held = sum(pool.pool.total_bytes() for pool in self.pools)
        use = self.use()
        use.peak_held = max(use.peak_held, held)  # it grows until memory is given back, and is asked for before that
        return held

    def note(self, size: int) -> None:
        """Count `size` bytes that were given."""
        use = self.use()
        use.given += -(-size // UNIT) * UNIT
        if use.peak is not None:
            use.peak = max(use.peak, self.used())

    def give_back(self) -> None:
        """Give memory that no array uses back to the current GPU; not that of pools to which graphs write."""
        self.held()
        self._let_go()
        for pool in (self.default.pool, *self.retired):
            pool.free_all_blocks()
        self.retired[:] = [pool for pool in self.retired if pool.total_bytes()]

    def keep(self, array: Any, stream: Any) -> None:
        """Do not use the array's memory again before CuPy's `stream` has done what it was given until now."""
        self._let_go()
        self.kept.append((stream.record(), array))

    def _let_go(self) -> None:
        self.kept = [(event, array) for event, array in self.kept if not event.done]

    def watch(self) -> Any:
        """Count the maximum from now on, if not yet; until now it is not known, and taken to be what the pools hold."""
        use = self.use()
        held = self.held()
        if use.peak is None:
            use.peak, self.watching = held, True
        return use

    def reset_peaks(self) -> None:
        """Begin the maxima anew, with what is in use and held now."""
        use = self.watch()
        use.peak = self.used()
        use.peak_held = 0
        self.held()

    def told(self, size: int) -> str:
        """That `size` bytes are not to be had, in torch's words, and what helps."""
        free, total = self.cp.cuda.runtime.memGetInfo()
        used, limit = self.used(), self.default.pool.get_limit()
        allowed = f"{written(limit)} allowed; " if limit else ""
        return (
            f"CUDA out of memory. Tried to allocate {written(size)}. GPU {self.cp.cuda.get_device_id()} has a total "
            f"capacity of {written(total)} of which {written(free)} is free. All processes together have "
            f"{written(total - free)} memory in use. {allowed}Of the allocated memory "
            f"{written(used)} is allocated by tensors, and {written(self.held() - used)} is reserved but unallocated. "
            "What helps: a smaller batch, torch.no_grad() where nothing is trained, optimizer.zero_grad() before the "
            "forward, torch.utils.checkpoint, and no sums of losses that still hold their graph (add loss.item())."
        )


_memories: dict[int, Memory] = {}  # by the array module's id: CuPy, and its stand-in under test


def memory_of(cp: ModuleType) -> Memory:
    """The memory of `cp`'s GPUs. On the first call for `cp`, its arrays get their memory from here on from `Pool`."""
    memory = _memories.get(id(cp))
    if memory is None:
        memory = _memories[id(cp)] = Memory(cp)
        cp.cuda.set_allocator(memory.default.malloc)
    return memory


def written(n: int) -> str:
    """A number of bytes as torch writes it: "20 bytes", "1.50 GiB"."""
    if n <= 1024:
        return f"{n} bytes"
    for unit, power in (("KiB", 10), ("MiB", 20)):
        if n <= 1 << (power + 10):
            return f"{n / (1 << power):.2f} {unit}"
    return f"{n / (1 << 30):.2f} GiB"
