"""Computes the coefficients in minigrad/kernels/special.py: python -m reference.fit_error_function

Chebyshev interpolation at 50 digits (mpmath's `chebyfit`), which is within a small factor of the best polynomial; for
float32 the best one itself, by weighted least squares until the largest errors are equal (Lawson 1961).
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
from numpy.polynomial import chebyshev


def erf_over_x(x: mp.mpf) -> mp.mpf:
    return mp.erf(x) / x if x else 2 / mp.sqrt(mp.pi)


def scaled_tail(x: mp.mpf) -> mp.mpf:
    """(1 + 2x) exp(x^2) erfc(x): smooth, and between 1 and 1.3 for all x > 0."""
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def show(name: str, f: Callable[[mp.mpf], mp.mpf], interval: list, count: int) -> None:
    coefficients, error = mp.chebyfit(f, interval, count, error=True)
    print(f"# largest error {mp.nstr(error, 3)}\n{name} = (")
    for c in coefficients:
        print(f"    {float(c)!r},")
    print(")")


def atanh_erf_over_x(x: float) -> float:
    """Smooth, as erf is nearly a hyperbolic tangent."""
    return float(mp.atanh(mp.erf(x)) / x)


def show_single(degree: int, top: float) -> None:
    """The polynomial p for which tanh(x p(x^2)) has the least largest error, relative to erf(x), for 0 < x < top."""
    t = np.cos(np.pi * (np.arange(2000) + 0.5) / 2000)
    x = top * np.sqrt((t + 1) / 2)
    y = np.array([atanh_erf_over_x(v) for v in x.tolist()])
    counts = 2 * x / np.sinh(2 * x * y)  # what an error of p is in erf, relative to it
    powers, weights, best = chebyshev.chebvander(t, degree), np.ones_like(t), (np.inf, np.empty(0))
    for _ in range(400):
        scale = np.sqrt(weights) * counts
        coefficients = np.linalg.lstsq(powers * scale[:, None], y * scale, rcond=None)[0]
        error = np.abs(powers @ coefficients - y) * counts
        best = min(best, (error.max(), coefficients), key=lambda pair: pair[0])
        weights *= error
        weights /= weights.sum()
    fitted = chebyshev.Chebyshev(best[1], domain=[0, top**2]).convert(kind=np.polynomial.Polynomial)
    print(f"# largest error {best[0]:.3g}\nSINGLE = {tuple(fitted.coef[::-1].tolist())}")


def main() -> None:
    mp.mp.dps = 50
    show("CENTRE", lambda z: erf_over_x(mp.sqrt(max(z, 0))), [0, mp.mpf(1) / 4], 10)
    low, high = [(x - 3) / (x + 3) for x in (mp.mpf(1) / 2, mp.mpf(28))]
    show("TAIL", lambda t: scaled_tail(3 * (1 + t) / (1 - t)), [low, high], 24)
    show_single(7, 4.0)


if __name__ == "__main__":
    main()
