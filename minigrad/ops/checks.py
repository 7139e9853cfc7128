"""Refusals that several families share, in torch's words."""

from __future__ import annotations

from typing import Any, NoReturn

from minigrad import backend

__all__: list[str] = []

C_NAMES = {  # what torch calls dtypes where it speaks of the C++ types behind them
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int",
    "int64": "long int", "float16": "c10::Half", "float32": "float", "float64": "double",
}  # fmt: skip


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
