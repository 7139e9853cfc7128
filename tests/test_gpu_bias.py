"""Biases and the sums that are their gradients, with kernels and without."""

import pytest

import minigrad
import minigrad.nn.functional as F
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("rows", [1, 3, 200])
@pytest.mark.parametrize("features", [1, 5, 130])
def test_linear(rows, features, dtype):
    def program(dtype):
        x = numbers((rows, 4), dtype).requires_grad_()
        w, b = numbers((features, 4), dtype, seed=1).requires_grad_(), numbers((features,), dtype, seed=2)
        out = F.linear(x, w, b.requires_grad_())
        deep = F.linear(x.reshape(1, rows, 4), w, b.reshape(1, features))
        apart = F.linear(x, w, numbers((features, 3), dtype)[:, 0])  # not as it lies in memory
        return [out, deep, apart, *minigrad.autograd.grad(out, [x, w, b], numbers((rows, features), dtype, seed=3))]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("sizes", [(3,), (17, 2), (33, 34), (2, 3, 4)])
def test_convolutions(sizes, dtype):
    n = len(sizes)
    conv, transposed = getattr(F, f"conv{n}d"), getattr(F, f"conv_transpose{n}d")

    def program(dtype):
        x = numbers((3, 2, *sizes), dtype).requires_grad_()
        w = numbers((5, 2, *(1,) * n), dtype, seed=1)
        b, c = numbers((5,), dtype, seed=2).requires_grad_(), numbers((2,), dtype, seed=3).requires_grad_()
        out = conv(x, w, b)
        back = transposed(out, w, c)
        return [out, back, *minigrad.autograd.grad(back, [x, b, c], numbers(tuple(back.shape), dtype, seed=4))]

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        ((5, 7), 0), ((1, 1), 0), ((700, 33), 0), ((40, 30, 2), (0, 1)), ((5000, 3), 0), ((9, 400, 1), (0, 2)),
        ((2, 3, 2100), (0, 2)), ((70, 2, 5, 7), (0, 2, 3)), ((3, 4, 2, 5, 6), (4, 0, 3)), ((1, 2, 3), (0, 2)),
        ((20_000, 1), 0), ((1, 1, 130_000), (0, 2)),
        ((5, 7), 1), ((4, 5, 6), 1), ((4, 5, 6), (0, 1, 2)), ((0, 5), 0),
    ],
)  # fmt: skip
def test_sums(shape, dim, dtype):
    def program(dtype):
        x = numbers(shape, dtype)
        turned = x.transpose(0, 1)
        return [x.sum(dim), x.mean(dim, keepdim=True), turned.sum(dim), turned.sum(dim, keepdim=True)]

    assert_kernels_change_nothing(program, dtype, 1e-5 if dtype == "float32" else None)


@needs_emulation
def test_sums_of_nan_and_infinities():
    def program(dtype):
        x = numbers((300, 70), dtype)
        x[100, 3], x[7, 4] = float("nan"), -float("inf")
        x[200, 69] = float("inf")
        return [x.sum(0), x.reshape(10, 30, 70).sum((0, 2))]

    assert_kernels_change_nothing(program, "float64")


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 1, 5), (1, 4, 1), (3, 4, 1), (1,), ()])
def test_sums_over_what_was_broadcast(shape, dtype):
    def program(dtype):
        x, b = numbers((3, 4, 5), dtype), numbers(shape, dtype, seed=1).requires_grad_()
        return list(minigrad.autograd.grad(x + b, b, numbers((3, 4, 5), dtype, seed=2)))

    assert_kernels_change_nothing(program, dtype)
