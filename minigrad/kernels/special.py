"""erf, erfc and erfinv on arrays. NumPy has none of them, and CuPy's are in a package of its own.

    erf(x) = x * CENTRE(x^2)                                 |x| < 1/2
    erfc(x) = exp(-x^2) * TAIL(t) / (1 + 2x),  t = (x - 3) / (x + 3)    x >= 1/2

and the rest by symmetry. The second form is Shepherd and Laframboise's (Mathematics of Computation 36, 1981); the
polynomials are Chebyshev interpolants, computed by `python -m reference.fit_error_function`. float64 results are within
a few units in the last place; float32 has a shorter polynomial of its own for erf, and goes through float64 for the
rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

from minigrad.backend import np

BLOCK = 8192  # elements evaluated at a time, so that the intermediate arrays stay in the processor's cache

CENTRE = (
    -1.462091340945175e-07, 1.637123442577e-06, -1.4923003368152099e-05, 0.00012055286202005714,
    -0.0008548326510724796, 0.0052239776220169365, -0.02686617064499972, 0.1128379167095487,
    -0.3761263890318375, 1.1283791670955126,
)  # fmt: skip

TAIL = (
    2.530478256290314e-09, -6.795035322911804e-09, -1.7932947990627186e-08, 4.1367990839283595e-08,
    1.078880701472726e-07, -1.4324034589200596e-07, -6.211741712587419e-07, 3.5900188708545566e-07,
    3.4745846128523814e-06, -7.328307002418314e-07, -2.010126378463004e-05, 4.949956945761098e-06,
    0.0001250995042238072, -0.00010515990298771089, -0.0007798322945107705, 0.0018886903726146294,
    0.0025293918182127816, -0.02377051491960952, 0.06830802734385681, -0.1192736634152754, 0.12964515870276397,
    -0.047562294353451176, -0.1356211061245812, 1.2530080582697296,
)  # fmt: skip

SINGLE = (
    0.0003788009508054297, -0.0009379143766314568, 0.0006125363165292545, -0.001050358928158941,
    0.004282949023985845, -0.008162878996699522, 0.012259530992540504, -0.019623283516570486,
    0.03058619292532345, -0.043583371823955455, 0.05817710485034781, -0.07399038457729262, 0.09062330814065028,
    -0.1091818087408391, 0.13408335582789194, -0.18010856338892586, 0.3607368202093706,
)  # fmt: skip


def erf(x: Any, xp: ModuleType) -> Any:
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    if x.dtype == xp.float32:
        return _by_blocks(_erf_single, x, xp)
    return _by_blocks(_erf, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def erfc(x: Any, xp: ModuleType) -> Any:
    """1 - erf(x), without the loss of digits for large x."""
    return _by_blocks(_erfc, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def erfinv(y: Any, xp: ModuleType) -> Any:
    """The x with erf(x) = y; +-inf at +-1, nan beyond."""
    return _by_blocks(_erfinv, y.astype(xp.float64, copy=False), xp).astype(y.dtype, copy=False)


def _by_blocks(f: Callable[[Any, ModuleType], Any], x: Any, xp: ModuleType) -> Any:
    """`f` of a flat view of x, on the CPU a block at a time."""
    flat = x.reshape(-1)
    if xp is not np or flat.size <= BLOCK:
        return f(flat, xp).reshape(x.shape)
    out = np.empty_like(flat)
    for i in range(0, flat.size, BLOCK):
        out[i : i + BLOCK] = f(flat[i : i + BLOCK], xp)
    return out.reshape(x.shape)


def _polynomial(coefficients: tuple[float, ...], x: Any, xp: ModuleType) -> Any:
    """Horner's rule, highest power first."""
    out = xp.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        out *= x
        out += c
    return out


def _erf_single(x: Any, xp: ModuleType) -> Any:
    """erf in float32: 1 beyond 3.92, where the next smaller number is farther from it."""
    x = xp.clip(x, -3.92, 3.92)
    u = x * x * (2 / 3.92**2) - 1
    return xp.clip(_polynomial(SINGLE, u, xp) * x, -1, 1)


def _centre(x: Any, xp: ModuleType) -> Any:
    """erf(x) for |x| < 1/2; anything elsewhere."""
    x = xp.clip(x, -0.5, 0.5)
    return x * _polynomial(CENTRE, x * x, xp)


def _tail(x: Any, xp: ModuleType) -> Any:
    """erfc(x) for x >= 1/2; anything elsewhere."""
    x = xp.clip(x, 0.5, 28)  # erfc(28) is below the smallest float64
    scaled = _polynomial(TAIL, (x - 3) / (x + 3), xp) / (1 + 2 * x)
    # x^2 in two parts, the larger one exact: rounding it would cost up to 700 units in the last place of exp(-x^2).
    large = xp.rint(x * 16) / 16
    return xp.exp(-large * large) * xp.exp((large - x) * (large + x)) * scaled


def _erf(x: Any, xp: ModuleType) -> Any:
    size = xp.abs(x)
    return xp.where(size < 0.5, _centre(x, xp), xp.copysign(1 - _tail(size, xp), x))


def _erfc(x: Any, xp: ModuleType) -> Any:
    tail = _tail(xp.abs(x), xp)
    return xp.where(xp.abs(x) < 0.5, 1 - _centre(x, xp), xp.where(x > 0, tail, 2 - tail))


def _erfinv(y: Any, xp: ModuleType) -> Any:
    """Winitzki's closed form (2008), right to two digits; then twice erfinv's Taylor series at erf(x), to order 3."""
    size = xp.abs(y)
    inside = size < 1
    p = xp.where(inside, size, 0)
    log = xp.where(p < 0.5, xp.log1p(-p * p), xp.log((1 - p) * (1 + p)))  # of 1 - p^2, precise at both ends
    t = 2 / (math.pi * 0.147) + log / 2
    x = xp.sqrt(-log / 0.147 / (xp.sqrt(t * t - log / 0.147) + t))
    for _ in range(2):
        # Either difference is free of cancellation where it is used.
        error = xp.where(p < 0.5, p - _erf(x, xp), _erfc(x, xp) - (1 - p))
        s = error * xp.exp(x * x) * (math.sqrt(math.pi) / 2)
        x = x + s * (1 + s * (x + s * (1 + 4 * x * x) / 3))
    return xp.copysign(xp.where(inside, x, xp.where(size == 1, math.inf, math.nan)), y)
