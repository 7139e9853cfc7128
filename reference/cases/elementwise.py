"""Exponentials, logarithms, trigonometry, the logistic function, the error function."""

from __future__ import annotations

from math import inf, nan

from reference.case import Case, Sample
from reference.strategies import Draw, Recipe, broadcastable, unary

FAR = (0, inf, -inf, nan)
NO_TWIN = {"in_place": "torch's in-place twin has no derivative"}


def xlogy(d: Draw) -> Sample:
    x, y = d.broadcastable(2)
    a, b = d.floats(x, -2, 2, kinks=(0,)), d.floats(y, 0.2, 3)
    return d.one_of(Sample(a, b), Sample(a, 2.5), Sample(2, b))


def away_from(low: float, high: float, *points: float) -> Recipe:
    """unary(low, high) with these points drawn where a finite difference is not asked for."""
    return lambda d: unary(low, high, kinks=() if d.smooth else points)(d)


def points_of_the_plane(d: Draw) -> Sample:
    shapes = d.broadcastable(2)
    kinks = () if d.smooth else (0,)
    return Sample(d.floats(shapes[0], 0.2, 2, kinks=kinks), d.floats(shapes[1], -2, 2, kinks=kinks))


CASES = [
    Case("exp", away_from(-5, 5, *FAR)),
    Case("exp2", away_from(-5, 5, *FAR)),
    Case("expm1", away_from(-5, 5, *FAR)),
    Case("log", away_from(0.1, 5, *FAR, -1)),
    Case("log2", away_from(0.1, 5, *FAR, -1)),
    Case("log10", away_from(0.1, 5, *FAR, -1)),
    Case("log1p", away_from(-0.8, 5, *FAR, -1)),
    Case("logaddexp", broadcastable(2, ties=True)),
    Case("xlogy", xlogy),
    Case("sqrt", away_from(0.1, 5, *FAR, -1)),
    Case("rsqrt", away_from(0.1, 5, *FAR, -1)),
    Case("sin", away_from(-7, 7, *FAR)),
    Case("cos", away_from(-7, 7, *FAR)),
    Case("tan", away_from(-1, 1, *FAR)),
    Case("asin", away_from(-0.9, 0.9, *FAR, 1, -1), covers=("arcsin",)),
    Case("acos", away_from(-0.9, 0.9, *FAR, 1, -1), covers=("arccos",)),
    Case("atan", away_from(-5, 5, *FAR), covers=("arctan",)),
    Case("atan2", points_of_the_plane, covers=("arctan2",)),
    Case("hypot", points_of_the_plane),
    Case("sinc", away_from(0.2, 3, *FAR, 1)),
    Case("deg2rad", unary(-360, 360)),
    Case("rad2deg", unary(-7, 7)),
    Case("sinh", away_from(-5, 5, *FAR)),
    Case("cosh", away_from(-5, 5, *FAR)),
    Case("tanh", away_from(-5, 5, *FAR)),
    Case("asinh", away_from(-5, 5, *FAR), covers=("arcsinh",), skip=NO_TWIN),
    Case("acosh", away_from(1.2, 5, *FAR, 1, -1), covers=("arccosh",), skip=NO_TWIN),
    Case("atanh", away_from(-0.9, 0.9, *FAR, 1, -1), covers=("arctanh",), skip=NO_TWIN),
    Case("sigmoid", away_from(-9, 9, *FAR, 100, -100)),
    Case("logit", away_from(0.05, 0.95, *FAR, 1, -1)),
    Case("logit", unary(-0.5, 1.5, kinks=(0.25, 0.75), eps=(0.25,)), "eps"),
    Case("erf", away_from(-3, 3, *FAR)),
    Case("erfc", away_from(-3, 3, *FAR)),
    Case("erfinv", away_from(-0.9, 0.9, *FAR, 1, -1)),
    Case("nan_to_num", away_from(-3, 3, *FAR)),
    Case(
        "nan_to_num",
        lambda d: unary(kinks=() if d.smooth else FAR, nan=(1.5, None), posinf=(4.0, None), neginf=(-4.0, None))(d),
        "numbers",
    ),
]
