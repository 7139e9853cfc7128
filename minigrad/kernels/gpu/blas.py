"""Matrix products by cuBLAS, called through ctypes.

CuPy's own products cannot be captured in a CUDA graph, copy both stacks of matrices unless they have no gaps, and allow
TF32 for single matrices only. Where no libcublas is found they are used all the same: steps cannot be captured then.

cuBLAS counts down columns, so what lies row by row is to it the transpose. It is asked for out^T = b^T a^T, whose
columns are the rows of out: no array is turned around, and an operand that is itself a transposed view is read as one.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import math
from threading import get_ident
from types import ModuleType
from typing import Any, NamedTuple

from minigrad.backend import Array, module_of, np
from minigrad.kernels.gpu import settings

# Of a dtype: its cudaDataType, the cublasComputeType_t, and 0 and 1 as cuBLAS reads them, in what it computes in.
_KINDS = {
    "f": (0, 68, ctypes.c_float(0), ctypes.c_float(1)),
    "d": (1, 70, ctypes.c_double(0), ctypes.c_double(1)),
    "e": (2, 68, ctypes.c_float(0), ctypes.c_float(1)),
}
_TF32 = 77  # the cublasComputeType_t of float32 whose factors may be rounded to TF32
_DEFAULT = -1  # the cublasGemmAlgo_t by which cuBLAS chooses


# -- the library -------------------------------------------------------------------------------------------------------


class Handle:
    """A cuBLAS context, the stream that it is bound to, and for each stream it was bound to the memory it works in."""

    __slots__ = ("address", "stream", "workspaces")

    def __init__(self, address: int) -> None:
        self.address = address
        self.stream: int | None = None
        self.workspaces: dict[int, Array] = {}


class Library:
    """The functions of a libcublas that are used, and a handle for each thread and device."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        pointer, long, code = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self._name = _declared(library.cublasGetStatusName, code, returns=ctypes.c_char_p)
        self._create = _declared(library.cublasCreate_v2, pointer)
        self._set_stream = _declared(library.cublasSetStream_v2, pointer, pointer)
        self._set_workspace = _declared(library.cublasSetWorkspace_v2, pointer, pointer, ctypes.c_size_t)
        begin = (pointer, code, code, long, long, long, pointer)  # handle, transposed: first, second, m, n, k, alpha
        one, many = (pointer, code, long), (pointer, code, long, long)  # address, type, lead, and step
        self.gemm = _declared(library.cublasGemmEx_64, *begin, *one, *one, pointer, *one, code, code)
        self.gemm_batched = _declared(
            library.cublasGemmStridedBatchedEx_64, *begin, *many, *many, pointer, *many, long, code, code
        )
        self.handles: dict[tuple[int, int], Handle] = {}

    def handle(self, xp: ModuleType) -> int:
        """This thread's handle for the current device, bound to the current stream."""
        where = get_ident(), xp.cuda.get_device_id()
        handle = self.handles.get(where)
        if handle is None:
            address = ctypes.c_void_p()
            self.check(self._create(ctypes.byref(address)), "cublasCreate(handle)")
            handle = self.handles[where] = Handle(address.value or 0)
        stream = xp.cuda.get_current_stream().ptr
        if handle.stream != stream:
            self._bind(handle, where[1], stream, xp)
        return handle.address

    def _bind(self, handle: Handle, device: int, stream: int, xp: ModuleType) -> None:
        """Let a handle work on a stream, in a workspace of the size that NVIDIA recommends.

        Without one of ours cuBLAS would allocate in the middle of a capture. A stream's is kept: a captured graph knows
        its address.
        """
        workspace = handle.workspaces.get(stream)
        if workspace is None:
            size = (32 if xp.cuda.runtime.getDeviceProperties(device)["major"] >= 9 else 4) << 20
            workspace = handle.workspaces[stream] = xp.empty(size, "uint8")
        self.check(self._set_stream(handle.address, stream), "cublasSetStream(handle, stream)")  # drops the workspace
        status = self._set_workspace(handle.address, workspace.data.ptr, workspace.nbytes)
        self.check(status, "cublasSetWorkspace(handle, workspace, size)")
        handle.stream = stream

    def check(self, status: int, call: str) -> None:
        """RuntimeError, in torch's words, unless the status of a call says success."""
        if status == 0:
            return
        name = self._name(status).decode()
        text = f"CUDA error: {name} when calling `{call}`"
        if name in ("CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED"):
            text += "\nMost often the GPU has no memory left for cuBLAS."
        raise RuntimeError(text)


def _declared(function: Any, *parameters: Any, returns: Any = ctypes.c_int) -> Any:
    function.argtypes, function.restype = parameters, returns
    return function


_NOT_LOOKED_FOR: Any = object()
_library: Library | None = _NOT_LOOKED_FOR


def use_library(library: Library | None) -> Library | None:
    """Let `library` compute the products, or CuPy if None; returns the one before."""
    global _library
    before, _library = _library, library
    return before


def _find(xp: ModuleType) -> Library | None:
    """The libcublas that goes with CuPy, or None."""
    use_library(_named(None) or _named(f"libcublas.so.{xp.cuda.runtime.runtimeGetVersion() // 1000}"))
    return _library


def _named(path: str | None) -> Library | None:
    """The library at `path`, or where CuPy's own dependency finds it; None if it is not there, or too old."""
    try:
        return Library(path or importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None


# -- how matrices lie --------------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """A stack of matrices as cuBLAS is told of it; distances are in elements."""

    turned: bool  # columns lie without gaps, not rows
    lead: int  # from row to row, or if turned from column to column
    step: int  # from matrix to matrix; 0 if there is one for all


class Plan(NamedTuple):
    """What is known of a product but for the addresses; a layout is None if cuBLAS cannot work on it."""

    shape: tuple[int, ...]
    sizes: tuple[int, int, int, int]  # how many products of m x k with k x n
    a: Layout | None
    b: Layout | None
    out: Layout | None


@functools.lru_cache(maxsize=4096)
def _plan(
    a: tuple[int, ...],
    a_strides: tuple[int, ...],
    b: tuple[int, ...],
    b_strides: tuple[int, ...],
    out_strides: tuple[int, ...] | None,
    itemsize: int,
) -> Plan:
    """The plan for operands of the shapes a and b; ValueError if they do not fit."""
    if a[-1] != b[-2]:
        raise ValueError(f"the {a[-1]} columns of {a} must be as many as the {b[-2]} rows of {b}")
    front = np.broadcast_shapes(a[:-2], b[:-2])
    count, m, n, k = math.prod(front), a[-2], b[-1], a[-1]
    shape = (*front, m, n)
    if not count * m * n * k:
        return Plan(shape, (count, m, n, k), None, None, None)
    first, second = _layout(a, a_strides, front, itemsize), _layout(b, b_strides, front, itemsize)
    result = Layout(False, n, m * n) if out_strides is None else _layout(shape, out_strides, front, itemsize)
    if result is not None and result.turned:
        result = None
    if first and second and result and not first.turned and second.step == 0:
        in_line = first.step == m * first.lead, result.step == m * result.lead
        count, m = (1, count * m) if all(in_line) else (count, m)  # those of a, and of out, are one long matrix
    return Plan(shape, (count, m, n, k), first, second, result)


def _layout(shape: tuple[int, ...], strides: tuple[int, ...], front: tuple[int, ...], itemsize: int) -> Layout | None:
    """How a stack lies whose dims in front are broadcast to `front`; None if it must be copied.

    Its matrices must be one distance apart, and the rows or the columns of each without gaps, not overlapping.
    """
    step = _step(shape[:-2], strides[:-2], front)
    if step is None:
        return None
    step //= itemsize
    (rows, columns), (down, along) = shape[-2:], (stride // itemsize for stride in strides[-2:])
    if (columns == 1 or along == 1) and (rows == 1 or down >= columns):
        return Layout(False, down if rows > 1 else max(step, columns), step)
    if (rows == 1 or down == 1) and (columns == 1 or along >= rows):
        return Layout(True, along if columns > 1 else max(step, rows), step)
    return None


def _step(shape: tuple[int, ...], strides: tuple[int, ...], front: tuple[int, ...]) -> int | None:
    """The bytes from matrix to matrix, 0 if there is one for all; None if it is not the same between all."""
    missing = len(front) - len(shape)
    steps = [0] * missing + [stride if size > 1 else 0 for size, stride in zip(shape, strides)]
    first, inner = None, 1
    for n, step in zip(reversed(front), reversed(steps)):
        if n > 1:
            first = step if first is None else first
            if step < 0 or step != first * inner:
                return None
            inner *= n
    return first or 0


# -- the product -------------------------------------------------------------------------------------------------------


def matmul(a: Array, b: Array, out: Array | None = None, add: bool = False) -> Array:
    """a @ b of stacks of matrices on the GPU, whose dims in front are broadcast; ValueError if they do not fit.

    Written to `out`, which shares no memory with a and b, or added to it. The sums of float16 are taken in float32.
    """
    xp, char = module_of(a), a.dtype.char
    library = _find(xp) if _library is _NOT_LOOKED_FOR else _library
    if library is None or char not in _KINDS or not isinstance(b, xp.ndarray) or b.dtype.char != char:
        return _placed(xp.matmul(a, b), out, add)
    plan = _plan(a.shape, a.strides, b.shape, b.strides, None if out is None else out.strides, a.itemsize)
    if out is not None and (out.shape != plan.shape or out.dtype.char != char):
        raise ValueError(f"out is {out.dtype} of the shape {out.shape}, the product {a.dtype} of {plan.shape}")
    if not all(plan.sizes):
        return _placed(xp.zeros(plan.shape, char), out, add)
    if plan.a is None or plan.b is None:
        a, b = (x if lies else _copied(x, plan.shape[:-2], xp) for x, lies in ((a, plan.a), (b, plan.b)))
        return matmul(a, b, out, add)
    if plan.out is None:
        return _placed(matmul(a, b), out, add)
    if out is None:
        out = xp.empty(plan.shape, char)
    _call(library, plan.sizes, (a, plan.a), (b, plan.b), (out, plan.out), add, xp)
    return out


def _call(
    library: Library,
    sizes: tuple[int, int, int, int],
    first: tuple[Array, Layout],
    second: tuple[Array, Layout],
    result: tuple[Array, Layout],
    add: bool,
    xp: ModuleType,
) -> None:
    """One call of cuBLAS: out = b a + (out if add), its matrices being our transposes."""
    count, m, n, k = sizes
    (b, (b_turned, b_lead, b_step)), (a, (a_turned, a_lead, a_step)), (out, (_, lead, step)) = second, first, result
    kind, compute, zero, one = _KINDS[out.dtype.char]
    if kind == 0 and settings.matmul_precision != "highest":
        compute = _TF32
    begin = library.handle(xp), b_turned, a_turned, n, m, k, ctypes.addressof(one)
    beta = ctypes.addressof(one if add else zero)
    if count == 1:
        status = library.gemm(
            *begin, b.data.ptr, kind, b_lead, a.data.ptr, kind, a_lead,
            beta, out.data.ptr, kind, lead, compute, _DEFAULT,
        )  # fmt: skip
    else:
        status = library.gemm_batched(
            *begin, b.data.ptr, kind, b_lead, b_step, a.data.ptr, kind, a_lead, a_step,
            beta, out.data.ptr, kind, lead, step, count, compute, _DEFAULT,
        )  # fmt: skip
    if status:
        name = "cublasGemmEx" if count == 1 else "cublasGemmStridedBatchedEx"
        library.check(status, f"{name}(handle, {b_turned:d}, {a_turned:d}, {n}, {m}, {k}, ...)")


def _placed(product: Array, out: Array | None, add: bool) -> Array:
    """`product`, or `out` with it."""
    if out is None:
        return product
    if add:
        out += product
    else:
        out[...] = product
    return out


def _copied(x: Array, front: tuple[int, ...], xp: ModuleType) -> Array:
    """The stack without gaps; where that does not do, also with a copy for each place that it is broadcast to."""
    x = xp.ascontiguousarray(x)
    if _layout(x.shape, x.strides, front, x.itemsize) is None:
        x = xp.ascontiguousarray(xp.broadcast_to(x, (*front, *x.shape[-2:])))
    return x
