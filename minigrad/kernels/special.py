"""erf, its complement and their inverses on arrays. NumPy has none of them, and CuPy's are in a package of its own.

    erf(x) = x * CENTRE(x^2)                                 |x| < 1/2
    erfc(x) = exp(-x^2) * TAIL(t) / (1 + 2x),  t = (x - 3) / (x + 3)    x >= 1/2

and the rest by symmetry. The second form is Shepherd and Laframboise's (Mathematics of Computation 36, 1981); the
polynomials are Chebyshev interpolants, computed by `python -m reference.fit_error_function`. float64 results are within
a few units in the last place. float32 goes through float64, but for

    erf(x) = tanh(x * SINGLE(x^2))

which is as close and half the work, NumPy's tanh being quick: erf is nearly a hyperbolic tangent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

from minigrad.backend import np
from minigrad.kernels.loops import compiled
from minigrad.kernels.threads import over_blocks

BLOCK = 1 << 17  # elements evaluated at a time, so that the intermediate arrays stay in the processor's cache

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
    5.4216127454778056e-09, 2.7575886208784958e-08, -4.794604085559733e-06, 8.459658335830987e-05,
    -0.0006148382522584127, -0.00019528814227872857, 0.10276986411382175, 1.1283792471876992,
)  # fmt: skip


SINGLE_ARRAY = np.array(SINGLE, np.float32)
COMPILED = 1 << 10  # numbers from which a compiled loop pays
COST = 64  # a function's value in multiplications


def erf(x: Any, xp: ModuleType) -> Any:
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    if x.dtype == xp.float32:
        return by_blocks(_erf_single, x, xp)
    return in_double(_erf, x, xp)


def erfc(x: Any, xp: ModuleType) -> Any:
    """1 - erf(x), without the loss of digits for large x."""
    return in_double(_erfc, x, xp)


def erfinv(y: Any, xp: ModuleType) -> Any:
    """The x with erf(x) = y; +-inf at +-1, nan beyond."""
    return in_double(_erfinv, y, xp)


def erfcx(x: Any, xp: ModuleType) -> Any:
    """exp(x^2) erfc(x), about 1 / (sqrt(pi) x) for large x; inf for x < -26.7."""
    return in_double(_erfcx, x, xp)


def ndtri(p: Any, xp: ModuleType) -> Any:
    """The x below which a standard normal variable falls with probability p; -inf at 0, inf at 1, nan beyond."""
    return in_double(_ndtri, p, xp)


def log_ndtr(x: Any, xp: ModuleType) -> Any:
    """The logarithm of the probability that a standard normal variable falls below x."""
    return in_double(_log_ndtr, x, xp)


def in_double(f: Callable[[Any, ModuleType], Any], x: Any, xp: ModuleType) -> Any:
    """`f` of x, computed in float64, in the dtype of x."""
    return by_blocks(f, x.astype(xp.float64, copy=False), xp).astype(x.dtype, copy=False)


def by_blocks(f: Callable[[Any, ModuleType], Any], x: Any, xp: ModuleType) -> Any:
    """`f` of a flat view of x, on the CPU a block at a time, in threads."""
    flat = x.reshape(-1)
    if xp is not np or flat.size <= BLOCK:
        return f(flat, xp).reshape(x.shape)
    out = np.empty_like(flat)

    def work(part: slice) -> None:
        out[part] = f(flat[part], xp)

    over_blocks(flat.size, BLOCK, work, COST * flat.size)
    return out.reshape(x.shape)


def polynomial(coefficients: tuple[float, ...], x: Any, xp: ModuleType) -> Any:
    """Horner's rule, highest power first."""
    out = xp.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        out *= x
        out += c
    return out


def _erf_single(x: Any, xp: ModuleType) -> Any:
    """erf in float32: from 4 on it is 1."""
    loop = compiled(single_argument, fast=True) if xp is np and x.size >= COMPILED else None
    if loop is not None:
        z = np.empty_like(x)
        loop(x, SINGLE_ARRAY, x.dtype.type(1), z)
    else:
        x = xp.clip(x, -4, 4)
        z = polynomial(SINGLE, x * x, xp)
        z *= x
    return xp.tanh(z, out=z)


def single_argument(x, c, factor, out):
    """v * SINGLE(v^2) for v = factor * x moved into [-4, 4]."""
    c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
    end = x.dtype.type(4)
    for i in range(len(x)):
        v = factor * x[i]
        v = -end if v < -end else v
        v = end if v > end else v
        s = v * v
        out[i] = v * (((((((c0 * s + c1) * s + c2) * s + c3) * s + c4) * s + c5) * s + c6) * s + c7)


def _centre(x: Any, xp: ModuleType) -> Any:
    """erf(x) for |x| < 1/2; anything elsewhere."""
    x = xp.clip(x, -0.5, 0.5)
    return x * polynomial(CENTRE, x * x, xp)


def _scaled_tail(x: Any, xp: ModuleType) -> Any:
    """exp(x^2) erfc(x) for 1/2 <= x <= 28; anything elsewhere."""
    x = xp.clip(x, 0.5, 28)
    return polynomial(TAIL, (x - 3) / (x + 3), xp) / (1 + 2 * x)


def _tail(x: Any, xp: ModuleType) -> Any:
    """erfc(x) for x >= 1/2; anything elsewhere."""
    x = xp.clip(x, 0.5, 28)  # erfc(28) is below the smallest float64
    return _exp_of_square(x, -1, xp) * _scaled_tail(x, xp)


def _exp_of_square(x: Any, sign: int, xp: ModuleType) -> Any:
    """exp(+-x^2). x^2 in two parts, the larger one exact: rounding it would cost up to 700 units in the last place."""
    large = xp.rint(x * 16) / 16
    return xp.exp(sign * large * large) * xp.exp(sign * (x - large) * (x + large))


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


def _erfcx(x: Any, xp: ModuleType) -> Any:
    """By its tail up to 28, from there by the asymptotic series in u = 1 / (2 x^2): 1 - u + 3 u^2 - 15 u^3 + ..."""
    size = xp.abs(x)
    far = xp.maximum(size, 28)
    series = polynomial((-945.0, 105.0, -15.0, 3.0, -1.0, 1.0), 0.5 / far / far, xp) / (math.sqrt(math.pi) * far)
    out = xp.where(size > 28, series, _scaled_tail(size, xp))
    growth = _exp_of_square(xp.clip(x, -28, 0.5), 1, xp)
    return xp.where(xp.abs(x) < 0.5, growth * (1 - _centre(x, xp)), xp.where(x < 0, 2 * growth - out, out))


def _log_ndtr(x: Any, xp: ModuleType) -> Any:
    y = x * -math.sqrt(0.5)
    below = xp.log(_erfcx(xp.maximum(y, 0), xp) / 2) - x * x / 2
    return xp.where(x < -1, below, xp.log1p(_erfc(-y, xp) * -0.5))


def _ndtri(p: Any, xp: ModuleType) -> Any:
    """In the middle by erfinv; in the tails from Abramowitz and Stegun 26.2.23 by Newton's method on the logarithm."""
    q = xp.minimum(p, 1 - p)
    inside = q > 0
    q = xp.where(inside, q, 0.25)
    log = xp.log(q)
    t = xp.sqrt(-2 * log)
    x = t - polynomial((0.010328, 0.802853, 2.515517), t, xp) / polynomial((0.001308, 0.189269, 1.432788, 1.0), t, xp)
    for _ in range(3):
        scaled = _erfcx(xp.maximum(x, 0) * math.sqrt(0.5), xp)
        x = x + (xp.log(scaled / 2) - x * x / 2 - log) * (scaled * math.sqrt(math.pi / 2))
    out = xp.where(q > 0.1, _erfinv(1 - 2 * q, xp) * math.sqrt(2), x)
    out = xp.where(inside, xp.where(p < 0.5, -out, out), math.nan)
    return xp.where(p == 0, -math.inf, xp.where(p == 1, math.inf, out))
