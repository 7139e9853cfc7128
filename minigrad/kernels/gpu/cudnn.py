"""Convolution and its two transposes by cuDNN, NVIDIA's library; the one file that knows it.

cuDNN has dozens of ways to compute a convolution. A *plan* is the one that is taken for a `Problem`: for these shapes,
this dtype, this layout. To make one takes milliseconds, so plans are kept. A *context* is a handle of the library with
the plans made through it. Only one thread may use it at a time: a call borrows one and gives it back.

The functions here give None where cuDNN is not there, is switched off or has no plan: `convolution` then takes columns.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
from types import ModuleType
from typing import Any, NamedTuple

from minigrad.backend import Array, gpu_available, module_of
from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.gpu import settings
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.windows import span

Shape = tuple[int, ...]

PLANS = 1024  # of a context; then the one not used for longest goes
WORKSPACE = 1 << 28  # bytes that a plan may take besides: 7x7 kernels on large images would take nearly as much
ALIGNED = 16  # bytes: plans read as many at once
REPEATS = 3  # of a plan that is timed

FIRST, SECOND, RESULT = 1, 2, 3  # the arrays of a convolution, by the numbers under which cuDNN knows them
DTYPES = {"e": "HALF", "f": "FLOAT", "d": "DOUBLE"}


def conv(x: Array, w: Array, how: Conv, shape: Shape) -> Array | None:
    """The convolution of x with w, of shape `shape`."""
    return _compute("conv_fprop", x, w, x.shape, w.shape, how, shape)


def conv_input(g: Array, w: Array, how: Conv, x_shape: Shape) -> Array | None:
    """The transpose of `conv` in x."""
    return _compute("conv_dgrad", g, w, x_shape, w.shape, how, x_shape)


def conv_weight(g: Array, x: Array, how: Conv, w_shape: Shape) -> Array | None:
    """The transpose of `conv` in w."""
    return _compute("conv_wgrad", g, x, x.shape, w_shape, how, w_shape)


def version() -> int | None:
    """cuDNN's version, 91900 for 9.19.0; None where there is no cuDNN, or no GPU for it."""
    found = library() if gpu_available() else None
    return found.module.backend_version() if found else None


def _compute(
    kind: str, first: Array, second: Array, x_shape: Shape, w_shape: Shape, how: Conv, shape: Shape
) -> Array | None:
    """The convolution `kind` of two arrays that fit together, or None."""
    if not settings.cudnn_enabled or not takes(first, second, dtypes="efd"):
        return None
    found = library()
    if found is None:
        return None
    last = _channels_last(first) or _channels_last(second)
    problem = Problem(
        kind, first.dtype.char, x_shape, w_shape, how, last, settings.cudnn_tf32,
        settings.cudnn_deterministic or settings.deterministic, settings.cudnn_benchmark,
    )  # fmt: skip
    with first.device:
        context = found.borrow(first.device.id)
        if context is None:
            return None
        try:
            plan = context.plan(problem)
            if plan is None:
                return None
            xp = module_of(first)
            out = xp.empty((shape[0], *shape[2:], shape[1]) if last else shape, first.dtype)
            first, second = _laid_out(first, last), _laid_out(second, last)  # held until the plan has started
            plan.run({FIRST: first.data.ptr, SECOND: second.data.ptr, RESULT: out.data.ptr}, context, xp)
        finally:
            found.give_back(first.device.id, context)
    return out.transpose(0, out.ndim - 1, *range(1, out.ndim - 1)) if last else out


# -- layout ------------------------------------------------------------------------------------------------------------


def _channels_last(array: Array) -> bool:
    """Whether channels are innermost in memory, as in torch.channels_last. If one array's are, all are taken so."""
    return not array.flags.c_contiguous and _turned(array).flags.c_contiguous


def _turned(array: Array) -> Array:
    return array.transpose(0, *range(2, array.ndim), 1)


def _laid_out(array: Array, last: bool) -> Array:
    """The elements as they lie in memory, without gaps and aligned: a view of the array, or a copy."""
    turned = _turned(array) if last else array
    if turned.flags.c_contiguous and not turned.data.ptr % ALIGNED:
        return turned
    return module_of(array).array(turned, order="C")


def _strides(shape: Shape, last: bool) -> Shape:
    """The strides, in elements, of an array without gaps."""
    if last:
        batch, *sizes, channels = _strides((shape[0], *shape[2:], shape[1]), False)
        return batch, channels, *sizes
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


# -- plans -------------------------------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """What a plan is made for: two arrays to convolve, and what torch's switches allow."""

    kind: str  # "conv_fprop", "conv_dgrad" or "conv_wgrad": cuDNN's names of `conv`, `conv_input`, `conv_weight`
    char: str
    x_shape: Shape
    w_shape: Shape
    how: Conv
    channels_last: bool
    tf32: bool
    deterministic: bool
    benchmark: bool


class Plan:
    """A way to compute a problem: the `index`-th of those that the graph knows, None for the one cuDNN proposes."""

    __slots__ = ("graph", "index", "timed", "workspace")

    def __init__(self, graph: Any, timed: bool) -> None:
        self.graph, self.timed = graph, timed
        self.index: int | None = None
        self.workspace: int = graph.get_workspace_size()

    def run(self, pointers: dict[int, int], context: Context, xp: ModuleType) -> None:
        """Start it on the current stream."""
        stream = xp.cuda.get_current_stream()
        context.module.set_stream(handle=context.handle, stream=stream.ptr)
        if not self.timed and not stream.is_capturing():
            self._take_fastest(pointers, context, xp)
        room = xp.empty(self.workspace, "uint8")
        if self.index is None:
            self.graph.execute(pointers, room.data.ptr, handle=context.handle)
        else:
            self.graph.execute_plan_at_index(pointers, room.data.ptr, self.index, handle=context.handle)

    def _take_fastest(self, pointers: dict[int, int], context: Context, xp: ModuleType) -> None:
        """Time the first few of the graph's plans, in the order in which cuDNN expects them to be fast."""
        graph, start, stop, times = self.graph, xp.cuda.Event(), xp.cuda.Event(), []
        for index in range(graph.get_execution_plan_count()):
            try:
                graph.build_plan_at_index(index)
                workspace = graph.get_workspace_size_plan_at_index(index)
                room = xp.empty(workspace, "uint8")
                graph.execute_plan_at_index(pointers, room.data.ptr, index, handle=context.handle)  # loads the kernel
                start.record()
                for _ in range(REPEATS):
                    graph.execute_plan_at_index(pointers, room.data.ptr, index, handle=context.handle)
                stop.record()
                stop.synchronize()
            except context.failures:  # not among those allowed, or not for this GPU
                continue
            times.append((xp.cuda.get_elapsed_time(start, stop), index, workspace))
            if len(times) == settings.cudnn_benchmark_limit:
                break
        if times:
            _, self.index, self.workspace = min(times)
        self.timed = True


def plan_graph(cudnn: ModuleType, problem: Problem, **where: Any) -> Any:
    """A graph of one convolution, with its plan made; `where` is a `handle`, or a `device_property` without a GPU.

    Raises RuntimeError or cudnn.cudnnGraphNotSupportedError if there is no plan.
    """
    kind, char, x, w, how, last, tf32, deterministic, _ = problem
    moves = [list(values) for values in how[:3]]
    if len(x) == 3:  # cuDNN has no fewer than two dimensions
        x, w = ((*shape[:2], 1, shape[2]) for shape in (x, w))
        moves = [[neutral, *values] for neutral, values in zip((1, 0, 1), moves)]
    windows = ((n + 2 * p - span(k, d)) // s + 1 for n, k, s, p, d in zip(x[2:], w[2:], *moves, strict=True))
    y = (x[0], w[0], *windows)
    io, single = getattr(cudnn.data_type, DTYPES[char]), cudnn.data_type.FLOAT
    graph = cudnn.pygraph(
        io_data_type=io, intermediate_data_type=single, compute_data_type=io if char == "d" else single, **where
    )

    def tensor(uid: int, shape: Shape) -> Any:
        return graph.tensor(dim=shape, stride=_strides(shape, last), data_type=io, uid=uid)

    if kind == "conv_fprop":
        shape, given = y, {"image": tensor(FIRST, x), "weight": tensor(SECOND, w)}
    elif kind == "conv_dgrad":
        shape, given = x, {"loss": tensor(FIRST, y), "filter": tensor(SECOND, w)}
    else:
        shape, given = w, {"loss": tensor(FIRST, y), "image": tensor(SECOND, x)}
    stride, padding, dilation = moves
    result = getattr(graph, kind)(**given, padding=padding, stride=stride, dilation=dilation)
    result.set_output(True).set_uid(RESULT).set_dim(shape).set_stride(_strides(shape, last)).set_data_type(io)
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
    note = cudnn.numerical_note
    refused = [note.DOWN_CONVERT_INPUTS]  # torch's rule
    if char == "f" and not tf32:
        refused.append(note.TENSOR_CORE)
    if deterministic:
        refused.append(note.NONDETERMINISTIC)
    graph.deselect_numeric_notes(refused)
    graph.deselect_workspace_greater_than(WORKSPACE)
    graph.check_support()
    graph.build_plans()
    return graph


# -- the library -------------------------------------------------------------------------------------------------------


class Context:
    """A handle of cuDNN for one GPU, and the plans made with it."""

    __slots__ = ("failures", "handle", "module", "plan")

    def __init__(self, module: ModuleType, handle: int, failures: tuple[type[Exception], ...]) -> None:
        self.module, self.handle, self.failures = module, handle, failures
        self.plan = functools.lru_cache(maxsize=PLANS)(self._new_plan)

    def _new_plan(self, problem: Problem) -> Plan | None:
        """The plan for a problem; None, which is kept as well, if there is none."""
        try:
            return Plan(plan_graph(self.module, problem, handle=self.handle), timed=not problem.benchmark)
        except self.failures:
            return None


class Library:
    """cuDNN's Python module, and for each GPU the contexts that nobody uses at the moment; None if it takes none."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.failures = (RuntimeError, module.cudnnGraphNotSupportedError)
        self.contexts: dict[int, list[Context] | None] = {}

    def borrow(self, device: int) -> Context | None:
        """A context for the current GPU, whose number is `device`."""
        free = self.contexts.setdefault(device, [])
        if free is None:
            return None
        with contextlib.suppress(IndexError):  # not `if free`: another thread may take it in between
            return free.pop()
        try:
            return Context(self.module, self.module.create_handle(), self.failures)
        except self.failures:
            self.contexts[device] = None
            return None

    def give_back(self, device: int, context: Context) -> None:
        """Let others have the context."""
        free = self.contexts[device]
        if free is not None:
            free.append(context)


_NOT_LOOKED_FOR: Any = object()
_library: Library | None = _NOT_LOOKED_FOR


def use_library(other: Library | None) -> Library | None:
    """Let `other` compute the convolutions, or columns and products if None; returns the one before."""
    global _library
    before, _library = _library, other
    return before


def library() -> Library | None:
    """cuDNN, loaded at first use; None where it, or its frontend for Python, is not installed."""
    if _library is _NOT_LOOKED_FOR:
        use_library(_find())
    return _library


def _find() -> Library | None:
    try:
        # The frontend looks for cuDNN in one folder; and cuDNN ends the process where it does not find cuBLAS, and
        # leaves out the plans that are compiled first where it does not find NVRTC.
        load = importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib
        load("cublasLt")
        for name in ("nvrtc", "cudnn"):
            with contextlib.suppress(RuntimeError):
                load(name)
        module = importlib.import_module("cudnn")
        module.backend_version()
    except (ImportError, RuntimeError):
        return None
    return Library(module)
