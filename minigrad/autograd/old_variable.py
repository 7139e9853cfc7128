"""`Variable(tensor, requires_grad=True)`, which scripts from before torch 0.4 wrap tensors in: a tensor, since."""

from __future__ import annotations

import warnings
from typing import Any

from minigrad.autograd import variable
from minigrad.autograd.variable import wrap
from minigrad.backend import get_default_dtype, np, numpy_dtype


class _VariableMeta(type):
    def __call__(cls, data: Any = None, requires_grad: bool = False, volatile: bool | None = None) -> Any:
        if volatile is not None:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=2
            )
        if data is None:
            return wrap(np.empty(0, numpy_dtype(get_default_dtype()))).requires_grad_(requires_grad)
        if not isinstance(data, variable.Variable):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if requires_grad and data.array.dtype.kind != "f":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        return data.detach().requires_grad_(requires_grad)  # type: ignore[attr-defined]

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, variable.Variable)


class Variable(metaclass=_VariableMeta):
    """A new leaf on the memory of a tensor, without its history; every tensor is an instance."""
