"""A tensor in another dtype or on another device, and new tensors like it."""

from __future__ import annotations

from typing import Any

from minigrad import backend, ops
from minigrad.autograd.variable import Variable
from minigrad.gpu_memory import memory_of
from minigrad.ops.cast import is_pinned, pin_memory, to
from minigrad.size import Size


class Conversions(Variable):
    """torch's conversions: `to` and its short names, `type`, and the `new_` constructors."""

    to = to

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """`"torch.FloatTensor"`, or the tensor cast to a dtype or to a type of such a name."""
        if dtype is None:
            where = "cuda." if backend.device_of(self.array).type == "cuda" else ""
            return f"torch.{where}{backend.dtype_of(self.array).type_name}Tensor"
        named = {f"torch.{d.type_name}Tensor": d for d in backend.DTYPES}
        if isinstance(dtype, str) and dtype not in named:
            raise ValueError(f"invalid type: '{dtype}'; one of {', '.join(named)} is expected")
        wanted = named[dtype] if isinstance(dtype, str) else getattr(dtype, "dtype", dtype)
        return to(self, wanted, non_blocking=non_blocking)

    def type_as(self, other: Any) -> Any:
        return to(self, other)

    def float(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.float32, memory_format=memory_format)

    def double(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.float64, memory_format=memory_format)

    def half(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.float16, memory_format=memory_format)

    def bfloat16(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.bfloat16)  # a TypeError, which says that there is none

    def long(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.int64, memory_format=memory_format)

    def int(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.int32, memory_format=memory_format)

    def short(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.int16, memory_format=memory_format)

    def char(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.int8, memory_format=memory_format)

    def byte(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.uint8, memory_format=memory_format)

    def bool(self, *, memory_format: Any = None) -> Any:
        return to(self, backend.bool_, memory_format=memory_format)

    def cpu(self, *, memory_format: Any = None) -> Any:
        return to(self, "cpu", memory_format=memory_format)

    def cuda(self, device: Any = None, non_blocking: Any = False, *, memory_format: Any = None) -> Any:
        where = backend.device("cuda" if device is None else device)
        if where.type != "cuda":
            raise RuntimeError("Invalid device, must be cuda device")
        return to(self, where, non_blocking=non_blocking, memory_format=memory_format)

    is_pinned, pin_memory = is_pinned, pin_memory

    def record_stream(self, s: Any) -> None:
        """Say that stream `s` uses this tensor of a GPU: until then its memory is not given to others once it is freed.

        Needed for a tensor made on one stream and used on another.
        """
        if not backend.is_gpu_array(self.array):
            raise RuntimeError(f"record_stream is for tensors of a GPU, and this one is on {self.device}")  # type: ignore[attr-defined]
        memory_of(backend.gpu_module()).keep(self.array, s.raw)

    # -- for other libraries, without a copy

    def __dlpack__(self, *, stream: Any = -1, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
        """A capsule of the memory. `stream` is that on which it will be used: 1 the default one, -1 one that knows.

        BufferError for a tensor that wants a gradient, and for one of a GPU that is not the current one.
        """
        if self.needs_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if stream is not None and type(stream) is not int:
            raise TypeError("stream must be ``int`` or ``none``")
        where = backend.device_of(self.array)
        if where.type == "cpu":
            if stream not in (None, -1):
                raise AssertionError("stream should be None on cpu.")
            return self.array.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)
        current = backend.canonical("cuda").index
        if where.index != current:
            raise BufferError(
                "Can't export tensors on a different CUDA device index. "
                f"Expected: {where.index}. Current device: {current}."
            )
        return self.array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> Any:
        """DLPack's kind of memory (1 the CPU's, 2 the GPU's, 3 page-locked) and its device's number."""
        if not backend.is_gpu_array(self.array):
            return (3 if backend.is_pinned(self.array) else 1), 0
        return 2, backend.device_of(self.array).index

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Where a GPU's tensor lies and how, for CuPy, Numba and others. AttributeError for tensors of the CPU."""
        if not backend.is_gpu_array(self.array):
            raise AttributeError(
                f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()} "
                "If CUDA data is required use tensor.cuda() to copy tensor to device memory."
            )
        if self.needs_grad:
            raise RuntimeError(
                "Can't get __cuda_array_interface__ on Variable that requires grad. "
                "If gradients aren't required, use var.detach() to get Variable that doesn't require grad."
            )
        array = self.array
        return {
            "typestr": array.dtype.str,
            "shape": array.shape,
            "strides": None if array.flags.c_contiguous else array.strides,
            "data": (backend.address(array) if array.size else 0, False),
            "version": 2,
        }

    def get_device(self) -> Any:
        """The number of the GPU, -1 for the CPU."""
        index = backend.device_of(self.array).index
        return -1 if index is None else index

    def new(self, *args: Any) -> Any:
        """A tensor of this dtype and device: of a size, uninitialised, or of a list's numbers. An older form."""
        data = args[0] if len(args) == 1 else None
        if data is None or isinstance(data, (int, Size)):
            return ops.empty(*(args or (0,)), **self._alike({}))
        if isinstance(data, Variable):
            return data.detach()  # type: ignore[attr-defined]
        return to(ops.tensor(data), backend.dtype_of(self.array)).to(self.device)  # type: ignore[attr-defined]

    def new_zeros(self, *size: Any, **how: Any) -> Any:
        return ops.zeros(*size, **self._alike(how))

    def new_ones(self, *size: Any, **how: Any) -> Any:
        return ops.ones(*size, **self._alike(how))

    def new_empty(self, *size: Any, **how: Any) -> Any:
        return ops.empty(*size, **self._alike(how))

    def new_full(self, size: Any, fill_value: Any, **how: Any) -> Any:
        return ops.full(size, fill_value, **self._alike(how))

    def new_tensor(self, data: Any, **how: Any) -> Any:
        return ops.tensor(data, **self._alike(how))

    def _alike(self, how: dict[str, Any]) -> dict[str, Any]:
        """`how`, with this tensor's dtype and device where it names none."""
        return {"dtype": backend.dtype_of(self.array), "device": backend.device_of(self.array), **how}
