"""How people say what a window does along each spatial dimension, and what it is: one number, or one for each."""

from __future__ import annotations

import operator
from typing import Any

from minigrad.autograd.variable import Variable

__all__: list[str] = []


def per_dimension(value: Any, n: int) -> tuple[int, ...]:
    """`value` as a tuple of `n` numbers, if it is one number or a list of one; other lists as they are."""
    if isinstance(value, int):
        return (value,) * n
    if hasattr(value, "__index__") and not getattr(value, "ndim", 0):  # NumPy's integers, and tensors of one
        return (operator.index(value),) * n
    values = tuple(value)
    return values * n if len(values) == 1 else values


def need_tensor(name: str, **values: Any) -> None:
    """TypeError, in torch's words, unless all `values` are tensors."""
    if not all(isinstance(v, Variable) for v in values.values()):
        got = ", ".join("Tensor" if isinstance(v, Variable) else type(v).__name__ for v in values.values())
        wanted = ", ".join(f"Tensor {argument}" for argument in values)
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:\n"
            f" * ({wanted}, ...)"
        )
