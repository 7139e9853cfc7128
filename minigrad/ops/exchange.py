"""Tensors on memory of others: buffers of bytes, and arrays of other libraries by DLPack."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.backend import np
from minigrad.ops import create

__all__ = ["from_dlpack", "frombuffer", "to_dlpack"]

CPU = 1  # DLPack's kDLCPU


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Any:
    """A 1-D tensor on the memory of a bytes-like object: `count` elements, or all, from byte `offset` on.

    ValueError if the buffer does not have them, TypeError without a dtype.
    """
    kind = backend.numpy_dtype(dtype)
    try:
        view = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    length = view.nbytes
    if view.readonly:
        warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. The tensor is a copy "
            "of it, so that writing to one does not change the other."
        )
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count < 0 and (length - offset) % kind.itemsize:
        raise ValueError(
            f"buffer length ({length} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({kind.itemsize})"
        )
    if count > 0 and count * kind.itemsize > length - offset:
        raise ValueError(
            f"requested buffer length ({count} * {kind.itemsize} bytes) after offset ({offset} bytes) must not be "
            f"greater than actual buffer length ({length} bytes)"
        )
    array = np.frombuffer(buffer, kind, count if count > 0 else -1, offset)
    array = array if array.flags.writeable else array.copy()
    return create.leaf(array, requires_grad)


class _Capsule:
    """A capsule as an object that gives it, as array libraries ask for."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor on the memory of an object with `__dlpack__`, or of a capsule of memory of the CPU.

    It is a copy if `copy` is true or `device` is another.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        if type(ext_tensor).__name__ != "PyCapsule":
            raise RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so "
                f"you might have already constructed a tensor from it once.\ngot {type(ext_tensor).__name__}"
            )
        ext_tensor = _Capsule(ext_tensor)
    on_cpu = ext_tensor.__dlpack_device__()[0] == CPU
    array = (np if on_cpu else backend.module_on("cuda")).from_dlpack(ext_tensor)
    array = array.copy() if copy else array
    return create.new(array if device is None else backend.move(array, device))


def to_dlpack(data: Any, dl_device: Any = None, copy: bool | None = None) -> Any:
    """A capsule of the tensor's memory, for `from_dlpack` of this library or another."""
    return data.detach().__dlpack__(
        dl_device=dl_device, copy=copy, max_version=(1, 0)
    )  # older ones are read-only to NumPy
