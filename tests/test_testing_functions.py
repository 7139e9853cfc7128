"""minigrad.testing: what the strategies draw, and comparisons of functions, which find planted mistakes."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import nn
from minigrad.testing import (
    assert_close,
    assert_same_function,
    broadcastable_shapes,
    broadcastable_tensors,
    shapes,
    tensors,
)
from minigrad.testing.engines import MINIGRAD, torch_engine
from minigrad.testing.samples import LAYOUTS, Argument, Sample
from tests.comparisons import ENGINES, mistake, nan, printed

# -- strategies --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_drawn_tensors_keep_their_bounds(data):
    low = data.draw(st.sampled_from([-3, 0.001, 2, -1e6]))
    high = low + data.draw(st.sampled_from([0.5, 7, 1e-3]))
    unique = data.draw(st.booleans())
    x = data.draw(tensors(low=low, high=high, avoid=[0.0], unique=unique))
    assert x.requires_grad
    assert x.dtype is minigrad.float64
    array = x.detach().numpy()
    assert ((low <= array) & (array <= high)).all()
    assert (np.abs(array) >= (high - low) / 50).all()
    assert not unique or len(set(array.ravel())) == array.size


@given(tensors((30, 20), dtype=minigrad.float32, include=[nan]), tensors(st.just((3,)), dtype=minigrad.int64, low=0))
def test_large_tensors_and_integers(x, labels):
    assert (x.shape, x.dtype) == ((30, 20), minigrad.float32)
    array = x.detach().numpy()
    assert np.isnan(array).any()
    assert (np.abs(array[~np.isnan(array)]) <= 3).all()
    assert not labels.requires_grad
    assert set(labels.tolist()) <= {0, 1, 2, 3}


@given(shapes(min_dims=1, max_dims=2, min_side=2, max_side=3), broadcastable_shapes(3), broadcastable_tensors(2))
def test_drawn_shapes(shape, several, pair):
    assert 1 <= len(shape) <= 2
    assert set(shape) <= {2, 3}
    np.broadcast_shapes(*several)
    np.broadcast_shapes(*[x.shape for x in pair])


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(ValueError, match="at least low=3"):
        tensors(low=3, high=2)
    with pytest.raises(ValueError, match="not near to one of"):
        tensors(low=0, high=1, avoid=np.linspace(0, 1, 60))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0, 2)], ids=str)
def test_arguments_and_their_code_are_the_same_tensors(shape, layout):
    array = np.linspace(-1.3, 2, math.prod(shape), dtype=np.float32).reshape(shape)
    sample = Sample((Argument(array, True), 2), array.dtype, layout, 0)
    for engine, T in zip((MINIGRAD, torch_engine()), ENGINES):
        names = {"T": T}
        exec("\n".join(sample.code()), names)
        made, number = sample.arguments(engine)
        assert number == names["x1"] == 2
        assert_close(made.detach().numpy(), array, rtol=0, atol=0)
        assert_close(names["x0"].detach(), made.detach(), rtol=0, atol=0, check_stride=array.size > 0)
        assert made.requires_grad
        assert names["x0"].requires_grad


# -- functions ---------------------------------------------------------------------------------------------------------


def function(forward, backward):
    """`apply` of a Function that saves its inputs; `forward(*inputs)`, `backward(g, *inputs)`."""

    class Mine(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, *grads):
            return backward(*grads, *ctx.saved_tensors)

    return Mine.apply


def multiply(backward):
    return function(lambda a, b: a * b, backward)


RIGHT_FUNCTIONS = {
    "square": (function(lambda x: x * x, lambda g, x: 2 * g * x), torch.square, [(2, 3)]),
    "any shape": (function(lambda x: x.exp(), lambda g, x: g * x.exp()), torch.exp, [tensors()]),
    "broadcast": (
        multiply(lambda g, a, b: ((g * b).sum_to_size(a.shape), (g * a).sum_to_size(b.shape))),
        torch.mul,
        broadcastable_tensors(2),
    ),
    "kink": (function(lambda x: x.clamp(min=0), lambda g, x: g * ~(x <= 0)), torch.relu, [tensors(include=[0, nan])]),
    "two results": (
        function(lambda x: (x.sin(), x.cos()), lambda g, h, x: g * x.cos() - h * x.sin()),
        lambda x: (x.sin(), x.cos()),
        [(3,)],
    ),
    "numbers and labels": (
        lambda x, i, n: x[i] * n,
        lambda x, i, n: x[i] * n,
        [(3, 2), tensors((4,), dtype=minigrad.int64, low=0, high=2), st.integers(-2, 2)],
    ),
    "NumPy's arrays": (minigrad.sin, torch.sin, st.just([np.array([1.0, 2.0])])),
    "a single tensor": (minigrad.sin, torch.sin, tensors((2,))),
    "errors": (minigrad.matmul, torch.matmul, [(2, 3), st.sampled_from([3, 4]).flatmap(lambda n: tensors((n, 2)))]),
    "random": (nn.functional.dropout, torch.nn.functional.dropout, [(20,)]),
    "no derivative": (minigrad.sign, torch.sign, [(2,)]),
    "frozen": (minigrad.mul, torch.mul, [(2,), tensors((2,), requires_grad=False)]),
    "numbers and None": (lambda x: [x, (1, None, True)], lambda x: [x, (1, None, True)], [(2,)]),
    "third order": (minigrad.exp, torch.exp, [()], 3),
}


@pytest.mark.parametrize("name", RIGHT_FUNCTIONS)
def test_right_functions_pass(name):
    ours, theirs, inputs, *orders = RIGHT_FUNCTIONS[name]
    assert_same_function(ours, theirs, inputs, orders=orders[0] if orders else 2, examples=15)


def cubed_once(x):
    """x ** 3 whose gradient has half of the second derivative only."""
    return function(lambda x: x * x * x, lambda g, x: 3 * g * x * x.detach())(x)


WRONG_FUNCTIONS = {
    "value": (lambda x: x * 1.0001, lambda x: x * 1, [(2,)], "the result"),
    "shape": (lambda x: x.sum(0, keepdim=True), lambda x: x.sum(0), [(2, 3)], "attribute 'shape'"),
    "dtype": (lambda x: x.double(), lambda x: x * 1, [(2,)], "attribute 'dtype'"),
    "how many": (lambda x: (x, x), lambda x: (x,), [(2,)], "length of the sequences"),
    "sign": (function(lambda x: x.cos(), lambda g, x: g * x.sin()), torch.cos, [()], "the gradient of input 0"),
    "missing term": (
        function(lambda x: x * x.exp(), lambda g, x: g * x.exp()),
        lambda x: x * x.exp(),
        [(2,)],
        "the gradient of input 0",
    ),
    "missing un-broadcast": (
        multiply(lambda g, a, b: (g * b, (g * a)[0])),
        torch.mul,
        [(2, 3), (3,)],
        "the gradient of input 1",
    ),
    "swapped": (multiply(lambda g, a, b: (g * a, g * b)), torch.mul, [(2,), (2,)], "the gradient of input"),
    "at a kink": (
        function(lambda x: x.clamp(min=0), lambda g, x: g * (x >= 0)),
        torch.relu,
        [tensors(include=[0.0])],
        "the gradient of input 0",
    ),
    "second order": (cubed_once, lambda x: x**3, [(2,)], "the second-order gradient of input 0"),
    "no second order": (
        function(lambda x: x.exp(), lambda g, x: g * x.exp().detach()),
        torch.exp,
        [(2,)],
        "the second-order gradient of input 0",
    ),
    "of the incoming gradient": (
        function(lambda x: x.exp(), lambda g, x: g.detach() * x.exp()),
        torch.exp,
        [(2,)],
        "the second-order gradient of incoming gradient 0",
    ),
    "only when plain": (
        function(lambda x: x.exp(), lambda g, x: g * x.exp() * (1 if minigrad.is_grad_enabled() else 2)),
        torch.exp,
        [(2,)],
        "the gradient of input 0",
    ),
    "of strides": (
        function(lambda x: x.exp(), lambda g, x: g * x.exp() if x.is_contiguous() else g),
        torch.exp,
        [(2, 3)],
        "the gradient of input 0",
    ),
    "changed input": (
        lambda x: x.mul_(2),
        lambda x: x * 2,
        [tensors((2,), requires_grad=False)],
        "input 0 after the call",
    ),
    "no gradient": (lambda x: x.detach() * 2, lambda x: x * 2, [(2,)], "requires_grad of the result"),
    "error": (
        lambda x: x.reshape(3),
        lambda x: x.reshape(3) if x.numel() else torch.zeros(3),
        [tensors(st.sampled_from([(3,), (0,)]))],
        "minigrad: RuntimeError",
    ),
    "no error": (
        lambda x: x[0] if x.numel() else x.sum(),
        lambda x: x[0],
        [tensors(st.sampled_from([(3,), (0,)]))],
        "torch:    IndexError",
    ),
    "type of the error": (
        lambda x: minigrad.tensor([[1.0], [1.0, 2.0]]) if x.numel() else x * 1,
        lambda x: x.reshape(4) if x.numel() else x * 1,
        [tensors(st.sampled_from([(3,), (0,)]))],
        "minigrad: ValueError",
    ),
    "only errors": (minigrad.matmul, torch.matmul, [(2, 3), (2, 3)], "nothing was compared"),
}


@functools.cache
def reported_function(name):
    return mistake(assert_same_function, *WRONG_FUNCTIONS[name][:3], examples=40)


@pytest.mark.parametrize("name", WRONG_FUNCTIONS)
def test_mistakes_in_functions_are_found(name):
    assert WRONG_FUNCTIONS[name][3] in reported_function(name)


def test_tolerances_and_orders_are_taken():
    near = (lambda x: x * 1.0001, lambda x: x * 1, [(2,)])
    assert_same_function(*near, rtol=1e-2, atol=0, examples=10)
    assert_same_function(cubed_once, lambda x: x**3, [(2,)], orders=1, examples=10)
    assert "third-order gradient of input 0" in mistake(
        assert_same_function,
        function(lambda x: x * x * x, lambda g, x: g * (3 * x * x + (x * x - (x * x).detach()).square())),
        lambda x: x**3,
        [(1,)],
        orders=3,
    )


@pytest.mark.parametrize("name", ["sign", "missing un-broadcast", "second order", "of strides", "how many"])
def test_the_program_in_the_message_shows_the_difference(name):
    lines = printed(reported_function(name), *WRONG_FUNCTIONS[name][:2]).split("\n")
    half = len(lines) // 2
    assert lines[:half] != lines[half : 2 * half]


def test_the_smallest_example_is_simple():
    text = reported_function("sign")
    assert "x0 = T.tensor(1.0, dtype=T.float64).requires_grad_()" in text
    assert "Expected" in text
