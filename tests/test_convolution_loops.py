"""Convolution's compiled ways, by Winograd's tiles and by shifted planes, are equal to the product with columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minigrad.kernels import convolution, shifted, winograd
from minigrad.kernels.convolution_shapes import Conv, check
from minigrad.kernels.loops import compiled

pytestmark = pytest.mark.skipif(compiled(winograd.outputs, fast=True) is None, reason="numba is not installed")
seeds = st.integers(0, 2**32 - 1)
few = st.integers(1, 4)


@pytest.fixture(autouse=True)
def in_columns(monkeypatch):
    """What is called through `convolution` is the plain way."""
    monkeypatch.setattr(convolution, "COMPILED", 1 << 60)


def close(ours, plain):
    """Equal within what sums in another order may differ by; Winograd's sums have terms up to twice as large."""
    assert (ours.shape, ours.dtype) == (plain.shape, plain.dtype)
    eps = 2e-6 if plain.dtype == "float32" else 1e-14
    scale = np.abs(plain).max(initial=1)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=20 * eps * scale)


def drawn(seed, dtype, x_shape, w_shape, how):
    random = np.random.default_rng(seed)
    shape = check(x_shape, w_shape, how)
    return [random.standard_normal(s).astype(dtype) for s in (x_shape, w_shape, shape)]


@settings(deadline=None)
@given(
    st.tuples(few, few, few),
    st.tuples(st.integers(1, 11), st.integers(1, 11)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(1, 40),
    st.sampled_from(["float32", "float64"]),
    seeds,
)
def test_winograd_is_the_plain_convolution(sizes, image, padding, tiles, dtype, seed):
    n, c, k = sizes
    how = Conv((1, 1), padding, (1, 1), 1)
    assume(all(size + 2 * p >= 3 for size, p in zip(image, padding)))
    x, w, g = drawn(seed, dtype, (n, c, *image), (k, c, 3, 3), how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "TILES", tiles)
        close(winograd.conv(x, w, padding, g.shape[2:]), convolution.conv(x, w, how, np))
        close(winograd.conv_input(g, w, padding, image), convolution.conv_input(g, w, how, x.shape, np))
        close(winograd.conv_weight(g, x, padding), convolution.conv_weight(g, x, how, w.shape, np))


@settings(deadline=None)
@given(st.data(), st.integers(1, 3), st.sampled_from(["float32", "float64"]), seeds)
def test_shifted_planes_are_the_plain_convolution(data, n, dtype, seed):
    many = lambda low, high: tuple(data.draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))
    kernel, stride, dilation, padding, extra = many(1, 3), many(1, 3), many(1, 2), many(0, 3), many(0, 4)
    groups, c, k, samples = (data.draw(few) for _ in range(4))
    sizes = tuple(max(1, d * (t - 1) + 1 - 2 * p + e) for t, d, p, e in zip(kernel, dilation, padding, extra))
    how = Conv(stride, padding, dilation, groups)
    x, w, g = drawn(seed, dtype, (samples, groups * c, *sizes), (groups * k, c, *kernel), how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shifted, "BLOCK_BYTES", data.draw(st.sampled_from([1, 4096, 1 << 18])))
        close(shifted.conv(x, w, how, g.shape), convolution.conv(x, w, how, np))
        close(shifted.conv_input(g, w, how, x.shape), convolution.conv_input(g, w, how, x.shape, np))
        close(shifted.conv_weight(g, x, how, w.shape), convolution.conv_weight(g, x, how, w.shape, np))


def test_what_the_padding_of_weights_reads_is_zero():
    """An infinity in the input stays in its own windows, though weights are filled up to pairs and quadruples."""
    x, w = np.ones((1, 1, 6, 6)), np.ones((1, 1, 3, 3))
    x[0, 0, 0, 0] = np.inf
    how = Conv((1, 1), (0, 0), (1, 1), 1)
    out = shifted.conv(x, w, how, (1, 1, 4, 4))
    assert np.isinf(out[0, 0, 0, 0])
    assert (out.ravel()[1:] == 9).all()
    g = np.zeros((1, 1, 4, 4))
    g[0, 0, 0, 0] = np.inf
    dx = shifted.conv_input(g, w, how, x.shape)
    assert np.isinf(dx[0, 0, :3, :3]).all()
    assert (dx[0, 0, 3:] == 0).all()


WAYS = {
    "winograd": ((2, 32, 9, 8), (40, 32, 3, 3), Conv((1, 1), (1, 1), (1, 1), 1)),
    "few outputs": ((3, 3, 32, 32), (6, 3, 5, 5), Conv((1, 1), (0, 0), (1, 1), 1)),
    "one channel a group": ((3, 24, 17, 16), (24, 1, 3, 3), Conv((1, 1), (1, 1), (1, 1), 24)),
    "columns": ((3, 20, 32, 32), (24, 20, 5, 5), Conv((2, 2), (0, 0), (1, 1), 1)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_whichever_way_is_chosen(way, dtype, monkeypatch):
    """Sizes that choose each of them: arrays out of order and broadcast ones too."""
    x_shape, w_shape, how = WAYS[way]
    x, w, g = drawn(0, "float64", x_shape, w_shape, how)
    x, w, g = (a.astype(dtype) for a in (np.asfortranarray(x), w, np.broadcast_to(g[:1, :1, :1, :1], g.shape)))
    used = []
    for module in (winograd, shifted):
        monkeypatch.setattr(module, "over", lambda *a, m=module, f=module.over: used.append(m.__name__) or f(*a))

    def all_three():
        return (
            convolution.conv(x, w, how, np),
            convolution.conv_input(g, w, how, x.shape, np),
            convolution.conv_weight(g, x, how, w.shape, np),
        )

    plain = all_three()
    assert not used
    monkeypatch.setattr(convolution, "COMPILED", 1 << 16)
    for ours, expected in zip(all_three(), plain, strict=True):
        if dtype == "float16":
            np.testing.assert_allclose(ours.astype("float64"), expected.astype("float64"), rtol=2e-3, atol=2e-2)
        else:
            close(ours, expected)
    expected = {"winograd": ["winograd"] * 3, "columns": ["shifted"]}.get(way, ["shifted"] * 3)  # dx has few inputs
    assert [name.rpartition(".")[2] for name in used] == expected
