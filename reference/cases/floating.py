"""The parts of floating point numbers, and sums and powers by base 2."""

from __future__ import annotations

from math import inf, nan

from reference.case import Case, Fixed, Sample
from reference.strategies import Draw, broadcastable, unary

FAR = (0, -0.0, inf, -inf, nan)


def signed(d: Draw) -> Sample:
    kinks = () if d.smooth else FAR
    x, y = (d.floats(shape, kinks=kinks) for shape in d.broadcastable(2))
    return Sample(x, d.one_of(y, Fixed(y), -2, 0.0, -0.0)) if not d.smooth else Sample(d.floats(x.shape, 0.5, 3), -2)


def jumping(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(), 0.55, 0.95, kinks=() if d.smooth else (*FAR, 1, 2, 1000)))


def scaled(d: Draw) -> Sample:
    x, n = d.broadcastable(2)
    return Sample(d.floats(x), d.one_of(d.floats(n), d.ints(n, 0, 5)))


def powers(d: Draw) -> Sample:
    x, y = d.broadcastable(2)
    a, b = d.floats(x, 0.2, 3), d.floats(y, -3, 3)
    return d.one_of(Sample(a, b), Sample(a, d.one_of(2, 0.5, -1)), Sample(d.one_of(2, 0.5), b))


CASES = [
    Case("copysign", signed),
    Case("angle", lambda d: unary(0.1, 3, kinks=() if d.smooth else (*FAR, -2))(d)),
    Case("frexp", jumping),
    Case("ldexp", scaled),
    Case("nextafter", lambda d: (broadcastable(2, kinks=() if d.smooth else (inf, 0, 1)))(d)),
    Case("logaddexp2", broadcastable(2, ties=True)),
    Case("float_power", powers),
]
