"""CUDA graphs: a whole training step, recorded once, is started again with one call.

    step()                               # three times or so on a side stream, so that all is compiled and allocated
    g = cuda.CUDAGraph()
    with cuda.graph(g):
        loss = step()                    # nothing is computed yet: launches are recorded
    x.copy_(batch)                       # a replay reads and writes the memory that the recording read and wrote
    g.replay()

A small network is bound by the time that Python and the driver take to start its kernels; a replay starts them all at
once. What is recorded are launches with their arguments, so numbers that change from step to step must be read from
the GPU's memory: optimizers need `capturable=True`, and a learning rate that changes must be a tensor. Random numbers
go on from replay to replay as they would without a graph. Whatever waits for the GPU is an error while it is recorded.

What is allocated during a recording comes from a pool of its own, which lives as long as the graph does: the memory
stays at its place. Two graphs may share a pool (`pool=`) if they are replayed in the order of their recording.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import weakref
from typing import Any

from minigrad import backend
from minigrad.cuda.memory import empty_cache
from minigrad.cuda.random import default_generators
from minigrad.cuda.streams import Stream, stream
from minigrad.files import replace_file
from minigrad.gpu_memory import Pool, memory_of

__all__ = ["CUDAGraph", "graph", "graph_pool_handle", "is_current_stream_capturing"]

MODES = ("global", "thread_local", "relaxed")

_pools: weakref.WeakValueDictionary[tuple[int, int], Pool] = weakref.WeakValueDictionary()
_numbers = itertools.count(1)
_capturing: list[CUDAGraph] = []  # normally none or one


def graph_pool_handle() -> tuple[int, int]:
    """A token for a pool of memory that several graphs are to share."""
    return 0, next(_numbers)


def is_current_stream_capturing() -> bool:
    """True while launches on the current stream are recorded and not run."""
    return bool(_capturing) and backend.gpu_module().cuda.get_current_stream().is_capturing()


class CUDAGraph:
    """A recording of launches: torch.cuda.CUDAGraph. Usually made by `graph` or `make_graphed_callables`."""

    def __init__(self, keep_graph: bool = False) -> None:
        backend.gpu_module()  # raises where there is no GPU
        self._graph: Any = None
        self._handle: tuple[int, int] | None = None
        self._pool: Any = None
        self._open: contextlib.ExitStack | None = None
        self._stream: Any = None  # CuPy's, on which is recorded
        self._generators: list[Any] = []
        self._drawn: list[tuple[Any, Any]] = []  # generators, and what of theirs a replay draws

    def register_generator_state(self, generator: Any) -> None:
        """Let a generator other than the GPU's own be drawn from inside the recording."""
        self._generators.append(generator)

    def capture_begin(
        self,
        pool: tuple[int, int] | None = None,
        capture_error_mode: str = "global",
        check_input_liveness: bool = False,
    ) -> None:
        """Record from now on what the current stream, which must not be the default one, is given.

        RuntimeError on the default stream, while another recording is under way, and for a graph that has one. The
        mode is checked only: CuPy's pool may have to grow, which "relaxed" alone allows, so that is what is used.
        """
        if capture_error_mode not in MODES:
            raise RuntimeError(
                f"Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got {capture_error_mode}"
            )
        if self._graph is not None or self._open is not None:
            raise RuntimeError(
                "This CUDAGraph instance already owns a captured graph. To capture a new graph, create a new instance."
            )
        cp = backend.gpu_module()
        now = cp.cuda.get_current_stream()
        if now.ptr in (0, 1):
            raise RuntimeError(
                "CUDA graphs must be captured on a non-default stream. (However, after capture, it's ok to replay them "
                "on the default stream.) Use `with cuda.graph(g):`, which changes to one."
            )
        self._handle = graph_pool_handle() if pool is None else pool
        self._pool = _pools.get(self._handle) or memory_of(cp).new_pool()
        _pools[self._handle] = self._pool
        device = now.device_id if now.device_id >= 0 else cp.cuda.Device().id
        self._generators = list({id(g): g for g in (default_generators[device], *self._generators)}.values())
        with contextlib.ExitStack() as opened:
            for generator in self._generators:
                generator.begin_capture()
                opened.callback(generator.end_capture)
            opened.enter_context(cp.cuda.using_allocator(self._pool.malloc))
            now.begin_capture(cp.cuda.runtime.streamCaptureModeRelaxed)
            _capturing.append(self)
            opened.callback(_capturing.remove, self)
            self._open, self._stream = opened.pop_all(), now

    def capture_end(self) -> None:
        """End the recording; it can be replayed from now on. RuntimeError on another stream than it began on."""
        if self._open is None:
            raise RuntimeError("capture_end() without capture_begin(): nothing is being recorded")
        now = backend.gpu_module().cuda.get_current_stream()
        if now.ptr != self._stream.ptr:
            raise RuntimeError("Capture must end on the same stream it began on.")
        opened, self._open = self._open, None
        with opened:
            self._graph = now.end_capture()
        self._drawn = [(generator, generator.captured) for generator in self._generators if generator.captured]

    def instantiate(self) -> None:
        """Accepted: a recording is made ready for replays when it ends, also with `keep_graph`."""

    def replay(self) -> None:
        """Start everything that was recorded, on the current stream. RuntimeError if there is no recording."""
        if self._graph is None:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        for generator, numbers in self._drawn:
            generator.before_replay(numbers)
        self._graph.launch()

    def reset(self) -> None:
        """Forget the recording and let go of its memory."""
        self._graph, self._drawn, self._pool = None, [], None
        self._handle = None

    def pool(self) -> tuple[int, int]:
        """The token of its pool, for another graph's `pool`."""
        if self._handle is None:
            raise RuntimeError("Called CUDAGraph::pool() without a preceding successful capture.")
        return self._handle

    def enable_debug_mode(self) -> None:
        """Accepted: `debug_dump` needs no preparation."""

    def debug_dump(self, debug_path: str) -> None:
        """Write the recording as a Graphviz file."""
        if self._graph is None:
            raise RuntimeError("debug_dump() without a recording: capture one first")
        with replace_file(debug_path) as file:
            file.write(self._graph.debug_dot_str().encode())


class graph:
    """`with graph(g):` records into `g` what the block gives the GPU, on `stream` or one stream for all recordings.

    pool      a token of `graph_pool_handle` or `other.pool()`: that graph's memory is shared
    """

    default_capture_stream: Stream | None = None

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: tuple[int, int] | None = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
        enable_annotations: bool = False,
        check_input_liveness: bool = False,
    ) -> None:
        if stream is None:
            if graph.default_capture_stream is None:
                graph.default_capture_stream = Stream()
            stream = graph.default_capture_stream
        self.cuda_graph, self.pool, self.capture_stream, self.capture_error_mode = (
            cuda_graph, pool, stream, capture_error_mode,
        )  # fmt: skip
        self._stream: Any = None

    def __enter__(self) -> None:
        backend.gpu_module().cuda.Device().synchronize()
        gc.collect()  # arrays in cycles must not be freed in the middle of the recording
        empty_cache()
        self._stream = stream(self.capture_stream)
        self._stream.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.capture_error_mode)
        except BaseException:
            self._stream.__exit__(None, None, None)
            raise

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self.cuda_graph.capture_end()
        except Exception:
            if error is None:  # else the block's own error, which has spoilt the recording, is what counts
                raise
        finally:
            self._stream.__exit__(kind, error, trace)
