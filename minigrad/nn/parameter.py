"""Parameter and Buffer: tensors that a module holds, and which of the two they are."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, become_leaf, wrap
from minigrad.ops.create import ONLY_FLOATS
from minigrad.tensor import Tensor


def _show(holder: Any, data: Any, requires_grad: bool) -> None:
    """Make `holder` a leaf on the memory of `data`, which may be None for an empty tensor."""
    array = backend.np.empty(0, backend.numpy_dtype(backend.get_default_dtype())) if data is None else data.array
    become_leaf(holder, array, requires_grad)
    if data is not None:
        holder.counter = data.counter


class Parameter(Tensor):
    """A tensor that a module trains: assigned to an attribute, it appears among the module's `parameters()`.

    It is a leaf on the memory of `data`, and wants a gradient unless told otherwise. RuntimeError if it is to want one
    and is not of a floating point dtype.
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if data is not None and not isinstance(data, Variable):
            raise AttributeError(f"'{type(data).__name__}' object has no attribute 'detach': wrap it in tensor() first")
        if requires_grad and data is not None and data.array.dtype.kind != "f":
            raise RuntimeError(f"{ONLY_FLOATS}: this one is {backend.dtype_of(data.array)}")
        _show(self, data, bool(requires_grad))

    def _text(self, prefix: str = "tensor(") -> str:
        return "Parameter containing:\n" + super()._text(prefix)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(wrap(self.array.copy()), self.needs_grad)
        return memo[id(self)]


class Buffer(Tensor):
    """A tensor that belongs to a module's state and is not trained: assigned to an attribute, it is registered as a
    buffer.

    With `persistent=False` it is left out of the module's `state_dict()`.
    """

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        _show(self, data, data is not None and data.needs_grad)
        self.persistent = persistent
