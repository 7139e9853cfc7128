"""What happens before an op when its operands differ in dtype or device, and after it when their shapes do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from minigrad import backend
from minigrad.autograd.declaration import Declaration
from minigrad.autograd.variable import Variable, wrap

BOOL_SUB = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the "
    "`~` or `logical_not()` operator instead."
)
BOOL_SUBS = (
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator "
    "instead."
)


def promote(name: str, operands: Sequence[Any], to_float: bool) -> list[Any] | None:
    """The operands in their common dtype by torch's rules; None if they are in it already.

    Tensors are cast by the recorded op `to`, so gradients are cast back on their way; numbers and foreign arrays become
    Python numbers and tensors. 0-dim CPU tensors may meet GPU ones; else RuntimeError for operands on two devices.
    """
    if name.endswith("sub"):
        _refuse_truth_values(operands)
    changed = False
    values: list[Any] = []
    for x in operands:
        if x is None or isinstance(x, Variable) or type(x) in (bool, int, float):
            values.append(x)
            continue
        changed = True
        if isinstance(x, backend.np.generic):
            values.append(x.item())
        elif backend.is_array(x):
            values.append(wrap(x))
        else:
            raise TypeError(
                f"{name}(): argument must be Tensor or Number, not {type(x).__name__}: got "
                f"({', '.join(type(o).__name__ for o in operands)})"
            )
    tensors = [x for x in values if isinstance(x, Variable)]
    where = _common_device(name, tensors)
    target = backend.result_type([x.array if isinstance(x, Variable) else x for x in values if x is not None])
    if to_float and not target.is_floating_point:
        target = backend.get_default_dtype()
    dtype = backend.numpy_dtype(target)
    for i, x in enumerate(values):
        if isinstance(x, Variable):
            if x.array.dtype != dtype:
                values[i], changed = x.to(target), True  # type: ignore[attr-defined]
                values[i].counter = x.counter  # so that a write to `x` shows where the cast is saved in its place
            if len(tensors) > 1 and backend.device_of(x.array) != where:
                values[i], changed = values[i].to(where), True
        elif x is not None and (number := _as_number(x, dtype)) is not x:
            values[i], changed = number, True
    return values if changed else None


def _refuse_truth_values(operands: Sequence[Any]) -> None:
    """RuntimeError for a difference with a truth value: torch has none, so that `1 - mask` is written `~mask`."""
    kinds = [x.array.dtype.kind if isinstance(x, Variable) else "b" if type(x) is bool else "" for x in operands]
    if "b" in kinds:
        raise RuntimeError(BOOL_SUBS if set(kinds) == {"b"} else BOOL_SUB)


def _as_number(x: Any, dtype: Any) -> Any:
    """A Python number that NumPy will accept beside an array of `dtype`: integers wrap around, as torch's do."""
    if dtype.kind == "b" or (dtype.kind == "f" and type(x) is not bool):
        return x
    number = int(backend.np.asarray(int(x)).astype(dtype)) if dtype.kind in "iu" else float(x)
    return x if number == x and type(x) is not bool else number


def _common_device(name: str, tensors: list[Any]) -> backend.device:
    """The device of the operands that have dimensions (of the 0-dim ones if none has)."""
    devices = {
        backend.device_of(t.array): None for t in tensors if t.array.ndim or backend.device_of(t.array).type != "cpu"
    }
    if len(devices) > 1:
        a, b = list(devices)[:2]
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {a} and {b}! (when "
            f"checking the operands of {name}); move one of them with .to(device)"
        )
    return next(iter(devices), backend.CPU)


def shape_error(name: str, operands: Sequence[Any], error: ValueError) -> Exception:
    """torch's error for operands that cannot be broadcast together; `error` itself if that is not what went wrong."""
    shapes = [x.shape for x in operands if backend.is_array(x)]
    for a, b in combinations(shapes, 2):
        n = max(len(a), len(b))
        for i in range(1, min(len(a), len(b)) + 1):
            if a[-i] != b[-i] and 1 not in (a[-i], b[-i]):
                every = ", ".join(str(list(s)) for s in shapes)
                return RuntimeError(
                    f"The size of tensor a ({a[-i]}) must match the size of tensor b ({b[-i]}) at non-singleton "
                    f"dimension {n - i}. {name.strip('_')} got the shapes {every}, which cannot be broadcast together."
                )
    return error


ANY_NUMBER = frozenset((bool, int, float))


def need_tensors(declaration: Declaration, operands: Sequence[Any]) -> None:
    """TypeError if one of the operands that must be tensors is a number."""
    if any(type(x) in ANY_NUMBER for o, x in zip(declaration.operands, operands) if o in declaration.tensors):
        raise number_error(declaration, operands)


def number_error(declaration: Declaration, operands: Sequence[Any], error: Exception | None = None) -> Exception:
    """torch's error for a number where it wants a tensor; `error` itself if that is not what went wrong."""
    d = declaration
    may_be_numbers = d.promotes and error is not None  # beside a tensor
    wanted = d.tensors or (() if may_be_numbers else d.operands)
    for o, x in zip(d.operands, operands):
        if type(x) in ANY_NUMBER and o in wanted:
            if len(d.tensors) < len(d.operands) and (d.tensors or d.name.startswith("_")):  # one of several overloads
                got = ", ".join("Tensor" if isinstance(v, Variable) else type(v).__name__ for v in operands)
                return TypeError(
                    f"{d.torch_name}() received an invalid combination of arguments - got ({got}), but expected one "
                    f"of:\n * (Tensor {', '.join(d.operands)})"
                )
            position = [p.name for p in d.params].index(o) + 1
            return TypeError(
                f"{d.torch_name}(): argument '{o}' (position {position}) must be Tensor, not {type(x).__name__}"
            )
    return error or TypeError(f"{d.name}() takes tensors")
