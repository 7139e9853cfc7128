"""Moving a tensor to another dtype or device; the gradient moves back."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable
from minigrad.formats import arranged, check_format, contiguous_format, is_arranged, preserve_format, suggested_format
from minigrad.ops.forms import forms

__all__ = ["clone", "contiguous"]

NO_DEVICE = "The argument 'device' of Tensor.{}() is deprecated. Please do not pass this argument."


def converted(array: Any, dtype: backend.dtype) -> Any:
    """The values as `dtype`, with their order in memory; NumPy has its own way with expanded dims."""
    expanded = 0 in array.strides
    return (arranged(array, preserve_format) if expanded else array).astype(backend.numpy_dtype(dtype))


@Op(node="ToCopyBackward0")
def cast(input, dtype: backend.dtype, source: backend.dtype):
    """The values as `dtype`; `source` is the dtype of `input`, to which the gradient goes back."""
    return converted(input, dtype)


cast.derivative(input=lambda g, dtype, source: cast(g, source, dtype))


@Op
def truncated(input, dtype: backend.dtype):
    """The values as integers or truth values of `dtype`, which want no gradient."""
    return converted(input, dtype)


@Op(node="ToCopyBackward0")
def move(input, where: str, source: str, non_blocking: bool):
    """The values on device `where`; `source` is the device of `input`, to which the gradient goes back."""
    return backend.move(input, where, non_blocking)


move.derivative(input=lambda g, where, source, non_blocking: move(g, source, where, non_blocking))


@Op(node="ToCopyBackward0")
def pinned(input):
    """The values in page-locked memory."""
    return backend.pin(input)


pinned.derivative(input=lambda g: g)


def pin_memory(self: Any, device: Any = None) -> Any:
    """A copy in page-locked memory, from which `to("cuda", non_blocking=True)` does not wait; itself if it lies there.

    RuntimeError for a tensor of the GPU, and where there is no GPU.
    """
    if device is not None:
        warn(NO_DEVICE.format("pin_memory"), DeprecationWarning)
    if backend.is_gpu_array(self.array):
        raise RuntimeError(f"cannot pin '{self.type()}' only dense CPU tensors can be pinned")
    if not backend.gpu_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")
    return self if backend.is_pinned(self.array) else pinned(self)


def is_pinned(self: Any, device: Any = None) -> bool:
    """True if the memory is page-locked: see `pin_memory`."""
    if device is not None:
        warn(NO_DEVICE.format("is_pinned"), DeprecationWarning)
    return backend.is_pinned(self.array)


@forms(out=False)
@Op
def clone(input, *, memory_format: Any = None):
    """A copy, laid out as `memory_format` says."""
    check_format("clone", memory_format)
    return arranged(input, memory_format)


clone.derivative(input=lambda g: g)


@forms(out=False)
def contiguous(input: Any, *, memory_format: Any = contiguous_format) -> Any:
    """The tensor itself if its memory is in row-major order, or as `memory_format` says, else a copy that is."""
    check_format("contiguous", memory_format)
    if is_arranged(input.array, memory_format):
        return input
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return clone(input, memory_format=memory_format)


def to(
    self: Any,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Any:
    """The tensor in another dtype, on another device, in another memory format; itself if nothing changes.

    Takes a dtype, a device (or its name, or a GPU's number), both, or a tensor whose dtype and device to take.
    `copy` asks for a copy in any case. With `non_blocking`, a copy from pinned memory to the GPU is only begun: do not
    write to the source before `cuda.synchronize()` or an event says that it is done. Other copies can be used at once.
    """
    check_format("to", memory_format)
    flags: tuple[bool, ...] = ()
    for a in args:
        if isinstance(a, Variable):
            dtype, device = backend.dtype_of(a.array), backend.device_of(a.array)
        elif isinstance(a, bool):
            flags += (a,)
        elif isinstance(a, (str, int, backend.device)):
            device = a
        elif a is not None:
            dtype = a
    if flags:
        non_blocking, copy = (*flags, *(non_blocking, copy)[len(flags) :])
    result = self
    have = backend.dtype_of(self.array)
    if dtype is not None and (want := backend.as_dtype(dtype)) is not have:
        result = cast(result, want, have) if want.is_floating_point else truncated(result, want)
    if device is not None and (target := backend.canonical(device)) != (here := backend.device_of(self.array)):
        result = move(result, str(target), str(here), bool(non_blocking))
    if memory_format in (None, preserve_format) or (result is self and memory_format is suggested_format(self.array)):
        return clone(result, memory_format=memory_format) if copy and result is self else result
    return clone(result, memory_format=memory_format)
