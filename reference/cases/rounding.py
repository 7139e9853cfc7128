"""Rounding and signs."""

from __future__ import annotations

from math import inf, nan

from reference.case import Case, Fixed, Sample
from reference.strategies import Draw, unary


def steps(d: Draw) -> Sample:
    x, values = d.broadcastable(2)
    return Sample(Fixed(d.floats(x, kinks=(0, nan, inf))), Fixed(d.floats(values)))  # torch gives it no derivative


WHOLE = (-2, -1, 0, 1, 2)
HALVES = (-1.5, -0.5, 0.5, 1.5, 2.5)

CASES = [
    Case("floor", unary(-2.9, 2.9, kinks=WHOLE)),
    Case("ceil", unary(-2.9, 2.9, kinks=WHOLE)),
    Case("trunc", unary(-2.9, 2.9, kinks=WHOLE), covers=("fix",)),
    Case("round", unary(-2.4, 2.4, kinks=HALVES)),
    Case("round", unary(-0.2, 0.2, kinks=(-0.15, -0.05, 0.05, 0.15), decimals=(1,)), "decimals"),
    Case(
        "round",
        unary(-400, 400, kinks=(-250, 150, 50), decimals=(-2,)),
        "hundreds",
        skip={"finite_difference": "jumps"},
    ),
    Case("frac", unary(-2.9, 2.9, kinks=WHOLE)),
    Case("sign", unary(kinks=(0, inf, -inf, nan))),
    Case("sgn", unary(kinks=(0, inf, -inf))),
    Case("positive", unary()),
    Case("heaviside", steps),
]
