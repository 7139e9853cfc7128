"""mse_loss and binary_cross_entropy_with_logits with kernels and without."""

import pytest

import minigrad
import minigrad.nn.functional as F
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

LOSSES = [F.mse_loss, F.binary_cross_entropy_with_logits]


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (5, 7), (3, 700)])
@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_gradients(loss, shape, reduction, dtype):
    def program(dtype):
        x, target = (numbers(shape, dtype) * 3).requires_grad_(), numbers(shape, dtype, 1).requires_grad_()
        results = []
        for prepared in (lambda t: t, lambda t: (t * 1).T if t.ndim else t):  # the second not as it lies in memory
            out = loss(prepared(x), prepared(target), reduction=reduction)
            results += [out, *minigrad.autograd.grad(out, [x, target], numbers(tuple(out.shape), dtype, 2))]
        return results

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_inputs_and_second_order(loss, dtype):
    def program(dtype):
        x, target = numbers((6,), dtype), numbers((6,), dtype, 1) ** 2
        results = []
        for extreme in (900.0, -900.0, float("inf"), float("nan")):
            x[2] = extreme
            each = x.detach().requires_grad_()
            out = loss(each, target)
            results += [out, *minigrad.autograd.grad(out, each)]
        x = numbers((6,), dtype).requires_grad_()
        (first,) = minigrad.autograd.grad(loss(x, target) * x.sum(), x, create_graph=True)
        return [*results, first, *minigrad.autograd.grad(first, x, target)]

    assert_kernels_change_nothing(program, dtype)
