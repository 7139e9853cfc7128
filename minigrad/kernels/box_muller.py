"""Normal numbers from uniform ones, as torch's CPU kernels round them.

The Box-Muller transform turns two uniform numbers u1, u2 of [0, 1) into two independent standard normal ones,

    sqrt(-2 log(1 - u1)) cos(2 pi u2)    and    sqrt(-2 log(1 - u1)) sin(2 pi u2).

Which `log`, `sin` and `cos` computes them decides the last bits. torch has two answers, both followed here to the bit:

* float64: the C library's functions, one number at a time. Python's `math` calls the same functions; NumPy's own do not
  always agree with them (its AVX-512 `log` differs in the last bit of every 300th value).
* float32, 16 numbers or more: polynomials, eight numbers at a time, with fused multiply-adds. They are those of the
  Cephes library (S. Moshier, `logf.c`, `sinf.c`), so the same additions and multiplications in the same order give the
  same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minigrad.backend import np

BLOCK = 16  # torch's vector kernel takes 16 uniform numbers: eight u1, then eight u2
CHUNK = 1 << 14  # pairs worked on at a time, so that the polynomials' temporaries stay in the cache (twice as fast)

LOG_COEFFICIENTS = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
SIN_COEFFICIENTS = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS_COEFFICIENTS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
LN2_HIGH, LN2_LOW = 0.693359375, -2.12194440e-4  # their sum is log(2); the first has few bits, so products are exact
QUARTER_PI_PARTS = (0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)  # their sum is pi / 4

f32, f64 = np.float32, np.float64


# -- float64: the C library -------------------------------------------------------------------------------------------


def libm(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    """`function`, of Python's `math`, of every element of a float64 array: the C library's value, 50 ns each.

    Where `math` raises for what C gives inf or nan (overflow, log(0)), NumPy computes the whole array.
    """
    try:
        return np.fromiter(map(function, x.ravel().tolist()), f64, x.size).reshape(x.shape)
    except (OverflowError, ValueError):
        with np.errstate(all="ignore"):
            return getattr(np, function.__name__)(x)


def fma64(a: np.ndarray, b: float, c: float) -> np.ndarray:
    """a * b + c for a float64 array, rounded once, as a processor's fused multiply-add does.

    Split every number in two halves so that products are exact (Dekker 1971), collect what the roundings lost, and
    round that to odd before the last addition (Boldo and Melquiond 2008, "Emulation of FMA", theorem 3). Products below
    1e-290 may be an ulp off, for what they lose underflows; beyond 2**970, where the split overflows, it rounds twice.
    """
    if c == 0 or not (math.isfinite(b) and math.isfinite(c) and abs(b) < 2.0**970):
        return a * b + c
    high, low = _exact_product(a, f64(b))
    middle, tail = _exact_sum(f64(c), low)
    total, rest = _exact_sum(high, middle)
    small, lost = _exact_sum(tail, rest)
    # Round to odd: where the sum was inexact and its last bit is even, step towards what was lost.
    even = (small.view(np.int64) & 1) == 0
    small = np.where((lost != 0) & even, np.nextafter(small, np.copysign(np.inf, lost)), small)
    return total + small


def _exact_sum(a: np.ndarray | np.float64, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(s, e) with s = round(a + b) and a + b = s + e exactly (Knuth's TwoSum)."""
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


def _exact_product(a: np.ndarray, b: np.float64) -> tuple[np.ndarray, np.ndarray]:
    """(p, e) with p = round(a * b) and a * b = p + e exactly (Dekker's product, Veltkamp's split)."""
    p = a * b
    split = f64(2**27 + 1)
    a_high = a * split - (a * split - a)
    b_high = b * split - (b * split - b)
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def box_muller_float64(log: np.ndarray, u2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cosine half, sine half) of standard normal numbers, given log(1 - u1) and u2.

    The logarithm is the caller's: torch writes log(1 - u1) for blocks of 16 and log1p(-u1) where it draws one by one.
    """
    radius = np.sqrt(-2.0 * log)
    theta = 2.0 * math.pi * u2
    return radius * libm(math.cos, theta), radius * libm(math.sin, theta)


# -- float32, 16 or more: Cephes --------------------------------------------------------------------------------------


def box_muller_float32(u: np.ndarray, mean: float, std: float) -> np.ndarray:
    """float32 normal numbers from float32 uniform ones, shape (n, 2, 8): in each row eight u1, then eight u2.

    Returns that shape: the cosine half of each row, then its sine half, times `std` plus `mean` (fused).
    """
    out = np.empty_like(u)
    rows = CHUNK // 8
    for start in range(0, len(u), rows):
        part = u[start : start + rows]
        radius = np.sqrt(f32(-2) * _log(f32(1) - part[:, 0]))
        sine, cosine = _sin_cos(f32(2 * math.pi) * part[:, 1])
        out[start : start + rows, 0] = fma32(radius * cosine, f32(std), f32(mean))
        out[start : start + rows, 1] = fma32(radius * sine, f32(std), f32(mean))
    return out


def fma32(a: np.ndarray, b: np.ndarray | np.float32, c: np.ndarray | np.float32) -> np.ndarray:
    """a * b + c in float32, rounded once.

    The float64 product of two float32 numbers is exact. The sum is rounded to float64, then to float32, which differs
    from one rounding only when the first lands on a tie of the second: odds of 2**-29.
    """
    total = a.astype(f64)
    total *= b
    total += c
    return total.astype(f32)


def _horner(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """The polynomial with these coefficients, the highest power's first, in fused steps."""
    wide = x.astype(f64)
    y = np.full_like(wide, f32(coefficients[0]))
    for c in coefficients[1:]:
        y *= wide
        y += f32(c)
        y = y.astype(f32).astype(f64)
    return y.astype(f32)


def _log(x: np.ndarray) -> np.ndarray:
    """log(x), 0 < x <= 1: with x = m 2**e and m in [sqrt(1/2), sqrt(2)), a polynomial in m - 1, plus e log(2)."""
    m, exponent = np.frexp(x)
    low = m < f32(math.sqrt(0.5))
    e = (exponent - low).astype(f32)
    t = np.where(low, (m - f32(1)) + m, m - f32(1))
    square = t * t
    y = fma32(_horner(LOG_COEFFICIENTS, t) * t, square, e * f32(LN2_LOW))
    y = fma32(square, f32(-0.5), y)
    return fma32(e, f32(LN2_HIGH), t + y)


def _sin_cos(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sin(x), cos(x)) for x >= 0: the nearest even multiple of pi/4 is taken off, the rest r is in [-pi/4, pi/4].

    Two of the eight octants together use the sine's or the cosine's polynomial, with a sign.
    """
    octant = (x * f32(4 / math.pi)).astype(np.int32)
    octant += octant & 1
    y = octant.astype(f32)
    r = x
    for part in QUARTER_PI_PARTS:
        r = fma32(y, f32(-part), r)
    square = r * r
    c = fma32(_horner(COS_COEFFICIENTS, square) * square, square, f32(-0.5) * square) + f32(1)
    s = fma32(_horner(SIN_COEFFICIENTS, square) * square, r, r)
    swap = (octant & 2) != 0
    sine, cosine = np.where(swap, c, s), np.where(swap, s, c)
    return np.where(octant & 4, -sine, sine), np.where((octant + 2) & 4, -cosine, cosine)
