"""Activation functions and the gates built of them."""

from __future__ import annotations

from math import inf, nan

from reference.case import Case
from reference.strategies import Recipe, unary

FAR = (inf, -inf, nan)
F = "nn.functional."


def kinked(*points: float, low: float = -3, high: float = 3, **options: tuple) -> Recipe:
    """unary with these kinks, and with infinities and nan where a finite difference is not asked for."""
    return lambda d: unary(low, high, kinks=points if d.smooth else points + FAR, **options)(d)


CASES = [
    Case("relu", kinked(0)),
    Case(F + "leaky_relu", kinked(0, negative_slope=(0.01, 0.5, -0.5, 2))),
    Case(F + "threshold", kinked(0.5, threshold=(0.5,), value=(-1.0, 20))),
    Case(F + "hardtanh", kinked(-1, 1)),
    Case(F + "hardtanh", kinked(-2, 0.5, min_val=(-2.0,), max_val=(0.5,)), "limits"),
    Case(F + "relu6", kinked(0, 6, low=-2, high=8)),
    Case(F + "hardsigmoid", kinked(-3, 3, low=-5, high=5)),
    Case(F + "hardswish", kinked(-3, 3, low=-5, high=5)),
    Case(F + "hardshrink", kinked(-0.5, 0.5)),
    Case(F + "hardshrink", kinked(-1.5, 1.5, lambd=(1.5,)), "lambd"),
    Case(F + "softshrink", kinked(-0.5, 0.5)),
    Case(F + "softshrink", kinked(-1.5, 1.5, lambd=(1.5,)), "lambd"),
    Case(F + "elu", kinked(0, low=-5, high=5)),
    Case(F + "elu", kinked(0, low=-5, high=5, alpha=(0.5, 2.0)), "alpha"),
    Case(F + "selu", kinked(0, low=-5, high=5)),
    Case(F + "celu", kinked(0, low=-5, high=5, alpha=(1.0, 0.5, 2.0))),
    Case(F + "gelu", kinked(0, low=-5, high=5, approximate=("none", "tanh"))),
    Case(F + "silu", kinked(0, low=-5, high=5)),
    Case(F + "mish", kinked(0, low=-5, high=5)),
    Case(F + "softplus", kinked(0, low=-5, high=5)),
    Case(F + "softplus", kinked(low=-3, high=3, beta=(0.5, 10.0), threshold=(50,)), "beta"),
    Case(F + "logsigmoid", kinked(0, low=-9, high=9)),
    Case(F + "softsign", kinked(0)),
    Case(F + "tanhshrink", kinked(0)),
]
