"""Arrays, devices and dtypes: the one file that knows that CuPy exists.

Everything above works on "an array": a `numpy.ndarray` (device "cpu") or a `cupy.ndarray` (device "cuda"), and asks
`module_of` which of the two array modules made it. dtypes and devices carry torch's names and texts.
"""

from __future__ import annotations

import builtins
import importlib
import os
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.gpu_errors import in_a_fork, not_importable, not_usable
from minigrad.gpu_memory import memory_of

ndarray = np.ndarray
Array = Any  # numpy.ndarray or cupy.ndarray

_gpu: ModuleType | None = None
_forked = False  # from a process that had begun to use the GPU


# -- array modules -----------------------------------------------------------------------------------------------------


def module_of(*values: Any) -> ModuleType:
    """The array module (numpy or cupy) of the first array among `values`; numbers and lists do not count."""
    for value in values:
        if type(value) is ndarray:
            return np
        if _gpu is not None and isinstance(value, _gpu.ndarray):
            return _gpu
        if isinstance(value, (list, tuple)) and value:
            return module_of(*value)
    return np


def use_gpu_module(module: ModuleType | None) -> ModuleType | None:
    """Let `module` (CuPy, or a stand-in under test) make the arrays of device "cuda"; returns the one before."""
    global _gpu
    before, _gpu = _gpu, module
    if module is not None:
        memory_of(module)
    return before


def gpu_module() -> ModuleType:
    """CuPy, imported at first use.

    Raises AssertionError where CuPy cannot be imported and RuntimeError where it finds no GPU: torch's types for a
    build without CUDA and for a machine without a driver.
    """
    if _forked:
        raise in_a_fork()
    module = _gpu
    if module is None:
        try:
            module = importlib.import_module("cupy")
        except Exception as error:
            raise not_importable(error) from None
        use_gpu_module(module)
    if not module.cuda.is_available():
        raise not_usable(module)
    return module


def _note_fork() -> None:
    global _forked
    _forked = _gpu is not None and _gpu.cuda.is_available()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)


def gpu_available() -> bool:
    """True if CuPy can be imported and sees a GPU; never raises."""
    try:
        return bool(gpu_module())
    except (AssertionError, RuntimeError):
        return False


def is_array(value: Any) -> bool:
    """True for an array of either module."""
    return (
        type(value) is ndarray or isinstance(value, ndarray) or (_gpu is not None and isinstance(value, _gpu.ndarray))
    )


def is_gpu_array(value: Any) -> bool:
    """True for an array on a GPU."""
    return _gpu is not None and isinstance(value, _gpu.ndarray)


def as_array(value: Any) -> Array:
    """A NumPy scalar (NumPy gives one where torch has a 0-dim tensor) as a 0-dim array; arrays unchanged."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def to_numpy(array: Array) -> np.ndarray:
    """The values on the CPU: `array` itself, or a copy of a GPU array."""
    if isinstance(array, ndarray):
        return array
    # of others CuPy makes a copy itself, and forgets which stream `use()` has made the current one
    return (array if array.flags.c_contiguous else array.copy()).get()


def is_view_of(array: Array, source: Array) -> bool:
    """True if `array`, just computed from `source`, shares its memory."""
    base = array.base
    if base is None and is_gpu_array(array) and is_gpu_array(source):  # CuPy's as_strided names none
        return array is not source and array.data.mem is source.data.mem
    if base is None or array is source or base is source or base is source.base:
        return base is not None
    # as_strided hangs a helper between an array and its base
    return not is_array(base) and np.may_share_memory(array, source)


def address(array: Array) -> int:
    """Where the first element lies in memory."""
    return array.__array_interface__["data"][0] if isinstance(array, ndarray) else array.data.ptr


def add_at(out: Array, index: Any, values: Array) -> None:
    """out[index] += values in place, with repeated indices adding up."""
    if type(out) is ndarray:
        np.add.at(out, index, values)
    else:
        module_of(out).add.at(out, index, values)


# -- dtypes ------------------------------------------------------------------------------------------------------------


# How torch's errors name the element types.
_C_NAMES = {
    "float16": "c10::Half", "float32": "float", "float64": "double", "int8": "signed char", "int16": "short",
    "int32": "int", "int64": "long int", "uint8": "unsigned char",
}  # fmt: skip


class dtype:
    """A torch dtype: a name, the NumPy dtype behind it, and its category (0 bool, 1 integer, 2 float, 3 refused)."""

    __slots__ = ("c_name", "category", "name", "numpy", "type_name")

    def __init__(self, name: str, category: int, type_name: str, supported: builtins.bool = True) -> None:
        self.name, self.category, self.type_name = name, category, type_name
        self.c_name = _C_NAMES.get(name, name)
        self.numpy: Any = np.dtype(name) if supported else None

    @property
    def is_floating_point(self) -> builtins.bool:
        return self.category == 2

    @property
    def is_complex(self) -> builtins.bool:
        return self.name.startswith("complex")

    @property
    def is_signed(self) -> builtins.bool:
        return self.name not in ("bool", "uint8")

    @property
    def itemsize(self) -> builtins.int:
        return numpy_dtype(self).itemsize

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name


float16, float32, float64 = (dtype(f"float{n}", 2, t) for n, t in ((16, "Half"), (32, "Float"), (64, "Double")))
int8, int16, int32, int64 = (dtype(f"int{n}", 1, t) for n, t in ((8, "Char"), (16, "Short"), (32, "Int"), (64, "Long")))
uint8, bool_ = dtype("uint8", 1, "Byte"), dtype("bool", 0, "Bool")
bfloat16 = dtype("bfloat16", 3, "BFloat16", supported=False)
complex64, complex128 = (
    dtype(f"complex{n}", 3, t, supported=False) for n, t in ((64, "ComplexFloat"), (128, "ComplexDouble"))
)

DTYPES = (bool_, uint8, int8, int16, int32, int64, float16, float32, float64)
_from_numpy = {d.numpy: d for d in DTYPES}
_default = [float32]


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats."""
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Make `d` the dtype of tensors made from Python floats; TypeError unless it is a floating point dtype."""
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(
            f"only floating-point types are supported as the default type, got {d}: use float16, float32 or float64"
        )
    _default[0] = d


def numpy_dtype(d: Any) -> np.dtype:
    """The NumPy dtype of a torch dtype or of Python's bool, int and float; a TypeError names what minigrad has not."""
    if isinstance(d, dtype):
        if d.numpy is None:
            raise TypeError(f"minigrad has no {d.name}: its dtypes are {', '.join(x.name for x in DTYPES)}")
        return d.numpy
    if d in (builtins.float, builtins.int, builtins.bool):
        return np.dtype(d)
    raise TypeError(f"dtype must be torch.dtype, not {type(d).__name__}")


def as_dtype(d: Any) -> dtype:
    """`d`, or the dtype that Python's bool, int or float stands for; TypeError for what minigrad has not."""
    return _from_numpy[numpy_dtype(d)]


def dtype_of(array: Array) -> dtype:
    """The torch dtype of an array; TypeError for those without one."""
    try:
        return _from_numpy[array.dtype]
    except KeyError:
        raise TypeError(
            f"can't convert np.ndarray of type {array.dtype}. The only supported types are: "
            f"{', '.join(d.name for d in reversed(DTYPES))}."
        ) from None


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype to which both can go: torch's table for two tensors with dimensions."""
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if a.category == 1 and uint8 in (a, b) and int8 in (a, b):
        return int16
    return max(a, b, key=lambda d: (numpy_dtype(d).itemsize, d.is_signed))


def result_type(operands: list[Any]) -> dtype:
    """The common dtype of arrays and Python numbers.

    Arrays with dimensions decide; 0-dim arrays, and after them Python numbers, change the outcome only if they are of a
    higher category (bool < integer < float), a Python float counting as the default dtype and an int as int64.
    """
    ranks: list[dtype | None] = [None, None, None]
    for x in operands:
        if is_array(x):
            d, rank = dtype_of(x), (0 if x.ndim else 1)
        else:
            d, rank = (bool_ if x is True or x is False else int64 if isinstance(x, int) else _default[0]), 2
        seen = ranks[rank]
        ranks[rank] = d if seen is None else promote_types(seen, d)
    result: dtype | None = None
    for candidate in ranks:
        if result is None or (candidate is not None and candidate.category > result.category):
            result = candidate
    return result or _default[0]


# -- devices -----------------------------------------------------------------------------------------------------------


class device:
    """`device("cpu")`, `device("cuda")`, `device("cuda:1")` or `device("cuda", 1)`: where an array lives."""

    __slots__ = ("index", "type")

    type: str
    index: builtins.int | None

    def __init__(self, type: Any = None, index: builtins.int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        elif isinstance(type, builtins.int):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        kind, _, number = type.partition(":")
        if kind not in ("cpu", "cuda"):
            raise RuntimeError(f"Expected one of cpu, cuda device type at start of device string: {type}")
        if number:
            if index is not None:
                raise RuntimeError(
                    f"type (string) must not include an index because index was passed explicitly: {type}"
                )
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type, self.index = kind, index

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> builtins.bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> builtins.int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple:
        return device, (str(self),)

    def __enter__(self) -> device:
        _entered.append(default_device.where)
        set_default_device(self)
        return self

    def __exit__(self, *error: object) -> None:
        default_device.where = _entered.pop()


CPU = device("cpu")


class _DefaultDevice:
    """Where tensors are made that name no device; None is the CPU."""

    __slots__ = ("where",)

    def __init__(self) -> None:
        self.where: device | None = None


default_device = _DefaultDevice()
_entered: list[device | None] = []  # the default device before each `with device:` that is open


def get_default_device() -> device:
    """Where tensors are made that name no device."""
    return default_device.where or CPU


def set_default_device(device: Any) -> None:
    """Make tensors that name no device there; None is the CPU."""
    target = None if device is None else canonical(device)
    default_device.where = None if target == CPU else target


def canonical(where: Any) -> device:
    """A device with its number: "cuda" is the current GPU."""
    d = device(where)
    if d.type == "cuda" and d.index is None:
        return device("cuda", gpu_module().cuda.Device().id)
    return d


def device_of(array: Array) -> device:
    """The device on which an array lives."""
    return CPU if isinstance(array, ndarray) else device("cuda", array.device.id)


def module_on(where: Any) -> ModuleType:
    """The array module for a device, its name or None (the CPU); raises as `gpu_module` if there is none."""
    return np if where is None or device(where).type == "cpu" else gpu_module()


def move(array: Array, where: Any, non_blocking: bool = False) -> Array:
    """The array on device `where`: itself if it is there already, else a copy.

    Values from ordinary memory are copied aside first, and on while the GPU works on. Pinned memory is read by the GPU
    itself: the host waits until that is done, unless `non_blocking`; CuPy keeps the memory until then.
    """
    target = canonical(where)
    if target.type == "cpu":
        return to_numpy(array)
    cp = gpu_module()
    if isinstance(array, cp.ndarray) and array.device.id == target.index:
        return array
    with cp.cuda.Device(target.index):
        return cp.asarray(array, blocking=not non_blocking and is_pinned(array))


def is_pinned(array: Array) -> bool:
    """True if the array lies in page-locked memory of the host, which the GPU reads by itself."""
    return (
        _gpu is not None
        and isinstance(array, ndarray)
        and array.size > 0
        and _gpu.cuda.is_available()
        and bool(_gpu.cuda.pinned_memory.is_memory_pinned(address(array)))
    )


def pin(array: Array) -> Array:
    """A copy of an array of the CPU in page-locked memory, in its order of dims; itself if it lies there already."""
    if is_pinned(array):
        return array
    memory = gpu_module().cuda.alloc_pinned_memory(max(array.nbytes, 1))
    pinned = np.ndarray(array.shape, array.dtype, memory, strides=np.empty_like(array).strides)
    pinned[...] = array
    return pinned
