"""The kernels of special functions against 40 digits: what torch's own errors would hide."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from minigrad.kernels import bessel, gamma, special

POSITIVE = np.concatenate([np.linspace(0.03, 12, 60), [1e-300, 1e-9, 1 - 1e-10, 2 + 1e-10, 7.999, 10, 1e3, 1e9]])
NEGATIVE = -np.linspace(0.07, 11.9, 50)
REAL = np.concatenate([np.linspace(-20, 20, 81), [8, -8, 1e-9, 300]])
SCALED = np.concatenate([np.linspace(-26, 29, 111), [0.4999, 0.5, 27.99, 28.01, 1e9]])
PROBABILITIES = np.concatenate(
    [np.linspace(0.02, 0.98, 49), np.geomspace(1e-300, 0.1, 20), 1 - np.geomspace(1e-15, 0.1, 9)]
)


def log_ndtr(x: Any) -> Any:
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def largest_error(ours: Callable[..., Any], exact: Callable[[Any], Any], points: np.ndarray, floor: float) -> float:
    """The largest error relative to the value, or to `floor` near a zero of the function."""
    with mp.workdps(40), np.errstate(all="ignore"):
        pairs = zip(ours(points, np), map(exact, map(mp.mpf, points.tolist())), strict=True)
        return max(float(abs(a - e) / max(abs(e), floor)) for a, e in pairs)


@pytest.mark.parametrize(
    ("ours", "exact", "points", "floor"),
    [
        (gamma.lgamma, lambda x: mp.re(mp.loggamma(x)), POSITIVE, 0),
        (gamma.lgamma, lambda x: mp.re(mp.loggamma(x)), NEGATIVE, 1),
        (gamma.digamma, mp.digamma, POSITIVE, 1),
        (gamma.digamma, mp.digamma, NEGATIVE, 1),
        *[
            (lambda x, xp, n=n: gamma.polygamma(x, n, xp), lambda x, n=n: mp.polygamma(n, x), points, floor)
            for n in (1, 2, 3, 6)
            for points, floor in ((POSITIVE[POSITIVE > 1e-20], 0), (NEGATIVE, 10))
        ],
        (bessel.i0, lambda x: mp.besseli(0, x), REAL, 0),
        (bessel.i1, lambda x: mp.besseli(1, x), REAL, 1e-30),
        (bessel.i0e, lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), REAL, 0),
        (bessel.i1e, lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), REAL, 1e-30),
        (special.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), SCALED, 0),
        (special.log_ndtr, log_ndtr, np.linspace(-37, 5, 80), 0),
    ],
)
def test_within_some_units(ours: Callable, exact: Callable, points: np.ndarray, floor: float) -> None:
    assert largest_error(ours, exact, points, floor) < 4e-15


def test_erf_in_single_is_within_three_units() -> None:
    points = np.concatenate([np.linspace(-4.5, 4.5, 901), np.geomspace(1e-8, 1, 200)]).astype("float32")
    for value, x in zip(special.erf(points, np), points.tolist(), strict=True):
        exact = math.erf(x)
        assert abs(float(value) - exact) <= 3 * np.spacing(np.float32(abs(exact)))


def test_ndtri_is_the_inverse() -> None:
    """The error in p of the point found, relative to p and in units of the point's own last place."""
    with np.errstate(all="ignore"):
        found = special.ndtri(PROBABILITIES, np)
    with mp.workdps(40):
        for x, p in zip(map(mp.mpf, found.tolist()), PROBABILITIES.tolist(), strict=True):
            slope = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
            assert abs(mp.erfc(-x / mp.sqrt(2)) / 2 - p) <= slope * 4e-16 * max(abs(x), 1)


def test_ends() -> None:
    """Poles, zeros of either sign, infinities, nan."""
    inf, nan = np.inf, np.nan
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(
            gamma.lgamma(np.array([0, -0.0, -2, inf, -inf, nan, 1, 2]), np), [inf] * 5 + [nan, 0, 0]
        )
        np.testing.assert_array_equal(
            gamma.digamma(np.array([0, -0.0, -2, inf, -inf, nan]), np), [-inf, inf, nan, inf, nan, nan]
        )
        np.testing.assert_array_equal(gamma.polygamma(np.array([0.0, -2, nan]), 1, np), [inf, inf, nan])
        np.testing.assert_array_equal(gamma.polygamma(np.array([0.0, -2, nan]), 2, np), [-inf, -inf, nan])
        np.testing.assert_allclose(bessel.i0e(np.array([0, inf, -inf, nan]), np), [1, 0, 0, nan], rtol=2e-16)
        np.testing.assert_array_equal(bessel.i1e(np.array([0, inf, -inf, nan]), np), [0, 0, 0, nan])
        np.testing.assert_array_equal(special.erfcx(np.array([0, inf, -inf, -30, nan]), np), [1, 0, inf, inf, nan])
        np.testing.assert_array_equal(
            special.ndtri(np.array([0, 0.5, 1, 2, -1, nan]), np), [-inf, 0, inf, nan, nan, nan]
        )
        np.testing.assert_array_equal(special.log_ndtr(np.array([inf, -inf, nan]), np), [0, -inf, nan])
