"""Normalization with kernels and without: rows for a warp and for a block, channels that several blocks share."""

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad.kernels.gpu import norms
from reference import strict_cupy
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

pytestmark = needs_emulation


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """So that several blocks share a channel that is small enough to be emulated."""
    monkeypatch.setattr(norms, "LEAST", 512)
    norms._layout.cache_clear()
    yield
    norms._layout.cache_clear()


def parameters(shape, dtype, given):
    """`given` of a weight and a bias."""
    return [numbers(shape, dtype, seed).requires_grad_() if seed - 1 < given else None for seed in (1, 2)]


def gradients(out, x, *parameters):
    wanted = [p for p in (x, *parameters) if p is not None and p.requires_grad]
    incoming = numbers(tuple(out.shape), str(out.dtype)[6:], seed=3)
    return minigrad.autograd.grad(out, wanted, incoming, retain_graph=True)


def turned(x):
    """The same numbers, not as they lie in memory."""
    return x.transpose(0, -1).contiguous().transpose(0, -1).detach().requires_grad_()


@both_dtypes
@pytest.mark.parametrize("given", [0, 2])
@pytest.mark.parametrize("shape", [(7, 5), (3, 3, 40), (75, 3, 11), (3, 1030), (1, 1)])
def test_layer_norm(shape, given, dtype):
    sizes = shape[-2:] if shape[-1] == 11 else shape[-1:]

    def program(dtype):
        first, (weight, bias) = (numbers(shape, dtype) + 3).requires_grad_(), parameters(sizes, dtype, given)
        results = []
        for x in (first, turned(first)):
            out = F.layer_norm(x, sizes, weight, bias)
            scaled = F.rms_norm(x, sizes, weight, eps=0.1)
            results += [out, *gradients(out, x, weight, bias), scaled, *gradients(scaled, x, weight)]
        return results

    assert_kernels_change_nothing(program, dtype, 1e-4 if dtype == "float32" else 1e-11)


@both_dtypes
@pytest.mark.parametrize("given", [0, 2])
@pytest.mark.parametrize("shape", [(9, 5), (3, 2, 7), (5, 3, 17, 19), (2, 9, 2), (300, 1, 3, 2)])
def test_batch_norm(shape, given, dtype):
    def program(dtype):
        first, (weight, bias) = (numbers(shape, dtype) + 3).requires_grad_(), parameters(shape[1:2], dtype, given)
        results = []
        for x in (first, turned(first)):
            mean, var = numbers(shape[1:2], dtype, 4), numbers(shape[1:2], dtype, 5) ** 2 + 1
            out = F.batch_norm(x, mean, var, weight, bias, training=True, momentum=0.3)
            learnt = F.batch_norm(x, mean, var, weight, bias)
            results += [out, *gradients(out, x, weight, bias), learnt, *gradients(learnt, x, weight, bias), mean, var]
            if given:
                results += [*gradients(out, weight, bias), *gradients(learnt, weight, bias)]
            results += [*gradients(out, x), *gradients(learnt, x)]
        return results

    assert_kernels_change_nothing(program, dtype, 1e-4 if dtype == "float32" else 1e-11)


@both_dtypes
@pytest.mark.parametrize("given", [0, 2])
@pytest.mark.parametrize(
    ("shape", "groups"),
    [((3, 4, 5), 2), ((2, 6, 7, 30), 3), ((2, 6, 7, 30), 6), ((9, 4), 2), ((2, 3, 600), 1), ((2, 1, 3), 1)],
)
def test_group_and_instance_norm(shape, groups, given, dtype):
    def program(dtype):
        first, (weight, bias) = (numbers(shape, dtype) + 3).requires_grad_(), parameters(shape[1:2], dtype, given)
        results = []
        for x in (first, turned(first)):
            out = F.group_norm(x, groups, weight, bias)
            results += [out, *gradients(out, x, weight, bias)]
            if given:
                results += gradients(out, weight, bias)
            if len(shape) > 2:
                each = F.instance_norm(x, weight=weight, bias=bias)
                results += [each, *gradients(each, x, weight, bias)]
        return results

    assert_kernels_change_nothing(program, dtype, 1e-4 if dtype == "float32" else 1e-11)


@both_dtypes
def test_gradients_of_gradients(dtype):
    def program(dtype):
        x, weight = numbers((4, 3, 5), dtype).requires_grad_(), numbers((5,), dtype, 1).requires_grad_()
        results = []
        outs = F.rms_norm(x, (5,), weight), F.batch_norm(x, None, None, training=True), F.layer_norm(x, (5,), weight)
        for out in outs:
            (first,) = minigrad.autograd.grad(out, x, numbers((4, 3, 5), dtype, 2), create_graph=True)
            results += [first, *minigrad.autograd.grad(first, x, numbers((4, 3, 5), dtype, 3))]
        return results

    assert_kernels_change_nothing(program, dtype, 1e-3 if dtype == "float32" else 1e-10)


def test_nan_stays_in_its_row_or_channel():
    def program(dtype):
        x = numbers((4, 3, 5), dtype)
        x[0, 0, 0], x[1, 1, 1] = float("nan"), float("inf")
        running = minigrad.zeros(3, device="cuda"), minigrad.ones(3, device="cuda")
        by_batch, learnt = F.batch_norm(x, None, None, training=True), F.batch_norm(x, *running)
        return [F.layer_norm(x, (5,)), by_batch, learnt, F.group_norm(x, 3)]

    assert_kernels_change_nothing(program, "float32")


def test_a_mean_far_from_zero_is_harmless():
    """The variance of 1e4 + normal numbers, in float32, is found, though their squares have no digits for it."""
    values = (np.random.default_rng(0).standard_normal((2, 1, 3000)) + 1e4).astype("float32")
    with strict_cupy.install():
        var = minigrad.zeros(1).cuda()
        F.batch_norm(minigrad.tensor(values).cuda(), minigrad.zeros(1).cuda(), var, training=True, momentum=1.0)
        np.testing.assert_allclose(var.cpu().numpy(), values.astype("float64").var(ddof=1), rtol=1e-4)


def test_a_training_step_does_not_wait_and_keeps_little():
    with strict_cupy.install(), strict_cupy.forbid_synchronize():
        for net in (minigrad.nn.BatchNorm2d(6), minigrad.nn.GroupNorm(2, 6), minigrad.nn.LayerNorm(8)):
            out = net.cuda()(minigrad.ones(4, 6, 8, 8, device="cuda", requires_grad=True))
            kept = [a for a in out.grad_fn.saved if a is not None]
            assert sum(a.size for a in kept) < 1.5 * out.numel()
            out.sum().backward()
