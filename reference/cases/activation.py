"""Activation functions and the gates built of them."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from reference.case import Case, Tolerance
from reference.strategies import Recipe, unary

F = "nn.functional."
# torch's 1/6 is a float32 constant in its float64 kernel too.
SIXTH = Tolerance(1e-7, reason="torch multiplies by a 1/6 of single precision")


def kinked(*points: float, low: float = -3, high: float = 3, far: tuple = (inf, -inf, nan), **options: tuple) -> Recipe:
    """unary with these kinks, and with the points `far` where a finite difference is not asked for."""
    return lambda d: unary(low, high, kinks=points if d.smooth else points + far, **options)(d)


def without_nan(*points: float, **options: Any) -> Recipe:
    """`kinked` without nan, at which torch's vectorised loops and the scalar ones for what is left over disagree."""
    return kinked(*points, far=(inf, -inf), **options)


CASES = [
    Case("relu", kinked(0)),
    Case(F + "leaky_relu", kinked(0, negative_slope=(0.01, 0.5, -0.5, 2))),
    Case(F + "threshold", kinked(0.5, threshold=(0.5,), value=(-1.0, 20))),
    Case(F + "hardtanh", without_nan(-1, 1)),
    Case(F + "hardtanh", without_nan(-2, 0.5, min_val=(-2.0,), max_val=(0.5,)), "limits"),
    Case(F + "relu6", without_nan(0, 6, low=-2, high=8)),
    Case(
        F + "hardsigmoid",
        without_nan(-3, 3, low=-5, high=5),
        tolerance=SIXTH,
        skip={"second_order": "torch has none"},
    ),
    Case(F + "hardswish", kinked(-3, 3, low=-5, high=5, far=())),
    Case(F + "hardshrink", without_nan(-0.5, 0.5)),
    Case(F + "hardshrink", without_nan(-1.5, 1.5, lambd=(1.5,)), "lambd"),
    Case(F + "softshrink", without_nan(-0.5, 0.5)),
    Case(F + "softshrink", without_nan(-1.5, 1.5, lambd=(1.5,)), "lambd"),
    Case(F + "elu", without_nan(0, low=-5, high=5)),
    Case(F + "elu", without_nan(0, low=-5, high=5, alpha=(0.5, 2.0)), "alpha"),
    Case(F + "selu", without_nan(0, low=-5, high=5)),
    Case(F + "celu", without_nan(0, low=-5, high=5, alpha=(1.0, 0.5, 2.0))),
    # Both engines add 1 to an erf or tanh near -1: the tail has lost digits in either.
    Case(F + "gelu", kinked(0, low=-5, high=5, far=(), approximate=("none", "tanh")), tolerance=Tolerance(1e-12)),
    Case(F + "silu", kinked(0, low=-5, high=5)),
    Case(F + "mish", kinked(0, low=-5, high=5)),
    Case(F + "softplus", kinked(0, low=-5, high=5)),
    Case(F + "softplus", kinked(low=-3, high=3, beta=(0.5, 10.0), threshold=(50,)), "beta"),
    Case(F + "logsigmoid", kinked(0, low=-9, high=9)),
    Case(F + "softsign", kinked(0)),
    Case(F + "tanhshrink", kinked(0)),
]
