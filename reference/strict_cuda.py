"""`cupy.cuda` without a GPU: streams, events, the memory pools and what the runtime tells of the device.

Work is done when it is asked for, so a stream is never behind; waiting for it is counted all the same. Memory is
counted as CuPy's pool counts it: in units of 512 bytes, freed blocks kept for the stream that had them, at most
`hardware.total` bytes in all. What the pool does not do here: split and merge blocks.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.strict_capture import Graph, capture
from reference.strict_device import Device, synchronizations

UNIT = 512


@dataclass
class Hardware:
    """The device of the stand-in; a test may make it smaller."""

    total: int = 80 << 30
    taken: int = 0  # bytes that pools hold


hardware = Hardware()


class CUDARuntimeError(RuntimeError):
    """cupy.cuda.runtime.CUDARuntimeError: `status` is CUDA's number of the error."""

    TEXTS = {
        1: "cudaErrorInvalidValue: invalid argument",
        2: "cudaErrorMemoryAllocation: out of memory",
        3: "cudaErrorInitializationError: initialization error",
        35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
        101: "cudaErrorInvalidDevice: invalid device ordinal",
    }

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(self.TEXTS[status])


class OutOfMemoryError(MemoryError):
    """cupy.cuda.memory.OutOfMemoryError."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(text + (f", limit set to: {limit:,} bytes)." if limit else ")."))


# -- streams and events ------------------------------------------------------------------------------------------------


class _Current(threading.local):
    """This thread's stream, and those entered, the innermost last. `use()` sets only the first."""

    def __init__(self) -> None:
        self.stream = Stream.null
        self.stack: list[Stream] = [Stream.null]


class Stream:
    """cupy.cuda.Stream: `Stream()`, `Stream(non_blocking=True)`, and the default one, `Stream.null`."""

    null: Stream
    _made = 0

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: int | None = None
    ) -> None:
        if ptds:
            raise NotImplementedError("the per-thread default stream")
        Stream._made += not null
        self.ptr = 0 if null else 4096 + Stream._made * 64
        self.device_id = -1 if null else 0
        self.is_non_blocking = non_blocking and not null
        self.priority = min(0, max(-5, priority or 0))  # as a GPU clamps it

    @classmethod
    def from_external(cls, obj: Any) -> Stream:
        """The stream of an object with `__cuda_stream__`."""
        version, ptr = obj.__cuda_stream__()
        if version != 0:
            raise TypeError(f"__cuda_stream__() returned unsupported version {version}, only version 0 is supported")
        stream = cls(null=True)
        stream.ptr, stream._foreign_stream_ref = ptr, obj  # its device is not known
        return stream

    _foreign_stream_ref: Any = None

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.ptr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __enter__(self) -> Stream:
        current.stack.append(self)
        current.stream = self
        return self

    def __exit__(self, *error: object) -> None:
        current.stack.pop()
        current.stream = current.stack[-1]

    def use(self) -> Stream:
        """Make it the current stream."""
        current.stream = self
        return self

    @property
    def done(self) -> bool:
        """True: work is done at once."""
        return True

    def synchronize(self) -> None:
        """Wait for the stream; counted."""
        synchronizations.add("Stream.synchronize")

    def record(self, event: Event | None = None) -> Event:
        """Record an event, a new one if None."""
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """What comes on this stream waits for the event."""
        event.awaited_by.append(self.ptr)

    def begin_capture(self, mode: int | None = None) -> None:
        """From now on work is recorded instead of done; RuntimeError on the default stream."""
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        capture.begin(lambda: get_current_stream() == self)

    def end_capture(self) -> Graph:
        """The graph of what was recorded."""
        return capture.end()

    def is_capturing(self) -> bool:
        """True while work on it is recorded."""
        return capture.recording is not None and capture.recording.is_current()

    def launch_host_func(self, callback: Callable[[Any], None], arg: Any) -> None:
        """Call `callback(arg)` when all before is done: now."""
        callback(arg)


class Event:
    """cupy.cuda.Event."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        if interprocess and not disable_timing:
            raise ValueError("Timing must be disabled for interprocess events")
        self.block, self.disable_timing = block, disable_timing
        self.ptr = id(self)
        self.recorded: float | None = None
        self.on: int | None = None  # the stream
        self.awaited_by: list[int] = []  # which streams wait for it, for tests to see

    @property
    def done(self) -> bool:
        """True: work is done at once."""
        return True

    def record(self, stream: Stream | None = None) -> None:
        """Mark this point of the stream, the current one if None."""
        self.on, self.recorded = (get_current_stream() if stream is None else stream).ptr, time.perf_counter()

    def synchronize(self) -> None:
        """Wait for the event; counted."""
        synchronizations.add("Event.synchronize")


def get_current_stream(device_id: int = -1) -> Stream:
    """The stream on which this thread's work goes."""
    return current.stream


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two recorded events; CUDARuntimeError for events that are not, or that keep no time."""
    if any(e.disable_timing or e.recorded is None for e in (start_event, end_event)):
        raise CUDARuntimeError(1)
    return (end_event.recorded - start_event.recorded) * 1e3  # type: ignore[operator]


Stream.null = Stream(null=True)
current = _Current()


# -- the device's memory -----------------------------------------------------------------------------------------------


@dataclass(eq=False)
class PooledMemory:
    """A block in use; it goes back to its pool when it is dropped."""

    pool: MemoryPool
    size: int
    stream: int
    device_id: int = 0

    def __del__(self) -> None:
        self.pool._used -= self.size
        self.pool._free.setdefault(self.stream, []).append(self.size)


@dataclass(frozen=True, eq=False)
class MemoryPointer:
    """What an allocator gives."""

    mem: PooledMemory | None
    device_id: int = 0


class MemoryPool:
    """cupy.cuda.MemoryPool. What is free in a pool that is dropped is lost, as in CuPy."""

    def __init__(self, allocator: Any = None) -> None:
        self._hardware = hardware
        self._used = self._limit = 0
        self._free: dict[int, list[int]] = {}  # the sizes of free blocks, for each stream
        if allocator is not None:
            raise NotImplementedError("a pool on another allocator")

    def malloc(self, size: int) -> MemoryPointer:
        """A block of at least `size` bytes; OutOfMemoryError beyond the limit, or the device's memory."""
        size = -(-size // UNIT) * UNIT
        if not size:
            return MemoryPointer(None)
        stream = get_current_stream().ptr
        if size in self._free.get(stream, ()):
            self._free[stream].remove(size)
        else:
            if self._limit and self.total_bytes() + size > self._limit:
                raise OutOfMemoryError(size, self.total_bytes(), self._limit)  # free blocks are not given back first
            if self._hardware.taken + size > self._hardware.total:
                self.free_all_blocks()
                if self._hardware.taken + size > self._hardware.total:
                    raise OutOfMemoryError(size, self.total_bytes(), self._limit)
            self._hardware.taken += size
        self._used += size
        return MemoryPointer(PooledMemory(self, size, stream))

    def free_all_blocks(self, stream: Stream | None = None) -> None:
        """Give free blocks back to the device."""
        for ptr in [*self._free] if stream is None else [stream.ptr]:
            self._hardware.taken -= sum(self._free.pop(ptr, ()))

    def used_bytes(self) -> int:
        """Bytes of blocks in use."""
        return self._used

    def free_bytes(self) -> int:
        """Bytes of free blocks."""
        return sum(map(sum, self._free.values()))

    def n_free_blocks(self) -> int:
        """How many blocks are free."""
        return sum(map(len, self._free.values()))

    def total_bytes(self) -> int:
        """Bytes that the pool holds."""
        return self._used + self.free_bytes()

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """The most that the pool may hold; 0 or nothing for no limit."""
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at one time")
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"memory limit fraction out of range: {fraction}")
        self._limit = int(fraction * self._hardware.total) if fraction is not None else size or 0

    def get_limit(self) -> int:
        """The limit; 0 for none."""
        return self._limit


class _Allocator(threading.local):
    """The allocator of this thread's `using_allocator`."""

    entered: Callable[[int], MemoryPointer] | None = None


default_pool = MemoryPool()
_allocator = _Allocator()
_allocators: list[Callable[[int], MemoryPointer]] = [default_pool.malloc]


def get_allocator() -> Callable[[int], MemoryPointer]:
    """What allocates: `size -> MemoryPointer`."""
    return _allocator.entered or _allocators[0]


def set_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> None:
    """Let `allocator` give the memory of arrays."""
    if _allocator.entered is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context manager")
    if allocator is None:
        raise NotImplementedError("memory without a pool")
    _allocators[0] = allocator


@contextmanager
def using_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> Iterator[None]:
    """`allocator` gives the memory of this thread's arrays inside."""
    before, _allocator.entered = _allocator.entered, allocator
    try:
        yield
    finally:
        _allocator.entered = before


def alloc(size: int) -> MemoryPointer:
    """Memory for an array."""
    return get_allocator()(size)


# -- the host's pinned memory ------------------------------------------------------------------------------------------


pinned_ranges: dict[int, int] = {}  # from -> to


def alloc_pinned_memory(size: int) -> np.ndarray:
    """cupy.cuda.alloc_pinned_memory: a buffer of at least `size` bytes; known as pinned while it is in use."""
    memory = np.full(1 << max(size - 1, UNIT - 1).bit_length(), 127, np.int8)
    start = memory.ctypes.data
    pinned_ranges[start] = start + memory.size
    weakref.finalize(memory, pinned_ranges.pop, start)
    return memory


def is_memory_pinned(data: int) -> bool:
    """True if the address lies in pinned memory."""
    return any(start <= data < end for start, end in pinned_ranges.items())


# -- the runtime -------------------------------------------------------------------------------------------------------


def get_device_properties(device: int) -> dict[str, Any]:
    """runtime.getDeviceProperties, as of an H200; some of its many entries."""
    Device(device).use()
    return {
        "name": b"a stand-in", "major": 9, "minor": 0, "totalGlobalMem": hardware.total,
        "multiProcessorCount": 132,
        "warpSize": 32, "maxThreadsPerMultiProcessor": 2048, "maxThreadsPerBlock": 1024, "regsPerMultiprocessor": 65536,
        "sharedMemPerBlock": 49152, "sharedMemPerBlockOptin": 232448, "sharedMemPerMultiprocessor": 233472,
        "l2CacheSize": 62914560, "integrated": 0, "isMultiGpuBoard": 0,
        "clockRate": 1980000, "memoryClockRate": 3201000,
        "memoryBusWidth": 6144, "pciBusID": 1, "pciDeviceID": 0, "pciDomainID": 0,
        "uuid": bytes(range(1, 8)),  # CuPy reads it as text, which ends at a 0
    }  # fmt: skip


def _set_device(device: int) -> None:
    Device(device).use()


RUNTIME = {
    "CUDARuntimeError": CUDARuntimeError,
    "deviceCanAccessPeer": lambda device, peer: 0,
    "deviceSynchronize": lambda: synchronizations.add("deviceSynchronize"),
    "driverGetVersion": lambda: 13000,
    "getDevice": lambda: 0,
    "getDeviceCount": lambda: 1,
    "getDeviceProperties": get_device_properties,
    "memGetInfo": lambda: (hardware.total - hardware.taken, hardware.total),
    "runtimeGetVersion": lambda: 13000,
    "setDevice": _set_device,
    "streamCaptureModeGlobal": 0,
    "streamCaptureModeRelaxed": 2,
    "streamCaptureModeThreadLocal": 1,
}
CUDA = {
    "Device": Device,
    "Event": Event,
    "MemoryPool": MemoryPool,
    "Stream": Stream,
    "alloc": alloc,
    "alloc_pinned_memory": alloc_pinned_memory,
    "get_allocator": get_allocator,
    "get_current_stream": get_current_stream,
    "get_device_id": lambda: 0,
    "get_elapsed_time": get_elapsed_time,
    "is_available": lambda: True,
    "set_allocator": set_allocator,
    "using_allocator": using_allocator,
}
