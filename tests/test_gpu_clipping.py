"""Norms, clipping and zeros of many gradients on the GPU: few launches, and nobody waits."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
from minigrad.kernels.gpu import optimizers as kernels
from minigrad.kernels.gpu.launch import without_kernels
from reference import strict_cupy
from tests.gpu import needs_emulation
from tests.test_gpu_optimizers import MANY, Run, launches_counted

pytestmark = needs_emulation


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("most", [0.5, 1e9])
def test_clipping_by_the_norm(most: float, dtype: str) -> None:
    """Three launches, or with 85 tensors five: squares, their sum, and the scaling."""
    with strict_cupy.install():
        run = Run("SGD", "cuda", MANY, [dtype])
        gradients = [run.drawn(tuple(p.shape), dtype) for p in run.params]
        for p, g in zip(run.params, gradients, strict=True):
            p.grad = g.clone()
        with launches_counted() as launched, strict_cupy.forbid_synchronize():
            total = minigrad.nn.utils.clip_grad_norm_(run.params, most)
        assert launched == ["squares"] * 2 + ["root_of_sum"] + ["shorten"] * 2
        assert {p.grad._version for p in run.params} == {gradients[0].clone()._version + 1}
        with without_kernels():
            clipped, expected = [p.grad for p in run.params], minigrad.nn.utils.get_total_norm(gradients)
            for p, g in zip(run.params, gradients, strict=True):
                p.grad = g
            minigrad.nn.utils.clip_grads_with_norm_(run.params, most, total)  # by that norm: bit for bit
        assert total.item() == pytest.approx(expected.item(), rel=2e-6 if dtype == "float32" else 1e-14)
        assert [g.tolist() for g in clipped] == [p.grad.tolist() for p in run.params]


def test_a_norm_that_is_no_number() -> None:
    with strict_cupy.install():
        p = minigrad.ones(3, device="cuda", requires_grad=True)
        p.grad = minigrad.tensor([1.0, float("inf"), 2.0], device="cuda")
        with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 for gradients .* is non-finite"):
            minigrad.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
        minigrad.nn.utils.clip_grad_norm_([p], 1.0)
        np.testing.assert_array_equal(p.grad.cpu().numpy(), [0, np.nan, 0])
        p.grad.fill_(float("nan"))
        minigrad.nn.utils.clip_grad_norm_([p], 1.0)
        assert p.grad.isnan().all()


def test_clipping_by_value_and_filling_with_zeros() -> None:
    values = [[-3.0, -0.25, float("nan"), 0.5, float("inf")], [2.0] * (kernels.CHUNK + 1)]
    with strict_cupy.install():
        params = [minigrad.nn.Parameter(minigrad.zeros(len(v), device="cuda")) for v in values]
        for p, v in zip(params, values, strict=True):
            p.grad = minigrad.tensor(v, device="cuda")
        with launches_counted() as launched, strict_cupy.forbid_synchronize():
            minigrad.nn.utils.clip_grad_value_(params, 0.5)
        assert launched == ["confine"]
        np.testing.assert_array_equal(params[0].grad.cpu().numpy(), [-0.5, -0.25, np.nan, 0.5, 0.5])
        assert set(params[1].grad.tolist()) == {0.5}
        module = minigrad.nn.ParameterList(params)
        for zero_grad in (minigrad.optim.SGD(params).zero_grad, module.zero_grad):
            for p in params:
                p.grad = minigrad.ones_like(p)
            with launches_counted() as launched, strict_cupy.forbid_synchronize():
                zero_grad(set_to_none=False)
            assert launched == ["clear"]
            assert not any(p.grad.any() for p in params)


def test_gradients_that_share_memory_are_clipped_one_after_the_other() -> None:
    with strict_cupy.install():
        a, b = (minigrad.zeros(4, device="cuda", requires_grad=True) for _ in range(2))
        a.grad = b.grad = minigrad.full((4,), 3.0, device="cuda")
        with launches_counted() as launched:
            minigrad.nn.utils.clip_grad_norm_([a, b], 2.0)
        assert "shorten" not in launched
        total = (8 * 9.0) ** 0.5
        np.testing.assert_allclose(a.grad.tolist(), 3 * (2 / total) ** 2, rtol=1e-5)
