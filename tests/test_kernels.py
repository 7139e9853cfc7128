"""Convolution and pooling on raw arrays: equal to torch, transposes of each other, and fit for CuPy."""

import itertools
import math
import operator
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from minigrad.kernels import convolution, pooling
from minigrad.kernels.convolution_shapes import Conv, check
from minigrad.kernels.pooling import Pool
from reference import strict_cupy

F = torch.nn.functional
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}

floats = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)


def close(ours, theirs):
    """Equal in shape and dtype, and in value within DESIGN's tolerances."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    rtol, atol = {"float64": (1e-12, 1e-12), "float32": (1.3e-6, 1e-5), "float16": (1e-3, 1e-5)}[ours.dtype.name]
    # A sum whose terms cancel keeps the rounding of the terms: atol is relative to the largest result.
    scale = float(np.nan_to_num(np.abs(theirs.astype(np.float64)), posinf=0).max(initial=1.0))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol * scale)


def inner(a, b):
    return math.fsum((a * b).ravel())


def strided(array, draw):
    """The same values, perhaps in an array that is not contiguous."""
    if draw(st.booleans()):
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    return np.asfortranarray(array) if draw(st.booleans()) else array


# -- convolution -------------------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw, dtypes=floats):
    """(x, w, how, g), g of the output's shape, in 1 to 3 dimensions; also an empty batch and empty channels of x."""
    n = draw(st.integers(1, 3))
    many = lambda low, high: tuple(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))
    kernel, stride, dilation, padding, extra = many(1, 3), many(1, 3), many(1, 2), many(0, 3), many(0, 4)
    groups, part, each = (draw(st.integers(1, high)) for high in (3, 2, 2))
    sizes = (max(1, d * (k - 1) + 1 - 2 * p + e) for k, d, p, e in zip(kernel, dilation, padding, extra))
    x_shape, w_shape = (draw(st.integers(0, 5)), groups * part, *sizes), (groups * each, part, *kernel)
    how = Conv(stride, padding, dilation, groups)
    random, dtype = np.random.default_rng(draw(seeds)), draw(dtypes)
    shapes = (x_shape, w_shape, check(x_shape, w_shape, how))
    x, w, g = (strided(random.standard_normal(shape).astype(dtype), draw) for shape in shapes)
    return x, w, how, g


def torch_conv(x, w, how, bias=None):
    stride, padding, dilation, groups = how
    return CONV[w.ndim - 2](x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


@given(convolutions())
def test_conv_and_its_transposes_equal_torch_and_autograd(sample):
    x, w, how, g = sample
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    out = torch_conv(*inputs, how)
    dx, dw = torch.autograd.grad(out, inputs, torch.tensor(g))
    close(convolution.conv(x, w, how, np), out)
    close(convolution.conv_input(g, w, how, x.shape, np), dx)
    close(convolution.conv_weight(g, x, how, w.shape, np), dw)


@given(convolutions(st.just(np.float64)))
def test_conv_input_and_conv_weight_are_the_transposes_of_conv(sample):
    """<conv(x, w), g> = <x, conv_input(g, w)> = <w, conv_weight(g, x)>, and nothing writes to its arguments."""
    x, w, how, g = sample
    before = [a.copy() for a in (x, w, g)]
    out = convolution.conv(x, w, how, np)
    expected, tolerance = inner(out, g), 1e-12 * (1 + inner(abs(out), abs(g)))
    assert inner(x, convolution.conv_input(g, w, how, x.shape, np)) == pytest.approx(expected, rel=0, abs=tolerance)
    assert inner(w, convolution.conv_weight(g, x, how, w.shape, np)) == pytest.approx(expected, rel=0, abs=tolerance)
    assert all(map(np.array_equal, (x, w, g), before))


@given(convolutions(), st.integers(1, 3))
def test_computing_a_few_samples_at_a_time_changes_nothing(sample, at_once):
    x, w, how, g = sample
    whole = results(x, w, how, g, np)
    column_bytes = how.groups * math.prod(w.shape[1:]) * math.prod(g.shape[2:]) * x.itemsize
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "CACHE_BYTES", at_once * column_bytes)
        for ours, expected in zip(results(x, w, how, g, np), whole):
            close(ours, expected)


def results(x, w, how, g, xp):
    return (
        convolution.conv(x, w, how, xp),
        convolution.conv_input(g, w, how, x.shape, xp),
        convolution.conv_weight(g, x, how, w.shape, xp),
    )


@given(convolutions(st.just(np.float16)))
def test_float16_is_computed_in_float32(sample):
    x, w, how, g = sample
    single = results(*(a if a is how else a.astype(np.float32) for a in sample), np)
    for half, expected in zip(results(x, w, how, g, np), single):
        assert half.dtype == np.float16
        assert np.array_equal(half, expected.astype(np.float16))


@given(convolutions())
def test_convolution_runs_on_cupy(sample):
    x, w, how, g = sample
    with strict_cupy.install() as cp:
        on_device = results(*(a if a is how else cp.asarray(a) for a in sample), cp)
    for ours, expected in zip(on_device, results(x, w, how, g, np)):
        close(ours.get(), expected)


ONE = Conv((1, 1), (0, 0), (1, 1), 1)
BAD_CONVOLUTIONS = {
    "channels": ((2, 3, 8, 8), (4, 2, 3, 3), ONE),
    "channels of groups": ((2, 5, 8, 8), (4, 2, 3, 3), ONE._replace(groups=2)),
    "outputs not divisible": ((2, 4, 8, 8), (3, 2, 3, 3), ONE._replace(groups=2)),
    "fewer outputs than groups": ((2, 4, 8, 8), (1, 2, 3, 3), ONE._replace(groups=2)),
    "no outputs": ((2, 3, 8, 8), (0, 3, 3, 3), ONE),
    "kernel too large": ((2, 3, 8, 8), (4, 3, 9, 3), ONE),
    "span too large": ((2, 3, 8, 8), (4, 3, 9, 3), Conv((1, 1), (0, 1), (2, 3), 1)),
    "no stride": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(stride=(0, 1))),
    "stride": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(stride=(-1, 1))),
    "padding": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(padding=(0, -1))),
    "no dilation": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(dilation=(1, 0))),
    "dilation": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(dilation=(1, -1))),
    "no groups": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(groups=0)),
    "three strides": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(stride=(1, 2, 3))),
    "three paddings": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(padding=(1, 2, 3))),
    "three dilations": ((2, 3, 8, 8), (4, 3, 3, 3), ONE._replace(dilation=(1, 2, 3))),
    "x of 2 dims": ((3, 8), (4, 3, 3, 3), ONE),
    "x of 5 dims": ((2, 3, 8, 8, 8), (4, 3, 3, 3), ONE),
    "x empty": ((2, 3, 0, 8), (4, 3, 3, 3), Conv((1, 1), (2, 2), (1, 1), 1)),
    "conv1d": ((2, 3, 8), (4, 3, 9), Conv((1,), (0,), (1,), 1)),
    "conv1d of 1 dim": ((8,), (4, 3, 3), Conv((1,), (0,), (1,), 1)),
    "conv3d": ((2, 3, 8, 8, 8), (4, 3, 9, 3, 3), Conv((1,) * 3, (0,) * 3, (1,) * 3, 1)),
    "bias": ((2, 3, 8, 8), (4, 3, 3, 3), ONE, (3,)),
    "bias of 2 dims": ((2, 3, 8, 8), (4, 3, 9, 9), ONE, (4, 1)),
}


@pytest.mark.parametrize("case", BAD_CONVOLUTIONS)
def test_conv_refuses_with_torchs_words(case):
    x_shape, w_shape, how, *bias = BAD_CONVOLUTIONS[case]
    with pytest.raises(RuntimeError) as theirs:
        torch_conv(torch.ones(x_shape), torch.ones(w_shape), how, *map(torch.ones, bias))
    with pytest.raises(RuntimeError) as ours:
        check(x_shape, w_shape, how, *bias)
    assert first_line(ours) == first_line(theirs)


def test_conv_refuses_what_torch_leaves_to_its_backends():
    """Without a kernel or without spatial dimensions torch's text depends on the backend, or speaks of its C++."""
    with pytest.raises(RuntimeError, match="kernel size should be greater than zero"):
        check((2, 3, 8, 8), (4, 3, 0, 3), ONE)
    with pytest.raises(RuntimeError, match="weight should have at least three dimensions"):
        check((2, 3), (4, 3), Conv((), (), (), 1))


def first_line(error):
    return str(error.value).splitlines()[0]


# -- pooling -----------------------------------------------------------------------------------------------------------


@st.composite
def pools(draw, dilations=(1, 2, 3)):
    """(x_shape, how) in 1 to 3 dimensions, with and without a batch, also an empty one."""
    n = draw(st.integers(1, 3))
    many = lambda strategy: tuple(draw(strategy) for _ in range(n))
    kernel, stride, dilation = many(st.integers(1, 4)), many(st.integers(1, 4)), many(st.sampled_from(dilations))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    # At least `dilation`, so that every window meets the input; torch points outside it for one that does not.
    sizes = (max(d, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 5)) for k, d, p in zip(kernel, dilation, padding))
    leading = draw(st.sampled_from([(2,), (2, 3), (0, 2), (1, 1)]))
    return (*leading, *sizes), Pool(kernel, stride, padding, dilation, draw(st.booleans()))


def filled(shape, dtype, seed):
    """Small integers, so that many are equal; among floats also infinities, nans and fractions."""
    random = np.random.default_rng(seed)
    x = random.integers(-2, 3, shape).astype(dtype)
    if x.dtype.kind == "f":
        special = random.random(shape)
        x[special < 0.3] = -np.inf
        x[special < 0.05] = np.nan
        x[special > 0.8] += random.standard_normal(shape)[special > 0.8].astype(dtype)
    return x


def torch_max_pool(x, how):
    kernel, stride, padding, dilation, ceil_mode = how
    return MAX_POOL[len(kernel)](x, kernel, stride, padding, dilation, ceil_mode, return_indices=True)


@given(pools(), st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.uint8]), seeds, st.data())
def test_max_pool_equals_torch(sample, dtype, seed, data):
    """The same values, and among equal ones, nans and -inf the same positions."""
    shape, how = sample
    x = strided(filled(shape, dtype, seed), data.draw)
    values, indices = pooling.max_pool(x, how, np)
    expected, places = torch_max_pool(torch.tensor(x), how)
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, expected.numpy())
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, places.numpy())


@given(pools(), floats, seeds)
def test_max_pool_backward_equals_autograd(sample, dtype, seed):
    shape, how = sample
    x = torch.tensor(filled(shape, dtype, seed), requires_grad=True)
    values, indices = torch_max_pool(x, how)
    g = np.random.default_rng(seed).standard_normal(values.shape).astype(dtype)
    (expected,) = torch.autograd.grad(values, x, torch.tensor(g))
    close(pooling.max_pool_backward(g, indices.numpy(), len(how.kernel), shape, np), expected)
    gathered = pooling.max_pool_gather(x.detach().numpy(), indices.numpy(), len(how.kernel), np)
    np.testing.assert_array_equal(gathered, values.detach().numpy())


@given(pools(), seeds)
def test_max_pool_gather_is_the_transpose_of_max_pool_backward(sample, seed):
    shape, how = sample
    random = np.random.default_rng(seed)
    indices = pooling.max_pool(random.standard_normal(shape), how, np)[1]
    x, g = random.standard_normal(shape), random.standard_normal(indices.shape)
    left = inner(x, pooling.max_pool_backward(g, indices, len(how.kernel), shape, np))
    right = inner(pooling.max_pool_gather(x, indices, len(how.kernel), np), g)
    assert left == pytest.approx(right, rel=0, abs=1e-12 * (1 + abs(g).sum()))


@given(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9), st.sampled_from([np.float32, np.float64]), seeds)
def test_compiled_pooling_is_the_plain_one(planes, high, wide, dtype, seed):
    """Windows of 2x2 side by side, with a loop of their own, and the maxima's gradients."""
    x, how = filled((2, planes, high, wide), dtype, seed), Pool((2, 2), (2, 2), (0, 0), (1, 1), False)
    results = []
    for least in (0, 1 << 60):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pooling, "COMPILED", least)
            values, indices = pooling.max_pool(x, how, np)
            g = np.random.default_rng(seed).standard_normal(values.shape).astype(dtype)
            results.append((values, indices, pooling.max_pool_backward(g, indices, 2, x.shape, np)))
    for compiled, plain in zip(*results, strict=True):
        assert compiled.dtype == plain.dtype
        np.testing.assert_array_equal(compiled, plain)


def test_max_pool_with_more_taps_than_a_byte_counts():
    x = np.random.default_rng(0).standard_normal((2, 3, 40, 40))
    how = Pool((17, 16), (5, 4), (8, 8), (1, 1), False)
    values, indices = pooling.max_pool(x, how, np)
    expected, places = torch_max_pool(torch.tensor(x), how)
    np.testing.assert_array_equal(values, expected.numpy())
    np.testing.assert_array_equal(indices, places.numpy())


def test_a_window_that_misses_the_input_is_minus_inf_and_stays_in_its_plane():
    """Rows -1 and 3 of an input of 3 rows: torch's index is then a row too far, and its backward writes there."""
    how = Pool((2, 1), (1, 1), (1, 0), (4, 1), False)
    values, indices = pooling.max_pool(np.ones((1, 1, 3, 2)), how, np)
    assert values.tolist() == [[[[-math.inf, -math.inf]]]]
    assert indices.max() < 6


@st.composite
def averages(draw):
    """(x, how, count_include_pad, divisor_override)."""
    shape, how = draw(pools(dilations=(1,)))
    n = len(how.kernel)
    assume(n < 3 or all(map(operator.ge, shape[-n:], how.kernel)))  # avg_pool3d alone does not count padding as size
    divisor = draw(st.sampled_from([None, None, 3, -2])) if n > 1 else None  # torch's avg_pool1d has none
    x = np.random.default_rng(draw(seeds)).standard_normal(shape).astype(draw(floats))
    return strided(x, draw), how, draw(st.booleans()), divisor


def torch_avg_pool(x, how, count_include_pad, divisor):
    kernel, stride, padding, _, ceil_mode = how
    options = {} if len(kernel) == 1 else {"divisor_override": divisor}
    return AVG_POOL[len(kernel)](x, kernel, stride, padding, ceil_mode, count_include_pad, **options)


@given(averages(), seeds)
def test_avg_pool_and_its_transpose_equal_torch_and_autograd(sample, seed):
    array, how, count_include_pad, divisor = sample
    x = torch.tensor(array, requires_grad=True)
    out = torch_avg_pool(x, how, count_include_pad, divisor)
    g = np.random.default_rng(seed).standard_normal(out.shape).astype(array.dtype)
    close(pooling.avg_pool(array, how, count_include_pad, divisor, np), out)
    (expected,) = torch.autograd.grad(out, x, torch.tensor(g))
    close(pooling.avg_pool_backward(g, how, array.shape, count_include_pad, divisor, np), expected)


def test_avg_pool_of_float16_is_summed_in_float32():
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float16)
    how = Pool((8, 8), (4, 4), (0, 0), (1, 1), False)
    close(pooling.avg_pool(x, how, True, None, np), torch_avg_pool(torch.tensor(x), how, True, None))


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_every_small_window_along_one_axis_equals_torch(ceil_mode):
    random = np.random.default_rng(0)
    for size, kernel, stride in itertools.product(range(1, 7), range(1, 5), range(1, 5)):
        for padding in range(kernel // 2 + 1):
            x, how = random.standard_normal((1, size)), Pool((kernel,), (stride,), (padding,), (1,), ceil_mode)
            try:
                expected, places = torch_max_pool(torch.tensor(x), how)
            except RuntimeError as error:
                with pytest.raises(RuntimeError, match=re.escape(str(error).splitlines()[0])):
                    pooling.check(x.shape, how)
                continue
            values, indices = pooling.max_pool(x, how, np)
            np.testing.assert_array_equal(values, expected.numpy())
            np.testing.assert_array_equal(indices, places.numpy())
            for count_include_pad in (False, True):
                average = torch_avg_pool(torch.tensor(x), how, count_include_pad, None)
                close(pooling.avg_pool(x, how, count_include_pad, None, np), average)


@given(pools(dilations=(1,)), floats, seeds, st.booleans())
def test_pooling_runs_on_cupy(sample, dtype, seed, count_include_pad):
    shape, how = sample
    x = filled(shape, dtype, seed)

    def results(x, xp):
        values, indices = pooling.max_pool(x, how, xp)
        average = pooling.avg_pool(x, how, count_include_pad, None, xp)
        return (
            values,
            indices,
            pooling.max_pool_backward(values, indices, len(how.kernel), shape, xp),
            pooling.max_pool_gather(x, indices, len(how.kernel), xp),
            average,
            pooling.avg_pool_backward(average, how, shape, count_include_pad, None, xp),
        )

    with strict_cupy.install() as cp:
        on_device = results(cp.asarray(x), cp)
    for ours, expected in zip(on_device, results(x, np)):
        assert ours.dtype == expected.dtype
        # Kernels add up a window in another order, or gather what is scattered here.
        np.testing.assert_allclose(ours.get(), expected, rtol=32 * np.finfo(dtype).eps, atol=32 * np.finfo(dtype).eps)


TWO = Pool((2, 2), (2, 2), (0, 0), (1, 1), False)
THREE = Pool((2,) * 3, (2,) * 3, (0,) * 3, (1,) * 3, False)
BAD_POOLS = {
    "no stride": ((2, 3, 8, 8), TWO._replace(stride=(0, 0))),
    "stride": ((2, 3, 8, 8), TWO._replace(stride=(1, -1))),
    "kernel": ((2, 3, 8, 8), TWO._replace(kernel=(-1, 2))),
    "padding": ((2, 3, 8, 8), TWO._replace(padding=(0, -1))),
    "padding above half": ((2, 3, 8, 8), TWO._replace(padding=(1, 2))),
    "padding above half of the kernel, not of its span": ((2, 3, 8, 8), TWO._replace(padding=(2, 0), dilation=(4, 1))),
    "dilation": ((2, 3, 8, 8), TWO._replace(dilation=(1, 0))),
    "kernel too large": ((2, 3, 8, 8), TWO._replace(kernel=(9, 2))),
    "kernel too large, no batch": ((3, 8, 8), TWO._replace(kernel=(9, 2))),
    "cut window too small": ((1, 1, 1, 1), Pool((3, 3), (2, 2), (0, 0), (1, 1), True)),
    "2 dims": ((8, 8), TWO),
    "5 dims": ((2, 3, 8, 8, 8), TWO),
    "no channels": ((2, 0, 8, 8), TWO),
    "no rows": ((2, 3, 0, 8), TWO),
    "no channels, no batch": ((0, 8, 8), TWO),
    "pool1d": ((2, 3, 8), Pool((9,), (1,), (0,), (1,), False)),
    "pool3d kernel": ((2, 3, 8, 8, 8), THREE._replace(kernel=(1, -1, 1))),
    "pool3d stride": ((2, 3, 8, 8, 8), THREE._replace(stride=(1, -1, 1))),
    "pool3d kernel too large": ((2, 3, 8, 8, 8), THREE._replace(kernel=(1, 9, 1))),
    "pool3d of 2 dims": ((8, 8), THREE),
}


@pytest.mark.parametrize("case", BAD_POOLS)
def test_pooling_refuses_with_torchs_words(case):
    shape, how = BAD_POOLS[case]
    with pytest.raises(RuntimeError) as theirs:
        torch_max_pool(torch.ones(shape), how)
    with pytest.raises(RuntimeError) as ours:
        pooling.max_pool(np.ones(shape), how, np)
    assert first_line(ours) == first_line(theirs)


def test_avg_pool_refuses_a_divisor_of_0():
    with pytest.raises(RuntimeError) as theirs:
        torch_avg_pool(torch.ones(1, 1, 4, 4), TWO, True, 0)
    with pytest.raises(RuntimeError) as ours:
        pooling.avg_pool(np.ones((1, 1, 4, 4)), TWO, True, 0, np)
    assert first_line(ours) == first_line(theirs)
