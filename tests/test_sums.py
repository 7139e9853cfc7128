"""Sums as products with ones against exactly rounded ones."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from minigrad.kernels.sums import LARGE, LONGEST, total, whole


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (0, 3), (3, 0), (300, 40), (7, LONGEST + 1)])
def test_sums_over_any_dims(shape, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    for layout in (x, np.asfortranarray(x), x[..., ::-1]):
        for k in range(1, x.ndim + 1):
            for dim in combinations(range(x.ndim), k):
                for keepdim in (False, True):
                    out = total(layout, dim, keepdim)
                    expected = layout.astype("float64").sum(axis=dim, keepdims=keepdim)
                    assert (out.dtype, np.shape(out)) == (dtype, expected.shape)
                    scale = np.abs(x).sum() + 1
                    np.testing.assert_allclose(out, expected, rtol=0, atol=scale * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [LARGE, LARGE + 1, 100_000])
def test_the_sum_of_all_is_as_close_as_torchs(n):
    errors = []
    for seed in range(20):
        x = np.random.default_rng(seed).uniform(0.5, 2, n).astype("float32")
        exact = x.astype("float64").sum()
        ours = whole(x)
        assert ours.dtype == "float32"
        assert ours == total(x, (0,))
        errors.append((abs(ours - exact), abs(float(torch.tensor(x).sum()) - exact)))
    ours, theirs = np.mean(errors, axis=0)
    assert ours <= 2 * theirs


def test_dims_in_any_order():
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(total(x, (1, 0)), x.sum((0, 1)))
    np.testing.assert_array_equal(total(x, (0, 2)), x.sum((0, 2)))


def test_infinities_and_nan():
    x = np.array([[1.0, math.inf, 2], [math.nan, 1, 1], [math.inf, -math.inf, 0]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(total(x, (1,)), x.sum(1))
        np.testing.assert_array_equal(total(x, (0,)), x.sum(0))


@pytest.mark.parametrize("shape", [(64, 10), (768, 512), (10_000, 64)])
def test_sums_down_the_rows_are_as_close_as_numpys(shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    exact = x.astype("float64").sum(0)
    assert np.abs(total(x, (0,)) - exact).max() <= np.abs(x.sum(0) - exact).max() * 1.5
