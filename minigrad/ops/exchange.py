"""Tensors on memory of others: buffers of bytes, and arrays of other libraries by DLPack."""

from __future__ import annotations

import ctypes
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.backend import np
from minigrad.ops import create

__all__ = ["from_dlpack", "frombuffer", "to_dlpack"]

CUDA = 2  # DLPack's kDLCUDA; other kinds of memory are the host's


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
    """A capsule as an object that gives it, as array libraries ask for.

    Its kind of memory is read in DLPack's struct: there it follows the address, and in newer ones the version,
    owner, deleter and flags before that.
    """

    def __init__(self, capsule: Any) -> None:
        python = ctypes.pythonapi
        python.PyCapsule_GetName.restype, python.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
        python.PyCapsule_GetPointer.restype = ctypes.c_void_p
        python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        name = python.PyCapsule_GetName(capsule)
        if name not in (b"dltensor", b"dltensor_versioned"):
            raise _invalid(f"a capsule named {name!r}")
        self.capsule, self.old = capsule, name == b"dltensor"
        address = python.PyCapsule_GetPointer(capsule, name) + (8 if self.old else 40)
        self.kind, self.number = (ctypes.c_int32 * 2).from_address(address)

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, self.number


class _Writable:
    """The memory of an array that may be written to, though NumPy does not know: old capsules do not say."""

    def __init__(self, array: Any) -> None:
        self.array = array  # which keeps the memory
        self.__array_interface__ = {**array.__array_interface__, "data": (backend.address(array), False)}


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor on the memory of an object with `__dlpack__`, or of a capsule of such memory, of the CPU or a GPU.

    It is a copy if `copy` is true or `device` is another; ValueError if that must not be.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        if type(ext_tensor).__name__ != "PyCapsule":
            raise _invalid(type(ext_tensor).__name__)
        ext_tensor = _Capsule(ext_tensor)
    on_gpu = ext_tensor.__dlpack_device__()[0] == CUDA
    array = (backend.gpu_module() if on_gpu else np).from_dlpack(ext_tensor)
    if isinstance(ext_tensor, _Capsule) and ext_tensor.old and not on_gpu:
        array = np.asarray(_Writable(array))
    target = backend.device_of(array) if device is None else backend.canonical(device)
    if target != backend.device_of(array):
        if copy is False:
            raise ValueError(
                f"cannot move DLPack tensor from device {backend.device_of(array)} to {target} without copying. Set "
                "copy=None or copy=True."
            )
        return create.new(backend.move(array, target))
    return create.new(array.copy() if copy else array)


def _invalid(found: str) -> RuntimeError:
    return RuntimeError(
        "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you might "
        f"have already constructed a tensor from it once.\ngot {found}"
    )


def to_dlpack(data: Any, dl_device: Any = None, copy: bool | None = None) -> Any:
    """A capsule of the tensor's memory, for `from_dlpack` of this library or another."""
    return data.detach().__dlpack__(
        dl_device=dl_device, copy=copy, max_version=(1, 0)
    )  # older ones are read-only to NumPy
