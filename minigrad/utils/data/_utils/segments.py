"""How answers travel from a worker to the main process: small ones in its pipe, large arrays in shared memory.

A segment is memory without a name (Linux's memfd) that both processes map, so there is nothing to clean up: it is gone
when neither has it, however they ended. The worker writes arrays into one and sends a pickle that says where they are;
the main process makes arrays that are views of it. When the last of them is gone, the worker is told and uses the
segment again: its pages are there already, which saves half the time of a new one.
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from collections import deque
from dataclasses import dataclass, field
from io import BytesIO
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler, recv_handle, send_handle
from typing import Any

from minigrad.backend import np
from minigrad.formats import inverse, memory_order

__all__ = ["Parcel", "Receiver", "Sender", "send"]

LARGE = 32 * 1024  # bytes; a smaller array goes through the pipe
SPARE = 4  # segments that a worker keeps for use again
MOST = 48  # segments of one worker at a time: more batches than that in use at once come through the pipe, as copies
ALIGNMENT = 64


@dataclass
class Parcel:
    """A pickled answer; its large arrays follow `parts`: (start, end) in a segment, or the bytes themselves."""

    text: bytes
    parts: list[Any]
    segment: int | None = None
    size: int | None = None  # of a segment that the main process does not know yet: it comes next through the pipe
    dropped: list[int] = field(default_factory=list)  # segments that are used no more
    handle: int | None = None  # of the new segment, in the worker

    def __reduce__(self) -> Any:
        return Parcel, (self.text, self.parts, self.segment, self.size, self.dropped)


def send(pipe: Connection, parcel: Parcel, receiver: int) -> None:
    """Send a parcel, and its segment if that is new, to the process `receiver`."""
    pipe.send(parcel)
    if parcel.handle is not None:
        send_handle(pipe, parcel.handle, receiver)
        os.close(parcel.handle)  # the map of it is enough


class _Pickler(ForkingPickler):
    """Lets arrays be sent apart from the pickle whatever the order of their dims in memory, and in that order."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray and not value.flags.forc and value.dtype.kind != "O":
            order = memory_order(value)
            return np.ndarray.transpose, (np.ascontiguousarray(value.transpose(order)), inverse(order))
        return NotImplemented


class Sender:
    """The worker's side: packs answers, and keeps the segments that it has made."""

    def __init__(self) -> None:
        self.made: dict[int, mmap.mmap] = {}
        self.free: list[int] = []
        self.dropped: list[int] = []
        self.count = 0

    def pack(self, answer: Any) -> Parcel:
        """The parcel of an answer; raises what pickling raises."""
        large: list[memoryview] = []

        def stays(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes >= LARGE:
                large.append(raw)
            return raw.nbytes < LARGE

        stream = BytesIO()
        _Pickler(stream, 5, True, stays).dump(answer)
        ends = np.cumsum([-(-raw.nbytes // ALIGNMENT) * ALIGNMENT for raw in large], dtype=int).tolist()
        segment = self._segment(ends[-1]) if large else None
        if segment is None:
            return Parcel(stream.getvalue(), [bytearray(raw) for raw in large])
        number, handle = segment
        memory = self.made[number]
        parts = [(start, start + raw.nbytes) for start, raw in zip([0, *ends], large)]
        for (start, end), raw in zip(parts, large):
            np.frombuffer(memory, np.uint8)[start:end] = np.frombuffer(raw, np.uint8)
        dropped, self.dropped = self.dropped, []
        size = None if handle is None else len(memory)
        return Parcel(stream.getvalue(), parts, number, size, dropped, handle)

    def _segment(self, size: int) -> tuple[int, int | None] | None:
        """A free segment of at least this size, else a new one and its handle; None if there can be none."""
        fitting = [number for number in self.free if len(self.made[number]) >= size]
        if fitting:
            self.free.remove(fitting[-1])
            return fitting[-1], None
        if len(self.made) - len(self.free) >= MOST or not hasattr(os, "memfd_create"):
            return None
        for number in self.free[:]:  # all too small
            self.take_back([(number, False)])
        try:
            handle = os.memfd_create("minigrad batch")
        except OSError:  # no more files may be open
            return None
        try:
            os.posix_fallocate(handle, 0, size)  # an error where there is no room for it, not a signal later
            memory = mmap.mmap(handle, size)
        except OSError:
            os.close(handle)
            return None
        self.count += 1
        self.made[self.count] = memory
        return self.count, handle

    def take_back(self, returned: list[tuple[int, bool]]) -> None:
        """Segments that the main process needs no more, and whether they may be written to again."""
        for number, usable in returned:
            if usable and len(self.free) < SPARE:
                self.free.append(number)
                continue
            if number in self.free:
                self.free.remove(number)
            del self.made[number]
            self.dropped.append(number)


class Receiver:
    """The main process's side, one for each worker: opens parcels, and notes the segments that it needs no more."""

    def __init__(self) -> None:
        self.mapped: dict[int, mmap.mmap] = {}
        self.returned: deque[tuple[int, int]] = deque()  # segment, and how many forks there had been when it came

    def open(self, parcel: Parcel, pipe: Connection) -> Any:
        """The answer; its large arrays are views of shared memory."""
        for number in parcel.dropped:
            del self.mapped[number]
        if parcel.segment is None:
            return pickle.loads(parcel.text, buffers=parcel.parts)
        if parcel.size is not None:
            handle = recv_handle(pipe)
            self.mapped[parcel.segment] = mmap.mmap(handle, parcel.size)
            os.close(handle)
        whole = np.frombuffer(self.mapped[parcel.segment], np.uint8)  # every array of the batch holds on to it
        weakref.finalize(whole, self.returned.append, (parcel.segment, _forks)).atexit = False
        return pickle.loads(parcel.text, buffers=[whole.data[start:end] for start, end in parcel.parts])

    def no_longer_needed(self) -> list[tuple[int, bool]]:
        """Segments whose arrays are gone since the last call, and whether they may be written to again.

        Not after a fork: the other process may have them still.
        """
        found = []
        while self.returned:
            number, forks = self.returned.popleft()
            found.append((number, forks == _forks))
        return found


_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_count_fork)
