"""cross_entropy and nll_loss with kernels and without: samples for a thread, a warp and a block."""

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad.kernels.gpu import cross_entropy as kernels
from minigrad.kernels.gpu.launch import without_kernels
from reference import strict_cupy
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

pytestmark = needs_emulation

REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
SHAPES = [(7, 5), (300, 3), (9, 40), (3, 1030), (6,), (2, 4, 5), (2, 3, 11, 13)]


def targets(shape, seed=0):
    """Classes of samples of `shape`, the first two of which are of class 1."""
    classes = shape[1 if len(shape) > 1 else 0]
    values = np.random.default_rng(seed).integers(0, classes, shape[:1] + shape[2:] if len(shape) > 1 else ())
    values.reshape(-1)[:2] = 1
    return minigrad.tensor(values).cuda()


@both_dtypes
@REDUCTIONS
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_values_and_gradients(loss, shape, reduction, dtype):
    def program(dtype):
        first, target, results = numbers(shape, dtype) * 5, targets(shape), []
        weight = numbers((shape[1 if len(shape) > 1 else 0],), dtype, 1) ** 2
        for x in (first, first.transpose(0, -1).contiguous().transpose(0, -1)):  # not as it lies in memory
            x = x.detach().requires_grad_()
            for options in ({}, {"weight": weight}, {"ignore_index": 1}, {"weight": weight, "ignore_index": 0}):
                out = getattr(F, loss)(x, target, reduction=reduction, **options)
                g = numbers(tuple(out.shape), dtype, 2)
                results += [out, *minigrad.autograd.grad(out, x, g)]
        return results

    assert_kernels_change_nothing(program, dtype)


@both_dtypes
@REDUCTIONS
def test_several_blocks(reduction, dtype, monkeypatch):
    """Also where each takes several samples."""
    monkeypatch.setattr(kernels, "BLOCKS", 3)

    def program(dtype):
        x = numbers((37, 40), dtype).requires_grad_()
        out = F.cross_entropy(x, targets((37, 40)), ignore_index=1, reduction=reduction)
        return [out, *minigrad.autograd.grad(out, x, numbers(tuple(out.shape), dtype, 2))]

    assert_kernels_change_nothing(program, dtype)


@both_dtypes
@pytest.mark.parametrize("classes", [5, 40, 1030])
def test_extreme_inputs(classes, dtype):
    """Large ones lose no digits, -inf is a class that cannot be, and inf and nan give nan to their sample alone."""

    def program(dtype):
        x = numbers((6, classes), dtype) * 300
        x[1, :3] = -float("inf")
        x[2, 2], x[3, 4], x[4] = float("inf"), float("nan"), -float("inf")
        x.requires_grad_()
        out = F.cross_entropy(x, minigrad.full((6,), 4).cuda(), reduction="none")
        return [out, *minigrad.autograd.grad(out, x, numbers((6,), dtype, 2))]

    assert_kernels_change_nothing(program, dtype)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_of_none_that_counts(loss):
    def program(dtype):
        x, target = numbers((3, 4), dtype).requires_grad_(), minigrad.full((3,), -100).cuda()
        results = []
        for reduction in ("mean", "sum", "none"):
            out = getattr(F, loss)(x, target, reduction=reduction)
            results += [out, *minigrad.autograd.grad(out, x, minigrad.ones_like(out))]
        return results

    assert_kernels_change_nothing(program, "float32")


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("wrong", [-1, 5, 1 << 40])
def test_a_class_that_there_is_not_gives_nan(loss, wrong):
    with strict_cupy.install():
        x, weight = numbers((3, 5), "float32").requires_grad_(), numbers((5,), "float32")
        target = minigrad.tensor([1, wrong, 2]).cuda()
        each = getattr(F, loss)(x, target, weight, reduction="none")
        assert minigrad.isnan(each).tolist() == [False, True, False]
        mean = getattr(F, loss)(x, target, weight)
        assert minigrad.isnan(mean).item()
        minigrad.autograd.grad(mean, x)


@both_dtypes
def test_gradients_of_gradients_and_bytes(dtype):
    def program(dtype):
        x, results = numbers((4, 5), dtype).requires_grad_(), []
        for loss in (F.cross_entropy, F.nll_loss):
            out = loss(x, targets((4, 5)).to(minigrad.uint8), ignore_index=0) * x.sum()
            (first,) = minigrad.autograd.grad(out, x, create_graph=True)
            results += [first, *minigrad.autograd.grad(first, x, numbers((4, 5), dtype, 3))]
        return results

    assert_kernels_change_nothing(program, dtype)


def test_a_step_does_not_wait_and_keeps_little():
    with strict_cupy.install(), strict_cupy.forbid_synchronize():
        x = minigrad.zeros(6, 50, device="cuda", requires_grad=True)
        target = minigrad.ones(6, dtype=minigrad.int64, device="cuda")
        for smoothing in (0.0, 0.1):
            out = F.cross_entropy(x, target, label_smoothing=smoothing)
            if not smoothing:
                kept = out.grad_fn.saved
                assert sum(a.size for a in kept if a is not None) < 1.1 * x.numel()
            out.backward()
        with without_kernels():
            F.cross_entropy(x, target, label_smoothing=0.1).backward()
