"""The compiled updates of Adam and SGD are the readable ones, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.kernels.loops import compiled
from minigrad.optim import fused
from minigrad.optim.loop import FUSED

needs_numba = pytest.mark.skipif(compiled(fused.adam_loop) is None, reason="numba is not installed")


def steps(name: str, values: np.ndarray, gradients: list[np.ndarray], **options: Any) -> list[Any]:
    """The parameter and its state after a step for each gradient."""
    p = minigrad.tensor(values, requires_grad=True)
    optimizer = getattr(minigrad.optim, name)([p], **options)
    for g in gradients:
        p.grad = minigrad.tensor(g)
        optimizer.step()
    return [p.detach().numpy(), *(optimizer.state[p][key].numpy() for key in sorted(optimizer.state[p]))]


def drawn(dtype: str, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Values and three gradients, one with zeros, one with infinities."""
    rng = np.random.default_rng(seed)
    values, *gradients = (rng.normal(size=(7, 5)).astype(dtype) * 10.0 ** rng.integers(-5, 3) for _ in range(4))
    gradients[1][0] = 0
    gradients[2][3, :3] = np.inf, -np.inf, np.nan
    return values, gradients


@needs_numba
@settings(deadline=None)
@given(
    name=st.sampled_from(["Adam", "AdamW"]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 1000),
    lr=st.floats(1e-4, 1),
    betas=st.tuples(st.floats(0.5, 0.99), st.floats(0, 0.9999)),
    eps=st.floats(0, 1e-3),
    weight_decay=st.sampled_from([0, 0.01, 0.5]),
    maximize=st.booleans(),
    amsgrad=st.booleans(),
)
def test_fused_is_bit_for_bit_the_update(name, dtype, seed, **options):
    values, gradients = drawn(dtype, seed)
    plain, compiled_ones = (steps(name, values, gradients, fused=fused, **options) for fused in (False, True))
    for a, b in zip(plain, compiled_ones, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_numba
@settings(deadline=None)
@given(
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 1000),
    lr=st.floats(1e-4, 1),
    momentum=st.sampled_from([0, 0.5, 0.9]),
    dampening=st.sampled_from([0, 0.1, 1]),
    weight_decay=st.sampled_from([0, 0.01, 0.5]),
    nesterov=st.booleans(),
    maximize=st.booleans(),
)
def test_fused_sgd_is_bit_for_bit_the_update(dtype, seed, nesterov, **options):
    options["nesterov"] = nesterov and options["momentum"] > 0 and options["dampening"] == 0
    values, gradients = drawn(dtype, seed)
    plain, compiled_ones = (steps("SGD", values, gradients, fused=fused, **options) for fused in (False, True))
    for a, b in zip(plain, compiled_ones, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_numba
def test_it_is_used_where_it_is_asked_for_and_for_large_arrays(monkeypatch):
    used = []
    counted = staticmethod(lambda p, *rest, **options: bool(used.append(p.size)))
    monkeypatch.setattr(minigrad.optim.Adam, "fused", counted)
    large = np.zeros(FUSED // 4, "float32")
    for values, wanted in ((large, None), (large, False), (large[:3], None), (large[:3], True)):
        steps("Adam", values, [values], fused=wanted)
    assert used == [large.size, 3]


@pytest.mark.parametrize("amsgrad", [False, True])
def test_nothing_is_updated_in_an_empty_parameter(amsgrad):
    values = np.zeros(0, "float32")
    assert all(a.size == 0 for a in steps("Adam", values, [values], fused=True, amsgrad=amsgrad)[:-1])


def test_without_numba_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(fused, "compiled", lambda loop: None)
    values = np.linspace(-1, 1, 12).astype("float32")
    a, b = (steps("Adam", values, [values, -values], fused=wanted) for wanted in (True, False))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
