"""Tensors from data, constants and ranges. All take torch's `dtype=`, `device=` and `requires_grad=`.

They also take its `layout=`, which changes nothing: memory is strided. `pin_memory=True` asks for page-locked memory,
which `tensor`, `empty`, `zeros`, `ones`, `full` and their likes give, and the others do not.
"""

from __future__ import annotations

import functools
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.formats import RANKS, arranged, check_format, inverse, order_of, preserve_format, strided
from minigrad.ops.forms import forms

__all__ = [
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "empty_strided",
    "from_numpy",
    "full",
    "full_like",
    "ones",
    "ones_like",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]

ONLY_FLOATS = "Only Tensors of floating point and complex dtype can require gradients"


def leaf(array: Any, requires_grad: bool = False, pin_memory: bool = False) -> Any:
    """A leaf on `array`, moved to page-locked memory if `pin_memory` is true.

    RuntimeError if it is to want a gradient and is not of a floating point dtype, or cannot be pinned.
    """
    if pin_memory:
        array = _pinned(array)
    if requires_grad and array.dtype.kind != "f":
        raise RuntimeError(f"{ONLY_FLOATS}: this one is {backend.dtype_of(array)}")
    return new(array, bool(requires_grad))


def _pinned(array: Any) -> Any:
    if backend.is_gpu_array(array):
        raise RuntimeError("Only dense CPU tensors can be pinned")
    if not backend.gpu_available():
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is available on "
            "this system."
        )
    return backend.pin(array)


def new(array: Any, requires_grad: bool = False) -> Any:
    """A leaf on `array`; in inference mode an inference tensor."""
    result = wrap(array, requires_grad)
    if mode.inference:
        result.counter = None
    return result


def array_from(data: Any, dtype: Any = None) -> Any:
    """An array (new unless `data` holds one) from numbers, sequences, arrays and tensors, in torch's dtype for them.

    Python floats become the default dtype, ints int64; NumPy arrays and scalars keep theirs. ValueError for ragged
    sequences, TypeError for what is not a number.
    """
    if isinstance(data, Variable):
        array = data.array
    elif backend.is_array(data):
        array = data
    elif isinstance(data, np.generic):
        array = np.asarray(data)
    else:
        array = _from_sequence(data)
        if dtype is None and array.dtype.kind == "f":
            dtype = _common_dtype(data) if _holds_numpy(data) else backend.get_default_dtype()
    if array.dtype.kind not in "fiub":
        raise TypeError(f"can't convert data of type {array.dtype} to a tensor: expected numbers")
    if dtype is not None:
        return array.astype(backend.numpy_dtype(dtype), copy=False)
    backend.dtype_of(array)
    return array


def _from_sequence(data: Any) -> Any:
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError(_ragged(data)) from None
    if array.dtype.kind in "OUS":
        odd = _odd_one(data)
        if _begins_with_text(data):  # torch finds the shape along the first elements, and takes text for a sequence
            raise ValueError("too many dimensions 'str': a tensor holds numbers")
        if odd in ("str", "bytes"):
            raise TypeError(f"new(): invalid data type '{odd}': a tensor holds numbers")
        raise RuntimeError(f"Could not infer dtype of {odd}: a tensor holds numbers")
    return array


def _without_tensors(data: Any) -> Any:
    """Nested sequences with NumPy arrays, which keep the dtype, in place of the tensors in them."""
    if not isinstance(data, Variable):
        return [_without_tensors(x) if isinstance(x, (list, tuple, Variable)) else x for x in data]
    if data.array.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars: use stack() to join tensors")
    return backend.to_numpy(data.array).reshape(())


def _common_dtype(data: Any) -> backend.dtype:
    """The dtype of nested sequences that hold NumPy values or tensors beside numbers."""
    if isinstance(data, (list, tuple)):
        return functools.reduce(backend.promote_types, map(_common_dtype, data))
    if isinstance(data, (Variable, np.ndarray, np.generic)):
        return backend.dtype_of(data.array if isinstance(data, Variable) else data)
    return backend.result_type([data])


def _holds_numpy(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.generic, np.ndarray, Variable))


def _ragged(data: Any, dim: int = 0) -> str:
    lengths = [len(x) if hasattr(x, "__len__") else None for x in data]
    for n in lengths[1:]:
        if n != lengths[0]:
            return f"expected sequence of length {lengths[0]} at dim {dim + 1} (got {n})"
    return next((text for x in data if hasattr(x, "__len__") and (text := _ragged(x, dim + 1))), "")


def _begins_with_text(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, str)


def _odd_one(data: Any) -> str:
    if isinstance(data, (list, tuple)):
        return next((odd for x in data if (odd := _odd_one(x))), "")
    return "" if isinstance(data, (int, float, np.generic)) else type(data).__name__


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Any:
    """A new leaf with a copy of `data`: numbers, nested sequences, an array, a NumPy scalar or a tensor."""
    if isinstance(data, Variable):
        warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor)."
        )
    array = array_from(data, dtype)
    if device is None:
        device = backend.default_device.where
    module = backend.module_on(device) if device is not None else backend.module_of(array)
    copied = module.array(backend.move(array, device) if device is not None else array, copy=True)
    return leaf(copied, requires_grad, pin_memory)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` as a tensor, sharing its memory where dtype and device allow."""
    if isinstance(data, Variable):
        return data.to(device=device, dtype=dtype)  # type: ignore[attr-defined]
    array = array_from(data, dtype)
    if device is None:
        device = backend.default_device.where
    return new(array if device is None else backend.move(array, device))


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Any:
    """`obj` as a tensor: itself, or one that shares its memory where dtype and device allow, unless `copy`.

    ValueError if it cannot be shared and `copy` is False.
    """
    held = obj if isinstance(obj, Variable) or backend.is_array(obj) else None
    if held is None and copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    result = as_tensor(obj, dtype, device)
    if held is not None and copy is not None:
        shared = result is obj or backend.is_view_of(result.array, obj.array if isinstance(obj, Variable) else obj)
        if not (copy or shared):
            raise ValueError("can't alias tensor: another dtype or device needs a copy")
        result = result.clone() if copy and shared else result
    return result.requires_grad_() if requires_grad else result


def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = strided, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """A 0-dim tensor of the default dtype, or of `dtype`."""
    if not isinstance(s, (bool, int, float)):
        raise TypeError(f"scalar_tensor(): argument 's' (position 1) must be Number, not {type(s).__name__}")
    kind = backend.get_default_dtype() if dtype is None else dtype
    return full((), s, dtype=kind, device=device, requires_grad=requires_grad)


def from_numpy(ndarray: Any) -> Any:
    """A tensor on the memory of a NumPy array: a change of one shows in the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    backend.dtype_of(ndarray)
    return new(ndarray)


def size_of(size: tuple[Any, ...], name: str = "empty") -> tuple[int, ...]:
    """The shape in `name(2, 3)`, `name((2, 3))` or `name([2, 3])`."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    for i, n in enumerate(size):
        if not hasattr(n, "__index__"):
            raise TypeError(
                f"{name}(): argument 'size' (position 1) must be tuple of ints, but found element of type "
                f"{type(n).__name__} at pos {i}"
            )
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(size)}")
    return tuple(int(n) for n in size)


def dtype_or_default(dtype: Any) -> Any:
    return backend.numpy_dtype(backend.get_default_dtype() if dtype is None else dtype)


def _filled(make: str, shape: tuple[int, ...], dtype: Any, device: Any, requires_grad: bool, pin_memory: bool) -> Any:
    array = on_device(device, lambda module: getattr(module, make)(shape, dtype_or_default(dtype)))
    return leaf(array, requires_grad, pin_memory)


def on_device(device: Any, make: Any) -> Any:
    """`make(array module)` with `device`, or the default one, current."""
    where = backend.default_device.where if device is None else device
    if where is None or (target := backend.canonical(where)).type == "cpu":
        return make(np)
    module = backend.gpu_module()
    with module.cuda.Device(target.index):
        return make(module)


@forms(method=False, out="exact")
def zeros(
    *sizes: Any, size: Any = None, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Zeros: `zeros(2, 3)`, `zeros((2, 3))` or `zeros(size=(2, 3))`."""
    shape = size_of(sizes if size is None else (size,), "zeros")
    return _filled("zeros", shape, dtype, device, requires_grad, pin_memory)


@forms(method=False, out="exact")
def ones(
    *sizes: Any, size: Any = None, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """Ones: `ones(2, 3)`, `ones((2, 3))` or `ones(size=(2, 3))`."""
    shape = size_of(sizes if size is None else (size,), "ones")
    return _filled("ones", shape, dtype, device, requires_grad, pin_memory)


@forms(method=False, out="exact")
def empty(
    *sizes: Any, size: Any = None, memory_format: Any = None, dtype: Any = None, layout: Any = strided,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """A tensor with whatever values the memory held; its shape is given as for `zeros`."""
    check_format("empty", memory_format)
    if memory_format is preserve_format:
        raise RuntimeError("unsupported memory format Preserve")
    made = _filled("empty", size_of(sizes if size is None else (size,)), dtype, device, requires_grad, False)
    if memory_format in RANKS:
        made.array = arranged(made.array, memory_format)
    if pin_memory:
        made.array = _pinned(made.array)
    return made


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, layout: Any = strided, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:  # fmt: skip
    """A tensor with whatever values the memory held, laid out by strides counted in elements."""
    if len(size) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of strides ({len(stride)})"
        )
    if min(size, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(size)}: {list(size)}")
    if 0 not in size and any(n > 1 and step < 0 for n, step in zip(size, stride, strict=True)):
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(size)} and strides={list(stride)}\nstrides must not "
            f"be negative"
        )
    count = 0 if 0 in size else 1 + sum([(n - 1) * step for n, step in zip(size, stride, strict=True)])
    memory = empty((count,), dtype=dtype, device=device, pin_memory=pin_memory, requires_grad=requires_grad)
    array = memory.array
    view = backend.module_of(array).lib.stride_tricks.as_strided
    memory.array = view(array, tuple(size), tuple([step * array.itemsize for step in stride]))
    return memory


@forms(method=False, out="exact")
def full(
    size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = strided, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Any:  # fmt: skip
    """`fill_value` everywhere; its kind decides the dtype (bool, int64 or the default dtype) unless one is given."""
    if isinstance(fill_value, Variable):
        fill_value = fill_value.item()  # type: ignore[attr-defined]
    if isinstance(fill_value, np.generic):
        fill_value = fill_value.item()
    if not isinstance(fill_value, (bool, int, float)):
        kind = type(fill_value).__name__
        raise TypeError(f"full(): argument 'fill_value' (position 2) must be Number, not {kind}")
    if dtype is None:
        dtype = None if isinstance(fill_value, float) else type(fill_value)
    fill_value = _fitting(fill_value, dtype_or_default(dtype))
    shape = size_of((size,) if isinstance(size, int) else tuple(size))
    array = on_device(device, lambda module: module.full(shape, fill_value, dtype_or_default(dtype)))
    return leaf(array, requires_grad, pin_memory)


def _fitting(value: Any, dtype: np.dtype) -> Any:
    """A number as `dtype` holds it: negative ones wrap around in uint8; RuntimeError for one out of its range."""
    if dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    lowest = -limits.max if limits.min == 0 else limits.min
    if not lowest <= value <= limits.max:
        raise RuntimeError(f"value cannot be converted to type {dtype.name}_t without overflow: {value}")
    return int(value) % (limits.max + 1) if limits.min == 0 else int(value)


def _like(make: Any) -> Any:
    def like(
        input: Any,
        *args: Any,
        dtype: Any = None,
        layout: Any = strided,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: Any = None,
        **value: Any,
    ) -> Any:
        check_format(like.__name__, memory_format)
        where = backend.device_of(input.array) if device is None else device
        order, shape = order_of(input.array, memory_format), input.array.shape
        made = make(
            shape if order is None else [shape[dim] for dim in order],
            *args,
            **value,
            dtype=backend.dtype_of(input.array) if dtype is None else dtype,
            device=where,
            pin_memory=pin_memory,
            requires_grad=requires_grad,
        )
        if order is not None:
            made.array = made.array.transpose(inverse(order))
        return made

    like.__name__ = like.__qualname__ = f"{make.__name__}_like"
    like.__doc__ = f"`{make.__name__}` of the shape, dtype, device and order in memory of `input`."
    return like


zeros_like, ones_like, empty_like, full_like = _like(zeros), _like(ones), _like(empty), _like(full)
