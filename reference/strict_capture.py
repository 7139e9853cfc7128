"""Stream capture on the stand-in: what is called while a stream captures is done again at every launch of the graph.

The values of the arguments are read anew from the memory they had, Python numbers stay what they were, and results go
to the memory of the results back then: as on a GPU. So a step whose learning rate, step count or random offset is a
Python number replays wrong here, too. What CUDA or CuPy refuse during capture is refused: waiting for the device,
copies from the host, cuBLAS and cuSOLVER through CuPy, sorting (which waits).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

LIBRARIES = {"dot", "einsum", "inner", "matmul", "tensordot", "vdot"}
SORTS = {"argpartition", "argsort", "lexsort", "partition", "sort", "sort_complex"}


class Recording:
    """The calls of a capture, and what they gave. `is_current` says whether the stream is the current one."""

    def __init__(self, is_current: Callable[[], bool]) -> None:
        self.is_current = is_current
        self.calls: list[tuple[Callable, tuple, dict, Any]] = []

    def replay(self) -> None:
        """Do them again, into the same memory."""
        for function, args, kwargs, results in self.calls:
            for old, new in zip(_hosts(results), _hosts(function(*args, **kwargs)), strict=True):
                if not any(owner(old) is owner(host) for host in _hosts((args, kwargs))):  # no view, and not `out`
                    old[...] = new


class Capture:
    """The recording under way, if any. One thread captures at a time."""

    def __init__(self) -> None:
        self.recording: Recording | None = None
        self.inside = False  # a recorded call, whose own calls are not recorded again

    def record(self, function: Callable, args: tuple, kwargs: dict, result: Any) -> None:
        """Note a call; RuntimeError if its work is on another stream than the one that captures."""
        assert self.recording is not None
        if not self.recording.is_current():
            raise RuntimeError("work on another stream while one captures: the graph would lack it")
        self.recording.calls.append((function, args, kwargs, result))

    def refuse(self, what: str) -> None:
        """RuntimeError while a stream captures."""
        if self.recording is not None:
            raise RuntimeError(
                f"cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing: {what}"
            )

    def refuse_library(self, name: str) -> None:
        """The error of CuPy's functions that call cuBLAS and its like, and of sorts."""
        space, _, function = name.removeprefix("cupy.").rpartition(".")
        if self.recording is None or (space == "ndarray" and function not in LIBRARIES | SORTS):
            return
        if function in LIBRARIES or (space.startswith(("linalg", "random")) and function != "norm"):
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        if function in SORTS:
            self.refuse(name)

    def begin(self, is_current: Callable[[], bool]) -> None:
        """Record from now on; RuntimeError if that is so already."""
        if self.recording is not None:
            raise RuntimeError("cudaErrorIllegalState: a stream captures already")
        self.recording = Recording(is_current)

    def end(self) -> Graph:
        """The graph of what was recorded."""
        if self.recording is None:
            raise RuntimeError("cudaErrorIllegalState: the stream does not capture")
        recording, self.recording = self.recording, None
        return Graph(recording)


class Graph:
    """cupy.cuda.Graph: what a stream has captured."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def launch(self, stream: Any = None) -> None:
        """Do it all again."""
        capture.refuse("a graph within a graph")
        self._recording.replay()

    def upload(self, stream: Any = None) -> None:
        """Nothing to prepare."""

    def debug_dot_str(self, flags: int = 0) -> str:
        """The calls, one after the other, in Graphviz's language."""
        names = [getattr(call[0], "__qualname__", "?") for call in self._recording.calls]
        return "digraph dot {\n" + "".join(f'"{i}" [label="{name}"];\n' for i, name in enumerate(names)) + "}\n"


capture = Capture()


def on_stream(function: Callable) -> Callable:
    """A call that starts work on the device: recorded, not done, while a stream captures.

    It is done all the same, for the shape of its results; then they are garbage, and what it has changed is put back.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if capture.recording is None or capture.inside:
            return function(*args, **kwargs)
        capture.inside = True
        before = [(host, host.copy()) for host in _hosts((args, kwargs))]
        try:
            result = function(*args, **kwargs)
        finally:
            capture.inside = False
            for host, values in before:
                if host.flags.writeable:
                    host[...] = values
        owners = {id(owner(host)) for host, _ in before}
        for host in _hosts(result):
            if id(owner(host)) not in owners:
                garbage(host)
        capture.record(function, args, kwargs, result)
        return result

    return call


def launch(function: Callable) -> Callable:
    """A call that only starts work on the device: it is not done while a stream captures, and gives 0, for success."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if capture.recording is None:
            return function(*args)
        capture.record(function, args, {}, None)
        return 0

    return call


def garbage(host: Any) -> Any:
    """`host` as fresh GPU memory: NaN, the largest integer or True, so that nobody relies on zeros."""
    host.fill(np.nan if host.dtype.kind in "fc" else True if host.dtype.kind == "b" else np.iinfo(host.dtype).max)
    return host


def _hosts(value: Any) -> list[Any]:
    """The NumPy arrays inside device arrays, also of those in lists, tuples and dicts."""
    if hasattr(value, "_host"):
        return [value._host]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [host for part in parts for host in _hosts(part)]


def owner(host: Any) -> Any:
    """The object that owns the memory of a NumPy array."""
    while getattr(host, "base", None) is not None:
        host = host.base
    return host
