"""Computes the coefficients in minigrad/kernels/gamma.py and bessel.py: python -m reference.fit_special

Chebyshev interpolation at 50 digits, as in `reference.fit_error_function`; the variable t of each runs over [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

from reference.fit_error_function import show

NEAR = mp.mpf("1e-25")  # ends of intervals, where a formula divides by zero, are taken this far inside


def log_gamma_over_roots(t: mp.mpf) -> mp.mpf:
    """log(gamma(x)) / ((x - 1) (x - 2)) for x = (t + 3) / 2 in [1, 2]."""
    x = min(max((t + 3) / 2, 1 + NEAR), 2 - NEAR)
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def small(n: int) -> Callable[[mp.mpf], mp.mpf]:
    """exp(-x) I_n(x) / x^n for x = 4 (t + 1) in [0, 8]."""

    def f(t: mp.mpf) -> mp.mpf:
        x = 4 * max(t + 1, NEAR)
        return mp.exp(-x) * mp.besseli(n, x) / x**n

    return f


def large(n: int) -> Callable[[mp.mpf], mp.mpf]:
    """sqrt(x) exp(-x) I_n(x) for x = 16 / (t + 1) in [8, inf)."""

    def f(t: mp.mpf) -> mp.mpf:
        x = 16 / max(t + 1, NEAR)
        return mp.sqrt(x) * mp.exp(-x) * mp.besseli(n, x)

    return f


def main() -> None:
    mp.mp.dps = 50
    show("BETWEEN_ROOTS", log_gamma_over_roots, [-1, 1], 21)
    for n in (0, 1):
        show(f"SMALL_{n}", small(n), [-1, 1], 28)
        show(f"LARGE_{n}", large(n), [-1, 1], 26)


if __name__ == "__main__":
    main()
