"""Activation functions with kernels and without."""

import re
from pathlib import Path

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad.kernels import gpu
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

FUNCTIONS = {
    "sigmoid": minigrad.sigmoid,
    "tanh": minigrad.tanh,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 1),
    "relu6": F.relu6,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "elu": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, -2),
    "softplus": lambda x: F.softplus(x, 2, 3),
    "logsigmoid": F.logsigmoid,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
}
KINKS = [0.0, -0.0, 0.5, -0.5, 1, 1.5, -1.5, 3, -3, 6, -6, 10, -10, 30, -30, 88, -88]


def program_of(function, x, g):
    """The function and its gradient, of x as it is and turned around; its second derivative."""
    x = x.requires_grad_()
    out, turned = function(x), function(x.transpose(0, 1))
    (back,) = minigrad.autograd.grad(out, x, weight := g.clone().requires_grad_(), create_graph=True)
    return [
        out, turned, back, *minigrad.autograd.grad(back, weight, g),
        *minigrad.autograd.grad(function(x), x, g), *minigrad.autograd.grad(turned, x, g.transpose(0, 1)),
    ]  # fmt: skip


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name, dtype):
    def program(dtype):
        found = program_of(FUNCTIONS[name], 3 * numbers((3, 200), dtype), numbers((3, 200), dtype, seed=1))
        kinks = minigrad.tensor([KINKS], dtype=getattr(minigrad, dtype)).cuda()
        return found + program_of(FUNCTIONS[name], kinks, 1 + 0 * kinks) + [FUNCTIONS[name](kinks[:, :0])]

    with np.errstate(over="ignore", under="ignore"):
        assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_and_infinities(name, dtype):
    def program(dtype):
        x = minigrad.tensor([float("inf"), -float("inf"), float("nan"), 1], dtype=getattr(minigrad, dtype)).cuda()
        back = []
        for weight in (1.0, float("inf")):
            t = x.clone().requires_grad_()
            g = minigrad.full((4,), weight, dtype=x.dtype, device="cuda")
            back += minigrad.autograd.grad(FUNCTIONS[name](t), t, g)
        return [FUNCTIONS[name](x), *back]

    with np.errstate(all="ignore"):
        assert_kernels_change_nothing(program, dtype)


@needs_emulation
def test_every_kernel_is_tried():
    text = (Path(gpu.__file__).parent / "activation.cu").read_text("utf-8")
    assert {name.removesuffix("_back") for name in re.findall(r"__global__ void (\w+)", text)} <= {*FUNCTIONS}


@needs_emulation
def test_in_place_and_halves():
    def program(dtype):
        x = numbers((50,), dtype)
        y = x.clone()
        minigrad.sigmoid_(y)
        F.silu(y, inplace=True)
        return [y, F.gelu(x.half()).float(), minigrad.sigmoid(minigrad.arange(3, device="cuda"))]

    assert_kernels_change_nothing(program, "float32")
