"""The gamma function's logarithm and its derivatives, on arrays of float64; other dtypes go through it.

    log gamma(x) = (x - 1) (x - 2) BETWEEN_ROOTS(2x - 3)     1 <= x <= 2
    log gamma(x) = log gamma(x + n) - log(x (x + 1) ... (x + n - 1))
    log gamma(x) ~ (x - 1/2) log x - x + log(2 pi) / 2 + sum B_2k / (2k (2k - 1) x^(2k-1))     Stirling, x >= 8

Beside the last one stand its derivatives (Abramowitz and Stegun 6.3.18, 6.4.11); negative arguments are reflected to
positive ones (6.1.17, 6.4.7). The polynomial is computed by `python -m reference.fit_special`.
"""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType
from typing import Any

from minigrad.kernels.special import in_double, polynomial

BETWEEN_ROOTS = (
    1.1273354955165048e-11, -3.533898162275879e-11, 5.18198984494436e-11, -1.6393816009998903e-10,
    6.533268528434416e-10, -2.0732827842398214e-09, 6.434152357291201e-09, -2.057761163373013e-08,
    6.623601939725099e-08, -2.138843561161159e-07, 6.948440187550096e-07, -2.274240971132041e-06,
    7.5113915317296576e-06, -2.509432984849446e-05, 8.510090378468051e-05, -0.0002945507014009265,
    0.0010498186644508718, -0.003913560937631659, 0.01572785026864121, -0.07297994795715297, 0.4831289505409809,
)  # fmt: skip

BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
    854513 / 138, -236364091 / 2730,
)  # fmt: skip
STIRLING = tuple([b / (2 * k * (2 * k - 1)) for k, b in enumerate(BERNOULLI[:8], 1)][::-1])
DIGAMMA = tuple([-b / (2 * k) for k, b in enumerate(BERNOULLI[:8], 1)][::-1])


def lgamma(x: Any, xp: ModuleType) -> Any:
    """log |gamma(x)|: inf at 0, -1, -2, ... and at both infinities."""
    return in_double(_lgamma, x, xp)


def digamma(x: Any, xp: ModuleType) -> Any:
    """The derivative of log gamma(x): -inf at 0, inf at -0.0, nan at -1, -2, ..."""
    return in_double(_digamma, x, xp)


def polygamma(x: Any, n: int, xp: ModuleType) -> Any:
    """The n-th derivative of digamma, n >= 1."""

    def f(flat: Any, xp: ModuleType) -> Any:
        return _polygamma(flat, n, xp)

    return in_double(f, x, xp)


def zeta(s: float, q: Any, xp: ModuleType) -> Any:
    """The sum of (q + k)^-s over k >= 0, s > 1, q > 0: ten terms, and Euler and Maclaurin's formula for the rest."""
    total = xp.zeros_like(q)
    for k in range(10):
        total += (q + k) ** -s
    q = q + 10
    power = q**-s
    total += power * (q / (s - 1) + 0.5)
    factor = power / q * s
    for k, b in enumerate(BERNOULLI, 1):
        total += factor * (b / math.factorial(2 * k))
        factor = factor * ((s + 2 * k - 1) * (s + 2 * k)) / (q * q)
    return total


def _lgamma(x: Any, xp: ModuleType) -> Any:
    size = xp.where(x > 0, x, 1 - x)
    out = xp.where(size < 8, _lgamma_small(size, xp), _lgamma_large(size, xp))
    out = xp.where(x > 0, out, xp.log(math.pi / xp.abs(xp.sin(math.pi * (x - xp.rint(x))))) - out)
    return xp.where(xp.isinf(x), math.inf, out)


def _lgamma_small(x: Any, xp: ModuleType) -> Any:
    """For 0 < x < 8; anything elsewhere."""
    x = xp.clip(x, 0, 8)
    log = xp.where(x < 1, -xp.log(x), 0)
    x, product = xp.where(x < 1, x + 1, x), 1
    for _ in range(6):
        large = x > 2
        x = xp.where(large, x - 1, x)
        product = xp.where(large, product * x, product)
    return (x - 1) * (x - 2) * polynomial(BETWEEN_ROOTS, 2 * x - 3, xp) + (log + xp.log(product))


def _lgamma_large(x: Any, xp: ModuleType) -> Any:
    """For x >= 8; anything elsewhere."""
    x = xp.maximum(x, 8)
    series = polynomial(STIRLING, 1 / (x * x), xp) / x
    return (x - 0.5) * (xp.log(x) - 1) + (math.log(2 * math.pi) / 2 - 0.5 + series)


def _digamma(x: Any, xp: ModuleType) -> Any:
    y = xp.where(x > 0, x, 1 - x)
    total = xp.zeros_like(y)
    for _ in range(10):
        small = y < 10
        total = xp.where(small, total - 1 / y, total)
        y = xp.where(small, y + 1, y)
    out = total + (xp.log(y) - 0.5 / y + polynomial(DIGAMMA, 1 / (y * y), xp) / (y * y))
    out = xp.where(x > 0, out, out - math.pi * _cotangent(x, xp))
    out = xp.where((x < 0) & (x == xp.rint(x)), math.nan, out)
    return xp.where(x == 0, xp.copysign(math.inf, -x), out)


def _polygamma(x: Any, n: int, xp: ModuleType) -> Any:
    factorial = float(math.factorial(n)) if n < 171 else math.inf
    out = zeta(n + 1, xp.where(x > 0, x, 1 - x), xp) * (factorial if n % 2 else -factorial)
    coefficients = _slopes_of_cotangent(n)
    c = _cotangent(x, xp)
    slope = polynomial(tuple([math.pi ** (n + 1) * a for a in coefficients]), c * c, xp) * (1 if n % 2 else c)
    return xp.where(x > 0, out, (-out if n % 2 else out) - slope)


def _cotangent(x: Any, xp: ModuleType) -> Any:
    """cot(pi x), of a negative x."""
    return 1 / xp.tan(math.pi * (x - xp.rint(x)))


@cache
def _slopes_of_cotangent(n: int) -> tuple[int, ...]:
    """The n-th derivative of cot is a polynomial in c = cot: that in c^2 which is left when c^(0 or 1) is taken out.

    From P(c) the next one is -(1 + c^2) P'(c). Highest power first; all coefficients have one sign, so none cancel.
    """
    p = [0, 1]  # lowest power first
    for _ in range(n):
        slope = [k * a for k, a in enumerate(p)][1:]
        p = [-a - b for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return tuple(p[(n + 1) % 2 :: 2][::-1])
