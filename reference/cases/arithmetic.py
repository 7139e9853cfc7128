"""Sums, products, quotients and powers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reference.case import Case, Sample
from reference.strategies import Draw, Recipe, unary, with_number

NUMBERS = (2, -1.5, 0, True)
NO_DERIVATIVE = ("finite_difference", "paths", "device", "grad_fn")


def two(numbers: Sequence[Any] = NUMBERS, **options: Sequence[Any]) -> Recipe:
    """f(x, y) or f(x, number), in some of the samples with an option such as alpha=2."""

    def draw(d: Draw) -> Sample:
        a, b = d.float_arrays(d.broadcastable(2), kinks=(0,))
        other = d.one_of(b, *numbers)
        return Sample(a, other, **{k: d.one_of(*values) for k, values in options.items() if d.flag()})

    return draw


def divided(numbers: Sequence[Any] = (2, -1.5), **options: Sequence[Any]) -> Recipe:
    """f(x, y) or f(x, number), the quotient far from whole numbers when smooth."""

    def draw(d: Draw) -> Sample:
        shape_a, shape_b = d.broadcastable(2)
        if d.smooth:
            whole, rest = d.ints(shape_a, -3, 3), d.floats(shape_a, 0.1, 0.4)
            a, b = whole + rest, d.floats(shape_b, 0.95, 1.05)
            return Sample(a, b, **{k: d.one_of(*values) for k, values in options.items()})
        a, b = d.float_arrays([shape_a, shape_b], kinks=(1, -2, 0.5))
        return Sample(a, d.one_of(b, *numbers), **{k: d.one_of(*values) for k, values in options.items()})

    return draw


def power(d: Draw) -> Sample:
    """x ** y, x ** number or number ** x, with the bases and exponents at which formulas differ."""
    kind = d.one_of("to number", "of number", "tensors")
    if kind == "to number":
        exponent = d.one_of(2, 3, 0, 1, 4, 5, -1, -2, 0.5, -0.5, 2.5, 1.0, True)
        whole = float(exponent).is_integer()
        low = -2 if whole else 0.1
        return Sample(d.floats(d.shape(), low, 2, kinks=(0,) if exponent > 0 or not d.smooth else ()), exponent)
    shapes = d.broadcastable(2)
    if kind == "of number":
        return Sample(d.one_of(2, 0.5, 1, 3.0) if d.smooth else d.one_of(2, 0.5, 0, 1, 0.0), d.floats(shapes[0]))
    base = d.floats(shapes[0], 0.2, 2, kinks=() if d.smooth else (0, 1))
    return Sample(base, d.floats(shapes[1], -2, 2, kinks=() if d.smooth else (0, 1, 2)))


def lerped(d: Draw) -> Sample:
    shapes = d.broadcastable(3)
    start, end = d.float_arrays(shapes[:2])
    return Sample(start, end, d.one_of(d.floats(shapes[2], -1, 2, kinks=(0.5, 0, 1)), 0.25, 0.5, 1, -0.5))


def with_value(d: Draw) -> Sample:
    """f(x, y, z, value=...), z at least 0.2 from 0."""
    a, b = d.broadcastable(3), d.one_of(1, 2, -0.5)
    x, y = d.float_arrays(a[:2])
    return Sample(x, y, d.floats(a[2], 0.2, 2), **({"value": b} if d.flag() else {}))


CASES = [
    Case("add", two(alpha=(2, -0.5))),
    Case("sub", two((2, -1.5, 0), alpha=(2, -0.5)), covers=("subtract",)),
    Case("rsub", two((2, -1.5, 0), alpha=(2, -0.5))),
    Case("rsub", with_number(numbers=(2, -1.5, 0)), "operator", call=lambda T, x, number: number - x),
    Case("mul", two(), covers=("multiply",)),
    Case("neg", unary(kinks=(0,)), covers=("negative",)),
    Case("div", divided(), covers=("divide", "true_divide")),
    Case("div", divided(rounding_mode=("floor", "trunc")), "rounded"),
    Case("div", unary(0.2, 3), "of a number", call=lambda T, x: 3 / x),
    Case("floor_divide", divided(), skip=dict.fromkeys(NO_DERIVATIVE, "torch gives it no derivative")),
    Case("remainder", divided()),
    Case("remainder", divided(), "operator", call=lambda T, x, y: x % y),
    Case("fmod", divided()),
    Case("pow", power),
    Case("pow", power, "operator", call=lambda T, x, y: x**y),
    Case("square", unary(kinks=(0,))),
    Case("reciprocal", unary(0.2, 3)),
    Case("reciprocal", unary(-2, 2, kinks=(0, math.inf, -math.inf)), "poles", skip={"finite_difference": "poles"}),
    Case("abs", unary(kinks=(0, math.nan)), covers=("absolute",)),
    Case("addcmul", with_value),
    Case("addcdiv", with_value),
    Case("lerp", lerped),
]
