"""torch's typed constructors: `FloatTensor([1, 2])`, `LongTensor(3)`, `isinstance(x, FloatTensor)`."""

from __future__ import annotations

import warnings
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.ops import create
from minigrad.tensor import Tensor

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "set_default_tensor_type",
]


class _TypedConstructor(type):
    """A class that makes plain tensors of one dtype and counts those as its instances."""

    dtype: backend.dtype

    def __call__(cls, *args: Any) -> Any:
        kind = backend.numpy_dtype(cls.dtype)
        data = args[0] if len(args) == 1 else None
        if data is None or isinstance(data, int):
            return wrap(np.empty(create.size_of(args) if args else (0,), kind))
        if isinstance(data, Variable):
            if data.array.dtype != kind:
                raise TypeError(
                    f"expected a {cls.dtype.name} tensor (got {backend.dtype_of(data.array).name}): cast it with "
                    f".to({cls.dtype})"
                )
            return data
        return wrap(np.array(create.array_from(data), dtype=kind))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype


def _typed(dtype: backend.dtype) -> Any:
    name = f"{dtype.type_name}Tensor"
    text = f"A {dtype.name} tensor from data, or uninitialised from sizes."
    return _TypedConstructor(name, (), {"dtype": dtype, "__doc__": text, "__module__": __name__})


FloatTensor, DoubleTensor, HalfTensor = _typed(backend.float32), _typed(backend.float64), _typed(backend.float16)
LongTensor, IntTensor, ShortTensor = _typed(backend.int64), _typed(backend.int32), _typed(backend.int16)
CharTensor, ByteTensor, BoolTensor = _typed(backend.int8), _typed(backend.uint8), _typed(backend.bool_)


def set_default_tensor_type(t: Any) -> None:
    """Make the dtype of a tensor type, or of its name such as "torch.DoubleTensor", the default dtype. Deprecated."""
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives.",
        UserWarning,
        stacklevel=2,
    )
    names = {f"torch.{d.type_name}Tensor": d for d in backend.DTYPES}
    dtype = names.get(t) if isinstance(t, str) else getattr(t, "dtype", None)
    if dtype is None:
        raise TypeError(f"invalid type object: {t!r}; one of {', '.join(names)} is expected")
    backend.set_default_dtype(dtype)
