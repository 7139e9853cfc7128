"""Python's operators on tensors, with tensors and with numbers on either side."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from reference.case import SUMS, ULPS, Case, Fixed, Sample, Tolerance
from reference.strategies import Draw, Recipe, broadcastable, unary

NUMBERS = (2, -1.5, 0.5, 3)
ULPS_OF_POW = Tolerance(
    1e-13, reason="x**y is exp(y log x): an error of one unit in the logarithm is magnified by y log x"
)


def _applied(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda T, *args: op(*args)


def _swapped(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda T, x, number: op(number, x)


def _in_place(op: Callable[..., Any]) -> Callable[..., Any]:
    return lambda T, x, other: op(x.clone(), other)


def _with_number(low: float, high: float, fixed: bool = False) -> Recipe:
    def draw(d: Draw) -> Sample:
        x = d.floats(d.shape(), low, high)
        return Sample(Fixed(x) if fixed else x, d.one_of(*NUMBERS))

    return draw


def _grown(d: Draw) -> Sample:
    """Operands for an in-place operator: the second may be broadcast, the first may not."""
    x, other = d.float_arrays([shape := d.shape(), shape[d.size(0, len(shape)) :]], 0.5, 3)
    return Sample(x, other)


def _divided(d: Draw) -> Sample:
    """Quotients that stay away from integers, where floor and remainder jump."""
    x, other = d.floats(shape := d.shape(), 0.1, 0.4), d.floats(shape, 0.5, 0.7)
    return Sample(x + d.one_of(0, 1, -2) * other, Fixed(other))


def _ints(d: Draw) -> Sample:
    shapes = d.broadcastable(2)
    return Sample(*[d.ints(s, -4, 4) for s in shapes] if d.flag() else [d.bools(s) for s in shapes])


def _matrices(d: Draw) -> Sample:
    n, m, k = d.size(1, 3), d.size(1, 3), d.size(1, 3)
    batch = d.one_of((), (2,), (1,), (3, 1))
    left = d.one_of((m,), (n, m), (*batch, n, m))
    right = d.one_of((m,), (m, k), (*d.one_of((), (2,) if batch != (3, 1) else (3, 2)), m, k))
    return Sample(d.floats(left), d.floats(right))


ARITHMETIC: dict[str, tuple[float, float]] = {
    "add": (-3, 3),
    "sub": (-3, 3),
    "mul": (-3, 3),
    "truediv": (0.2, 3),
    "pow": (0.2, 3),
}

CASES = [
    case
    for name, (low, high) in ARITHMETIC.items()
    for op, tolerance in [(getattr(operator, name), ULPS_OF_POW if name == "pow" else ULPS)]
    for case in (
        Case(f"Tensor.__{name}__", broadcastable(2, low, high), call=_applied(op), tolerance=tolerance),
        Case(f"Tensor.__{name}__", _with_number(low, high), "number", call=_applied(op), tolerance=tolerance),
        Case(f"Tensor.__r{name}__", _with_number(low, high), call=_swapped(op), tolerance=tolerance),
        Case(f"Tensor.__i{name}__", _grown, call=_in_place(getattr(operator, f"i{name}")), tolerance=tolerance),
    )
]
CASES += [
    Case("Tensor.__mod__", _divided, call=_applied(operator.mod)),
    Case("Tensor.__floordiv__", lambda d: _divided(d).map(Fixed), call=_applied(operator.floordiv)),
    Case("Tensor.__floordiv__", _with_number(0.1, 3, fixed=True), "number", call=_applied(operator.floordiv)),
    Case("Tensor.__neg__", unary(), call=_applied(operator.neg)),
    Case("Tensor.__pos__", unary(), call=_applied(operator.pos)),
    Case("Tensor.__abs__", unary(kinks=[0]), call=_applied(operator.abs)),
    Case("Tensor.__matmul__", _matrices, call=_applied(operator.matmul), tolerance=SUMS),
    Case("Tensor.__invert__", lambda d: Sample(_ints(d).args[0]), call=_applied(operator.invert)),
]
CASES += [
    Case(f"Tensor.__{name}__", broadcastable(2, ties=True), call=_applied(getattr(operator, name)))
    for name in ("lt", "le", "gt", "ge", "eq", "ne")
]
CASES += [
    Case(f"Tensor.__{name}__", _ints, call=_applied(getattr(operator, f"__{name}__"))) for name in ("and", "or", "xor")
]
