"""Streams, in which a GPU works one thing after the other, and events, which mark points in them.

    side = cuda.Stream()
    with cuda.stream(side):
        batch = batch.to("cuda", non_blocking=True)   # from pinned memory: beside what the default stream does
    cuda.current_stream().wait_stream(side)           # what follows here waits for it, the host does not

As in torch, streams other than the default one do not wait for it, nor it for them: `wait_stream` and events order
them. Memory that an array frees is used again by its own stream, so `Tensor.record_stream` must be told of others.
"""

from __future__ import annotations

import ctypes
from typing import Any

from minigrad import backend
from minigrad.cuda.devices import device as current
from minigrad.cuda.devices import number_of

__all__ = [
    "Event", "ExternalStream", "Stream", "StreamContext", "current_stream", "default_stream",
    "get_stream_from_external", "set_stream", "stream",
]  # fmt: skip


def _gpu_module(what: str) -> Any:
    """CuPy; a RuntimeError with what torch says where there is no GPU."""
    try:
        return backend.gpu_module()
    except AssertionError as error:
        raise RuntimeError(f"{what}: {error}") from None


class Stream:
    """A stream of a GPU, the current one unless `device` names another; work of lower `priority` numbers goes first."""

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        cp = _gpu_module("torch.cuda.Stream requires CUDA support")
        raw = kwargs.pop("raw", None)
        if kwargs:
            raise TypeError(f"Stream() got an unexpected keyword argument '{next(iter(kwargs))}'")
        index = number_of(device, optional=True)
        if raw is None:
            with current(index):
                raw = cp.cuda.Stream(non_blocking=True, priority=priority)
        self.raw = raw  # CuPy's stream
        self.device = backend.device("cuda", index)

    cuda_stream = property(lambda self: self.raw.ptr)
    stream_id = property(lambda self: self.raw.ptr)
    device_index = property(lambda self: self.device.index)
    priority = property(lambda self: self.raw.priority)
    _as_parameter_ = property(lambda self: ctypes.c_void_p(self.cuda_stream))

    def query(self) -> bool:
        """True if all that was started is done."""
        return self.raw.done

    def synchronize(self) -> None:
        """Wait on the host until all that was started is done."""
        self.raw.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Mark this point with an event, a new one if None; returns it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """What is started from now on waits for the event; the host does not."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """What is started from now on waits for all that was started on `stream`; the host does not."""
        self.wait_event(stream.record_event())

    def __enter__(self) -> Stream:
        self._context = StreamContext(self)
        self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)

    def __cuda_stream__(self) -> tuple[int, int]:
        """CUDA's protocol for streams: (version, address)."""
        return 0, self.cuda_stream

    def __eq__(self, o: object) -> bool:
        return isinstance(o, Stream) and (self.cuda_stream, self.device) == (o.cuda_stream, o.device)

    def __hash__(self) -> int:
        return hash((self.cuda_stream, self.device))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class _Foreign:
    """The address of another library's stream as CuPy takes it."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.address


class ExternalStream(Stream):
    """Another library's stream, given by its address; it must outlive this object."""

    def __init__(self, stream_ptr: int, device: Any = None, **kwargs: Any) -> None:
        cp = _gpu_module("torch.cuda.Stream requires CUDA support")
        with current(device):
            super().__init__(device, raw=cp.cuda.Stream.from_external(_Foreign(stream_ptr)), **kwargs)


class Event:
    """A point in a stream, set by `record`: others can wait for it, and measure the time from one to another.

    enable_timing   keep the time, for `elapsed_time`
    blocking        let `synchronize` sleep where it would otherwise keep asking
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False, external: bool = False
    ) -> None:
        _gpu_module("Tried to instantiate dummy base class Event")
        if interprocess:
            raise NotImplementedError("events shared between processes")
        self.enable_timing, self.blocking = enable_timing, blocking
        self.raw: Any = None  # CuPy's event, made on the GPU of the stream that records it first
        self.device: backend.device | None = None

    cuda_event = property(lambda self: 0 if self.raw is None else self.raw.ptr)
    _as_parameter_ = property(lambda self: ctypes.c_void_p(self.cuda_event))

    def record(self, stream: Stream | None = None) -> None:
        """Mark this point of `stream`, the current one if None."""
        stream = current_stream() if stream is None else stream
        raw = self.raw
        if raw is None:
            with current(stream.device):
                raw = backend.gpu_module().cuda.Event(self.blocking, disable_timing=not self.enable_timing)
            self.raw, self.device = raw, stream.device
        raw.record(stream.raw)

    def wait(self, stream: Stream | None = None) -> None:
        """What is started on `stream` from now on waits for this point; the host does not."""
        if self.raw is not None:
            (current_stream() if stream is None else stream).raw.wait_event(self.raw)

    def query(self) -> bool:
        """True if all before this point is done."""
        return self.raw is None or self.raw.done

    def synchronize(self) -> None:
        """Wait on the host until all before this point is done."""
        if self.raw is not None:
            self.raw.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this point to that of `end_event`. ValueError unless both keep time, and are reached."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self.raw is None or end_event.raw is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise ValueError(
                "Both events must be completed before calculating elapsed time. Wait with end_event.synchronize()."
            )
        return backend.gpu_module().cuda.get_elapsed_time(self.raw, end_event.raw)

    def __repr__(self) -> str:
        return f"<torch.cuda.Event {self.cuda_event:#x}>" if self.cuda_event else "<torch.cuda.Event uninitialized>"


# -- the current stream ------------------------------------------------------------------------------------------------


def current_stream(device: Any = None) -> Stream:
    """The stream on which this thread starts work on a GPU."""
    cp = backend.gpu_module()
    index = number_of(device, optional=True)
    return Stream(index, raw=cp.cuda.get_current_stream(index))


def default_stream(device: Any = None) -> Stream:
    """The stream that is the current one unless another is set."""
    cp = backend.gpu_module()
    return Stream(number_of(device, optional=True), raw=cp.cuda.Stream.null)


def get_stream_from_external(data_ptr: int, device: Any = None) -> Stream:
    """Another library's stream, given by its address."""
    backend.gpu_module()
    return ExternalStream(data_ptr, number_of(device, optional=True))


def set_stream(stream: Stream) -> None:
    """Make `stream`, and its GPU, the current one; None changes nothing."""
    if stream is not None:
        current(stream.device).__enter__()
        stream.raw.use()


class StreamContext:
    """What `stream` gives: `stream` is the current one inside, and its GPU the current GPU."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self.before: list[Stream] = []

    def __enter__(self) -> None:
        if self.stream is None:
            return
        self.before = [current_stream()]
        if self.stream.device != self.before[0].device:
            self.before.insert(0, current_stream(self.stream.device))
        set_stream(self.stream)

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        for stream in self.before:
            set_stream(stream)


def stream(stream: Stream | None) -> StreamContext:
    """`with cuda.stream(s):` what is started inside goes on stream `s`; None changes nothing."""
    return StreamContext(stream)
