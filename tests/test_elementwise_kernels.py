"""The kernels behind `where`, `pow` and `erf`: fast forms against the plain definitions they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels import special
from minigrad.kernels.power import integer_powers, power
from minigrad.kernels.select import BLOCK, LARGE, select

SIZES = (0, 1, LARGE - 1, LARGE, BLOCK, 2 * BLOCK + 5)
VALUES = np.array([0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, np.nan])


def drawn(seed: int, size: int, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = VALUES if np.dtype(dtype).kind == "f" else np.array([0, 1, -7, 100])
    a, b = (rng.choice(values, size).astype(dtype) for _ in range(2))
    return rng.random(size) < 0.5, a, b


@given(st.integers(0, 9), st.sampled_from(SIZES), st.sampled_from(["float16", "float32", "float64", "int64", "int8"]))
def test_select_is_where_bit_for_bit(seed: int, size: int, dtype: str) -> None:
    """Of two arrays, of an array and a zero of either sign, with masks and operands of other shapes and strides."""
    condition, a, b = drawn(seed, size, dtype)
    for x, y in [(a, b), (a, 0), (0, a), (a, -0.0), (-0.0, a), (a, 3), (a[:1], b)]:
        if type(y if x is a else x) is float and a.dtype.kind != "f":
            continue
        assert select(condition, x, y, np).tobytes() == np.where(condition, x, y).tobytes()
    assert select(condition[::-1], a[::-1], b, np).tobytes() == np.where(condition[::-1], a[::-1], b).tobytes()
    square = select(condition.reshape(1, -1), a.reshape(1, -1), 0, np)
    assert square.shape == (1, size)
    assert square.dtype == a.dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 5, 8, -1, -2, -3, 0.5, -0.5, 2.5, 7.0, -4.0])
def test_powers_are_torchs(exponent: float, dtype: str) -> None:
    """At negative bases, zeros of both signs and infinities as well."""
    base = np.concatenate([np.linspace(-3, 3, 61), [-0.0, np.inf, -np.inf, np.nan]]).astype(dtype)
    expected = torch.pow(torch.tensor(base), exponent).numpy()
    with np.errstate(all="ignore"):
        ours = power(base, exponent, np)
    assert ours.dtype == base.dtype
    np.testing.assert_allclose(ours, expected, rtol=4 * np.finfo(dtype).eps)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-3, 5)), max_size=20))
def test_integer_powers_are_torchs(pairs: list[tuple[int, int]]) -> None:
    base, exponent = np.array(pairs, "int64").reshape(-1, 2).T
    expected = torch.pow(torch.tensor(base.copy()), torch.tensor(exponent.copy())).numpy()
    np.testing.assert_array_equal(integer_powers(base, exponent, np), expected)


SPECIAL_POINTS = np.concatenate(
    [
        np.linspace(-7, 7, 4001),
        np.geomspace(1e-300, 1, 500),
        -np.geomspace(1e-30, 1, 500),
        np.nextafter(0.5, [0, 1]),
        [0.5, -0.5, 26.5, np.inf, -np.inf],
    ]
)


@pytest.mark.parametrize(("ours", "exact"), [(special.erf, math.erf), (special.erfc, math.erfc)])
def test_error_functions_within_a_few_units(ours: Callable, exact: Callable) -> None:
    expected = np.array([exact(x) for x in SPECIAL_POINTS])
    np.testing.assert_allclose(ours(SPECIAL_POINTS, np), expected, rtol=5 * np.finfo("float64").eps)
    assert np.isnan(ours(np.array([np.nan]), np)).all()


def test_erf_in_single_precision() -> None:
    points = SPECIAL_POINTS[np.abs(SPECIAL_POINTS) > 1e-30].astype("float32")
    expected = np.array([math.erf(x) for x in points])
    result = special.erf(points, np)
    assert result.dtype == np.float32
    assert np.abs(result).max() <= 1
    np.testing.assert_allclose(result, expected, rtol=3e-7)


def test_erfinv_is_the_inverse() -> None:
    y = np.concatenate(
        [np.linspace(-0.999, 0.999, 2001), np.geomspace(1e-300, 0.1, 300), 1 - np.geomspace(1e-16, 0.1, 300)]
    )
    expected = torch.erfinv(torch.tensor(y)).numpy()
    np.testing.assert_allclose(special.erfinv(y, np), expected, rtol=10 * np.finfo("float64").eps)
    with np.errstate(all="ignore"):
        ends = special.erfinv(np.array([1.0, -1.0, 1.5, np.nan, 0.0]), np)
    np.testing.assert_array_equal(ends, [np.inf, -np.inf, np.nan, np.nan, 0])


def test_blocks_change_nothing() -> None:
    """Long arrays are evaluated in pieces, in any shape and layout."""
    x = np.random.default_rng(0).uniform(-3, 3, (3, special.BLOCK // 2 + 7))
    for f in (special.erf, special.erfc):
        whole = np.stack([f(row.copy(), np) for row in x])
        np.testing.assert_array_equal(f(x, np), whole)
        np.testing.assert_array_equal(f(x.T, np), whole.T)
