"""Comparisons, predicates, logic, choosing by a mask."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from reference.case import Case, Fixed, Sample
from reference.strategies import Draw, Recipe, broadcastable, unary

TWIN = {"in_place": "torch's in-place comparisons go on asking for a gradient, which is 0"}


def compared(d: Draw) -> Sample:
    """f(x, y) or f(x, number), with ties."""
    a, b = d.float_arrays(d.broadcastable(2), ties=True, kinks=(nan, inf))
    return Sample(a, d.one_of(b, 1, -3.0, True))


def integers(numbers: bool = True) -> Recipe:
    """f(x, y) of integers or truth values, y perhaps a number."""

    def draw(d: Draw) -> Sample:
        a, b = d.broadcastable(2)
        if d.flag():
            return Sample(d.bools(a), d.bools(b))
        return Sample(d.ints(a, -9, 9), d.one_of(d.ints(b, -9, 9), 3) if numbers else d.ints(b, -9, 9))

    return draw


def whole(d: Draw) -> Sample:
    """gcd(x, y)."""
    a, b = d.broadcastable(2)
    return Sample(d.ints(a, -30, 30), d.ints(b, -30, 30))


def shifted(d: Draw) -> Sample:
    """x << y, y perhaps a number, and perhaps more bits than there are."""
    a, b = d.broadcastable(2)
    return Sample(d.ints(a, -30, 30), d.one_of(d.ints(b, -2, 70), d.ints(b, 0, 5), 3, 64, -1))


def close(d: Draw) -> Sample:
    shape = d.shape()
    x = d.floats(shape, kinks=(inf, nan, 0))
    near = x * (1 + d.rng().choice([0, 1e-7, 1e-4, 1e-1], shape))
    options = {"rtol": d.one_of(1e-5, 1e-3), "atol": d.one_of(1e-8, 1e-2), "equal_nan": d.flag()}
    return Sample(Fixed(x), Fixed(np.asarray(near)), **options)


def chosen(d: Draw) -> Sample:
    """where(condition, x, y), one or both of them perhaps numbers."""
    c, x, y = d.broadcastable(3)
    a, b = d.float_arrays([x, y])
    return Sample(d.bools(c), *d.one_of((a, b), (a, 0), (2.5, b), (1.0, 0.0), (1, 2)))


def _where_method(T: Any, x: Any, other: Any, condition: Any) -> Any:
    return x.where(condition, other)


def filled(tensor: bool) -> Recipe:
    """masked_fill(x, mask, value), the value a number or a 0-dim tensor."""

    def draw(d: Draw) -> Sample:
        x, mask = d.broadcastable(2)
        return Sample(d.floats(x), d.bools(mask), d.floats(()) if tensor else d.one_of(0, -2.5, -inf))

    return draw


CASES = [
    *[Case(name, compared, skip=TWIN) for name in ("eq", "ne", "lt", "le", "gt", "ge")],
    *[
        Case(name, broadcastable(2, ties=True), skip=TWIN)
        for name in ("not_equal", "less", "less_equal", "greater", "greater_equal")
    ],
    *[
        Case(name, unary(kinks=(nan, inf, -inf, 0, -0.0)))
        for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit")
    ],
    Case("logical_not", unary(kinks=(nan, inf, -inf, 0, -0.0)), skip=TWIN),
    Case("isclose", close),
    Case("allclose", close),
    Case("equal", broadcastable(2, ties=True)),
    *[Case(name, broadcastable(2, kinks=(0,)), skip=TWIN) for name in ("logical_and", "logical_or", "logical_xor")],
    *[Case(name, integers()) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")],
    *[Case(name, whole) for name in ("gcd", "lcm")],
    *[Case(name, shifted) for name in ("bitwise_left_shift", "bitwise_right_shift")],
    Case("bitwise_not", lambda d: Sample(d.one_of(d.bools(d.shape()), d.ints(d.shape(), -9, 9)))),
    Case("where", chosen, skip={"method": "of the condition's two roles the method has the other: see the next case"}),
    Case("Tensor.where", lambda d: Sample(*d.float_arrays([x := d.shape(), x]), d.bools(x)), call=_where_method),
    Case("masked_fill", filled(tensor=False)),
    Case(
        "masked_fill",
        filled(tensor=True),
        "tensor",
        skip={"dtypes": "torch refuses a value that wants a gradient beside integers, which can have none"},
    ),
]
