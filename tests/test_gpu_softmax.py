"""softmax and log_softmax with kernels and without."""

import pytest

import minigrad
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers


@needs_emulation
@both_dtypes
@pytest.mark.parametrize(("shape", "dim"), [((5, 7), 1), ((5, 7), 0), ((2, 600, 3), 1), ((1, 1), 0), ((3, 1500), 1)])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_values_and_gradients(op, shape, dim, dtype):
    def program(dtype):
        x, g = numbers(shape, dtype).requires_grad_(), numbers(shape, dtype, seed=1)
        out = getattr(minigrad, op)(x, dim)
        turned = getattr(minigrad, op)(x.transpose(0, 1), dim)  # not as it lies in memory
        return [out, turned, *minigrad.autograd.grad(out, x, g), *minigrad.autograd.grad(turned, x, g.transpose(0, 1))]

    assert_kernels_change_nothing(program, dtype)
