"""Special functions: the gamma function's family, Bessel functions, the normal distribution, entropies."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

from reference.case import Case, Fixed, Sample, Tolerance
from reference.cases.elementwise import away_from
from reference.strategies import Draw, Recipe

FEW = Tolerance(1e-13, 1.3e-6, "each engine's series and fits are within some tens of units in the last place")
TORCHS = Tolerance(1e-9, 1e-5, "torch's trigamma ends its series at 1e-10; the kernels' own test is sharper")
ERFCX = Tolerance(2e-13, 1.3e-6, "torch's erfcx of negative numbers is off by 5e-14")
TEMMES = Tolerance(2e-9, 2e-5, "torch's expansion for a > 20 is right to nine digits")
COMPOSED = {"grad_fn": "composed of other operations here"}


def of_order(orders: Sequence[int], low: float, high: float) -> Recipe:
    """polygamma(n, x)."""
    return lambda d: Sample(d.one_of(*orders), d.floats(d.shape(), low, high))


def dimensions(d: Draw) -> Sample:
    p = d.size(1, 4)
    return Sample(d.floats(d.shape(), p / 2, p / 2 + 4), p)


def xlog1py(d: Draw) -> Sample:
    x, y = d.broadcastable(2)
    a, b = d.floats(x, -2, 2, kinks=(0,)), d.floats(y, -0.8, 3)
    return d.one_of(Sample(a, b), Sample(a, 2.5), Sample(2, b), *([] if d.smooth else [Sample(a, -1)]))


def incomplete(d: Draw) -> Sample:
    """igamma(a, x): differentiable by x."""
    a, x = d.broadcastable(2)
    return Sample(Fixed(d.floats(a, 0.3, 40)), d.floats(x, 0.1, 50))


def bound(method: str) -> dict[str, str]:
    return {"method": f"Tensor.{method} takes the order first"}


CASES = [
    Case("lgamma", away_from(0.2, 9, 1, 2), tolerance=TORCHS),
    Case("lgamma", away_from(-3.9, -3.1), "reflected", tolerance=TORCHS),
    Case("digamma", away_from(0.2, 12, 10), tolerance=TORCHS),
    Case("digamma", away_from(-3.9, -3.1), "reflected", tolerance=TORCHS),
    Case("polygamma", of_order((0, 1), 0.5, 9), "torch's own", tolerance=TORCHS, skip=bound("polygamma")),
    Case("polygamma", of_order((2, 3, 4), 0.5, 9), tolerance=FEW, skip=bound("polygamma")),
    Case("polygamma", of_order((2, 3, 4), -3.7, -3.3), "reflected", tolerance=FEW, skip=bound("polygamma")),
    Case("mvlgamma", dimensions, tolerance=TORCHS, skip=COMPOSED),
    Case("i0", away_from(-12, 12, 0), tolerance=FEW),
    Case("special.i0e", away_from(-12, 12, 0, inf), tolerance=FEW),
    Case("special.i1", away_from(-12, 12, 0), tolerance=FEW),
    Case("special.i1e", away_from(-12, 12, 0), tolerance=FEW),
    Case("special.ndtr", away_from(-5, 5, 0, inf, -inf, nan), tolerance=FEW, skip=COMPOSED),
    Case("special.ndtri", away_from(0.02, 0.98, 0.5, nan), tolerance=FEW),
    Case("special.log_ndtr", away_from(-5, 5, 0, nan), tolerance=FEW),
    Case("special.erfcx", away_from(-4, 9, 0, 30), tolerance=ERFCX),
    Case("special.entr", away_from(0.1, 5, 0, -1, inf, nan)),
    Case("special.xlog1py", xlog1py),
    Case("igamma", incomplete, tolerance=TEMMES, covers=("special.gammainc",)),
    Case("igammac", incomplete, tolerance=TEMMES, covers=("special.gammaincc",)),
]
