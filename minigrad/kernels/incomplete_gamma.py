"""The incomplete gamma and beta functions' derivatives by their parameters, and the incomplete gamma functions.

P(a, x) = x^a exp(-x) / gamma(a + 1) sum x^n / ((a + 1) ... (a + n))     (Abramowitz and Stegun 6.5.29), x < a + 1
Q(a, x) = 1 - P = x^a exp(-x) / gamma(a) 1 / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...))           6.5.31, x >= a + 1
I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) sum x^n (a + b) ... (a + b + n - 1) / ((a + 1) ... (a + n))        26.5.4
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from minigrad.kernels.gamma import digamma, lgamma

TERMS = 100_000  # enough for parameters of 1e9


def regularized(a: Any, x: Any, xp: ModuleType) -> tuple[Any, Any]:
    """P(a, x) and Q(a, x), of float64 arrays of one shape; nan for negative ones."""
    p = xp.full(a.shape, xp.nan)
    ordinary = (a > 0) & (x > 0) & xp.isfinite(a) & xp.isfinite(x)
    p[((a == 0) & (x > 0)) | ((x == xp.inf) & (a >= 0) & xp.isfinite(a))] = 1.0
    p[((x == 0) & (a > 0)) | ((a == xp.inf) & (x >= 0) & xp.isfinite(x))] = 0.0
    q = 1 - p
    below, above = ordinary & (x < a + 1), ordinary & (x >= a + 1)
    p[below] = _series(a[below], x[below], xp)
    q[below] = 1 - p[below]
    q[above] = _fraction(a[above], x[above], xp)
    p[above] = 1 - q[above]
    return p, q


def _series(a: Any, x: Any, xp: ModuleType) -> Any:
    total, term = xp.ones_like(a), xp.ones_like(a)
    for n in range(1, TERMS):
        term = term * (x / (a + n))
        total += term
        if not (term > 1e-17 * total).any():
            break
    return xp.exp(a * xp.log(x) - x - lgamma(a + 1, xp)) * total


def _fraction(a: Any, x: Any, xp: ModuleType) -> Any:
    """Lentz's way of computing a continued fraction from its beginning."""
    b = x + 1 - a
    c, d = xp.full_like(a, 1e300), 1 / b
    value = d.copy()
    for n in range(1, TERMS):
        numerator = n * (a - n)
        b = b + 2
        d = numerator * d + b
        d = 1 / xp.where(d == 0, 1e-300, d)
        c = b + numerator / c
        c = xp.where(c == 0, 1e-300, c)
        value *= c * d
        if not (abs(c * d - 1) > 1e-16).any():
            break
    return xp.exp(a * xp.log(x) - x - lgamma(a, xp)) * value


# -- how a sample moves with its parameter -----------------------------------------------------------------------------


def gamma_slope(alpha: Any, x: Any, xp: ModuleType) -> Any:
    """dx/dalpha of a gamma sample x that keeps its rank: -(dP/dalpha) / p(x), where all but the series cancels."""
    total, term = xp.ones_like(x), xp.ones_like(x)
    psi = digamma(alpha + 1, xp)
    weighted = psi.copy()
    for n in range(1, TERMS):
        term = term * (x / (alpha + n))
        psi = psi + 1 / (alpha + n)
        total += term
        weighted += term * psi
        if not (term > 1e-17 * total).any():
            break
    return x / alpha * (weighted - xp.log(x) * total)


def beta_slope(a: Any, b: Any, x: Any, xp: ModuleType) -> Any:
    """dx/da of a Beta(a, b) sample x that keeps its rank, from the series of I_x(a, b) or of 1 - I = I_{1-x}(b, a)."""
    slope = xp.empty_like(x)
    small = x * (a + b + 2) < a + 1
    slope[small] = _beta_slope_below(a[small], b[small], x[small], xp)
    slope[~small] = _beta_slope_above(a[~small], b[~small], x[~small], xp)
    return slope


def _beta_slope_below(a: Any, b: Any, x: Any, xp: ModuleType) -> Any:
    # I = p(x) x (1 - x) / a * total; d log I / da is d of the factor plus d of the terms
    factor = xp.log(x) - 1 / a - digamma(a, xp) + digamma(a + b, xp)
    total, term, weight = xp.ones_like(x), xp.ones_like(x), xp.zeros_like(x)
    weighted = xp.zeros_like(x)
    for n in range(1, TERMS):
        term = term * (x * (a + b + n - 1) / (a + n))
        weight = weight + 1 / (a + b + n - 1) - 1 / (a + n)
        total += term
        weighted += term * weight
        if not (term > 1e-17 * total).any():
            break
    return -x * (1 - x) / a * (factor * total + weighted)


def _beta_slope_above(a: Any, b: Any, x: Any, xp: ModuleType) -> Any:
    # the same of I_{1-x}(b, a), where a is the second parameter
    factor = xp.log(x) - digamma(a, xp) + digamma(a + b, xp)
    total, term, weight = xp.ones_like(x), xp.ones_like(x), xp.zeros_like(x)
    weighted = xp.zeros_like(x)
    for n in range(1, TERMS):
        term = term * ((1 - x) * (a + b + n - 1) / (b + n))
        weight = weight + 1 / (a + b + n - 1)
        total += term
        weighted += term * weight
        if not (term > 1e-17 * total).any():
            break
    return x * (1 - x) / b * (factor * total + weighted)
