"""Computes the coefficients in minigrad/kernels/special.py: python -m reference.fit_error_function

Chebyshev interpolation at 50 digits (mpmath's `chebyfit`), which is within a small factor of the best polynomial.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp


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


def main() -> None:
    mp.mp.dps = 50
    show("CENTRE", lambda z: erf_over_x(mp.sqrt(max(z, 0))), [0, mp.mpf(1) / 4], 10)
    low, high = [(x - 3) / (x + 3) for x in (mp.mpf(1) / 2, mp.mpf(28))]
    show("TAIL", lambda t: scaled_tail(3 * (1 + t) / (1 - t)), [low, high], 24)
    show("SINGLE", lambda u: erf_over_x(mp.mpf("3.92") * mp.sqrt(max(u + 1, 0) / 2)), [-1, 1], 17)


if __name__ == "__main__":
    main()
