"""Compiled loops are equal to their formulas in NumPy: normalization, gelu and relu with all gradients of both orders,
and the gradient of embeddings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.kernels import gelu, norms, places, relu
from minigrad.kernels.loops import compiled
from minigrad.nn import functional as F

pytestmark = pytest.mark.skipif(compiled(norms.normalize_rows, fast=True) is None, reason="numba is not installed")
dtypes = st.sampled_from(["float32", "float64"])
seeds = st.integers(0, 2**32 - 1)


def both(function: Callable[..., Any], arrays: list[np.ndarray], seed: int) -> tuple[list[np.ndarray], ...]:
    """The function's value and gradients, and those of its gradients, from the loops and from the formulas."""
    results = []
    for least in (0, 1 << 60):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(norms, "COMPILED", least)
            patch.setattr(gelu, "COMPILED", least)
            patch.setattr(relu, "COMPILED", least)
            leaves = [minigrad.tensor(a, requires_grad=True) for a in arrays]
            out = function(*leaves)
            g = minigrad.tensor(np.random.default_rng(seed).standard_normal(out.shape).astype(out.array.dtype))
            out.backward(g, retain_graph=True)
            first = minigrad.autograd.grad(out, leaves, g, create_graph=True)
            total = sum(d.square().sum() for d in first)
            second = minigrad.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
            results.append([t.detach().numpy() for t in (out, *(x.grad for x in leaves), *first, *second)])
    return tuple(results)


def assert_equal(loops: list[np.ndarray], formulas: list[np.ndarray]) -> None:
    """Within the rounding of sums that are taken in another order, which the largest number of a result measures."""
    for a, b in zip(loops, formulas, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        eps = 1e-5 if b.dtype == "float32" else 1e-13
        np.testing.assert_allclose(a, b, rtol=0, atol=eps * np.abs(b).max(initial=1))


def drawn(seed: int, dtype: str, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(0.5, 2, shape).astype(dtype) for shape in shapes]


@settings(deadline=None)
@given(st.lists(st.integers(2, 5), min_size=2, max_size=4), st.data(), dtypes, seeds)
def test_layer_norm(shape, data, dtype, seed):
    normalized = tuple(shape[data.draw(st.integers(0, len(shape) - 1)) :])
    given_parameters = data.draw(st.sampled_from([0, 1, 2]))
    arrays = drawn(seed, dtype, tuple(shape), *[normalized] * given_parameters)
    assert_equal(*both(lambda x, *p: F.layer_norm(x, normalized, *p, eps=0.1), arrays, seed))


@settings(deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(2, 4), min_size=1, max_size=3),
    st.sampled_from([0, 1, 2]), dtypes, seeds,
)  # fmt: skip
def test_batch_norm(n, channels, sizes, given_parameters, dtype, seed):
    arrays = drawn(seed, dtype, (n, channels, *sizes), *[(channels,)] * given_parameters)
    running = [[], []]

    def function(x: Any, *parameters: Any) -> Any:
        moments = [minigrad.zeros(channels, dtype=x.dtype), minigrad.ones(channels, dtype=x.dtype)]
        out = F.batch_norm(x, *moments, *parameters, training=True, eps=0.1)
        running[norms.COMPILED > 0].extend(moments)
        return out

    assert_equal(*both(function, arrays, seed))
    assert_equal(*([m.numpy() for m in moments] for moments in running))


@settings(deadline=None)
@given(st.integers(1, 50), st.sampled_from([1, 7, 8192]), seeds)
def test_gelu(n, block, seed):
    x = drawn(seed, "float32", (n, 3))[0]
    x[0] = 0, 100, -100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gelu, "BLOCK", block)
        assert_equal(*both(F.gelu, [x], seed))


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=3), dtypes, seeds)
def test_relu(shape, dtype, seed):
    x = np.asarray(drawn(seed, dtype, tuple(shape))[0])
    x.reshape(-1)[:3] = [0, np.inf, -np.inf][: x.size]
    for loops, formulas in zip(*both(F.relu, [x], seed), strict=True):
        np.testing.assert_array_equal(loops, formulas)


def test_gelu_of_infinities_and_nan():
    x = np.array([np.inf, -np.inf, np.nan, 1], "float32")
    with np.errstate(invalid="ignore"):
        (loops, *_), (formulas, *_) = both(F.gelu, [x], 0)
    np.testing.assert_array_equal(np.isnan(loops), np.isnan(formulas))
    assert loops[0] == np.inf
    for loops, formulas in zip(*both(F.relu, [x], 0), strict=True):
        np.testing.assert_array_equal(loops, formulas)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 30), st.lists(st.integers(1, 3), min_size=1, max_size=2), dtypes, seeds)
def test_rows_added_to_a_table(rows, n, more, dtype, seed):
    """An embedding's gradient, bit for bit: rows named several times are added in the order they come in."""
    random = np.random.default_rng(seed)
    index, values = random.integers(-rows, rows, n), random.standard_normal((n, *more)).astype(dtype)
    results = []
    for least in (0, 1 << 60):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(places, "COMPILED", least)
            results.append(places.added(values, (index,), (rows, *more), np))
    np.testing.assert_array_equal(*results)


def test_large_layers_take_the_loops_whatever_their_layout(monkeypatch):
    used = []
    for loop in (norms.layer_norm, norms.layer_norm_back, norms.channel_moments, norms.scaled_channels,
                 norms.batch_norm_back):  # fmt: skip
        monkeypatch.setattr(norms, loop.__name__, lambda *a, f=loop: used.append(f.__name__) or f(*a))
    x = minigrad.randn(30, 20, 40).transpose(0, 2).requires_grad_()
    g = minigrad.ones(1, 1, 1).expand(x.shape)
    w, b = minigrad.randn(30, requires_grad=True), minigrad.randn(30, requires_grad=True)
    F.layer_norm(x, (30,), w, b).backward(g)
    assert used == ["layer_norm", "layer_norm_back"]
    w, b = minigrad.randn(20, requires_grad=True), minigrad.randn(20, requires_grad=True)
    F.batch_norm(x, None, None, w, b, training=True).backward(g)
    assert used[2:] == ["channel_moments", "scaled_channels", "batch_norm_back"]
