"""Refusals that several families share, in torch's words."""

from __future__ import annotations

from typing import Any, NoReturn

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.node import wants_grad
from minigrad.autograd.variable import Variable

__all__: list[str] = []


def not_implemented(kernel: str, array: Any) -> NoReturn:
    """torch's NotImplementedError for a dtype that a kernel does not take; `kernel` is torch's name of it."""
    dtype = backend.dtype_of(array)
    raise NotImplementedError(
        f"\"{kernel}\" not implemented for '{dtype.type_name}'\nconvert the {dtype.name} tensor first, as with .float()"
    )


def need_float(array: Any, kernel: str) -> None:
    """NotImplementedError unless `array` is of a floating point dtype."""
    if array.dtype.kind != "f":
        not_implemented(kernel, array)


def refuse_bool(array: Any, kernel: str) -> None:
    """NotImplementedError if `array` is of dtype bool."""
    if array.dtype.kind == "b":
        not_implemented(kernel, array)


def refuse_integer_zero(divisor: Any, xp: Any) -> None:
    """RuntimeError if an integer division has a zero among its divisors. On the GPU nobody looks, as in torch."""
    if xp is backend.np and not backend.np.all(divisor):
        raise RuntimeError("ZeroDivisionError: an integer tensor was divided by zero")


def as_integer(value: float, dtype: Any) -> Any:
    """A number as one of an integer dtype, cut to a whole one; whole negative ones wrap around, as in torch.

    RuntimeError if it does not fit.
    """
    if dtype.kind == "b":
        return bool(value)
    limits = backend.np.iinfo(dtype)
    low = -limits.max if dtype.kind == "u" and type(value) is int else limits.min
    if not low <= value <= limits.max:
        name = "int" if dtype.name == "int32" else f"{dtype}_t"
        raise RuntimeError(f"value cannot be converted to type {name} without overflow\ngot {value}")
    return backend.np.asarray(int(value)).astype(dtype).item()


def refuse_gradient(function: str, **arguments: Any) -> None:
    """RuntimeError if one of the tensors wants a gradient, which `function` (torch's name of it) does not give it."""
    for name, tensor in arguments.items():
        if tensor is not None and tensor.needs_grad:
            raise RuntimeError(
                f"The function '{function}' is not differentiable with respect to argument '{name}'. This input cannot "
                f"have requires_grad True.\nPass {name}.detach() instead."
            )


def need_float_for_gradient(array: Any, written: Any) -> None:
    """RuntimeError if `written`, a tensor that wants a gradient, is to be part of a result of the dtype of `array`."""
    if array.dtype.kind != "f" and mode.grad and isinstance(written, Variable) and wants_grad(written):
        raise RuntimeError(
            f"Autograd not support dtype: {backend.dtype_of(array).type_name}\nuse what is written detached: .detach()"
        )
