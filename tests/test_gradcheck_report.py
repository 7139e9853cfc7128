"""The report of `gradcheck` says what is wrong, and where, for functions of both engines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from reference import strict_cupy
from tests.mistakes import MISTAKES, failure, function, leaf, leaves, ours, ours_second

ENGINES = pytest.mark.parametrize("T", [minigrad, torch], ids=["minigrad", "torch"])


def cause(report):
    """The sentence after `Likely cause:` in a report."""
    (line,) = [line for line in report.split("\n") if line.startswith("Likely cause: ")]
    return line.removeprefix("Likely cause: ")


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_named(name):
    """In both modes, for both engines, with the same words."""
    begin, shapes, forward, backward = MISTAKES[name]
    causes = set()
    for T in (minigrad, torch):
        wrong, inputs = function(T, forward, backward), leaves(T, *shapes)
        slow, fast = (failure(ours, wrong, inputs, fast_mode=mode) for mode in (False, True))
        causes |= {cause(slow), cause(fast)}
        assert "The max per-element difference (slow mode) is: " in fast
    (named,) = causes
    assert named.startswith(begin)


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    mistake=st.sampled_from(["sign", "minus twice", "the 2 of a square", "half of a sigmoid"]),
)
def test_a_mistake_is_named_at_any_shape(shape, mistake):
    begin, _, forward, backward = MISTAKES[mistake]
    named = cause(failure(ours, function(minigrad, forward, backward), leaves(minigrad, shape)))
    one = math.prod(shape) == 1  # a number may be a multiple of another in several ways
    assert named.startswith(begin) or one


def on_gpu(*tensors):
    return tuple(t.detach().cuda().requires_grad_() for t in tensors)


def assert_the_same_on_gpu():
    for fast_mode in (False, True):
        a, b = on_gpu(*leaves(minigrad, (2, 3), (3,)))
        assert ours(lambda a, b: (a * b).tanh(), (a, b), fast_mode=fast_mode)
        assert ours_second(lambda a, b: (a * b).tanh(), (a, b), fast_mode=fast_mode)
        begin, shapes, forward, backward = MISTAKES["one row for the sum"]
        inputs = on_gpu(*leaves(minigrad, *shapes))
        report = failure(ours, function(minigrad, forward, backward), inputs, fast_mode=fast_mode)
        assert cause(report).startswith(begin)
    assert "a kink" in failure(ours, minigrad.relu, on_gpu(leaf(minigrad, [0.0, 1.0])))


def test_gpu_stand_in():
    with strict_cupy.install():
        assert_the_same_on_gpu()


@pytest.mark.gpu
def test_gpu():
    assert_the_same_on_gpu()


# -- functions and differences that are to blame -----------------------------------------------------------------------


@ENGINES
@pytest.mark.parametrize(
    ("op", "values", "words"),
    [
        (lambda T: T.relu, [-1.0, 0.0, 2.0], ["a kink: ", "input 0[1] = 0", "slope is 0 to the left and 1 to the"]),
        (lambda T: T.relu, [-1.0, 2e-7, 2.0], ["a kink: ", "input 0[1] = 2e-07"]),
        (lambda T: lambda x: x.max(0)[0], [3.0, 3.0], ["a kink: "]),
        (lambda T: T.floor, [0.5, 2.0], ["a jump: ", "input 0[1] = 2"]),
        (lambda T: T.sqrt, [0.0, 1.0], ["non-finite", "output 0[0] by input 0[0] is inf"]),
        (lambda T: lambda x: x * T.rand(()), [1.0, 2.0], ["the function is not deterministic"]),
        (lambda T: lambda x: x * x.detach(), [1.0, 2.0], ["constant factor: analytical is 1/2", "detached"]),
    ],
    ids=["relu", "near relu's", "max", "floor", "sqrt", "random", "detached"],
)  # fmt: skip
def test_what_is_wrong_with_the_function_is_named(T, op, values, words):
    report = failure(ours, op(T), leaf(T, values))
    assert all(word in report for word in words), report


def test_a_kink_does_not_hide_a_mistake():
    wrong = function(minigrad, lambda T, x: x.relu(), lambda T, x, g: g * (x > 0) * 2)
    assert not cause(failure(ours, wrong, leaf(minigrad, [-1.0, 0.0, 2.0]))).startswith("a kink")
    beyond = function(minigrad, lambda T, x: x.relu(), lambda T, x, g: g * ((x > 0) + 3.0 * (x == 0)))
    assert not cause(failure(ours, beyond, leaf(minigrad, [-1.0, 0.0, 2.0]))).startswith("a kink")


@ENGINES
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_low_precision_warns_and_is_called_noise(T, dtype):
    x = leaf(T, [0.5, 1.0, 2.0], dtype)
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        report = failure(ours, T.exp, (x,))
    assert "rounding noise: eps=1e-06 is too small" in report
    wrong = function(T, lambda T, x: x.exp(), lambda T, x, g: g * 2 * x.exp())
    with pytest.warns(UserWarning, match="Input #0"):
        report = failure(ours, wrong, (x,))
    assert "constant factor: analytical is 2 " in report


def test_float32_inside_is_called_noise():
    report = failure(ours, lambda x: x.float().exp().double(), leaves(minigrad, (3,)))
    assert "rounding noise" in report


def test_too_small_a_step_is_called_noise():
    report = failure(ours, minigrad.exp, leaves(minigrad, (3,)), eps=1e-14)
    assert "eps=1e-14 is too small for numbers of about 16 digits. With eps=" in report


def test_the_better_step_grows_with_the_input():
    report = failure(ours, lambda x: x**2, leaf(minigrad, [1e9, 2e9]))
    assert "eps=1e-06 is too small for numbers of about 16 digits. With eps=6e+03 " in report


def test_too_large_a_step_is_called_truncation():
    assert "truncation: eps=0.5" in failure(ours, minigrad.exp, leaves(minigrad, (3,)), eps=0.5)


def test_a_function_that_refuses_points_further_away():
    """The report looks at steps larger than eps; those may leave the domain."""

    def fenced(x):
        assert ((x - 1).abs() < 2e-6).all()
        return function(minigrad, lambda T, x: x.exp(), lambda T, x, g: -g * x.exp())(x)

    assert "wrong sign" in failure(ours, fenced, leaf(minigrad, [1.0, 1.0]))


# -- the rest of the report --------------------------------------------------------------------------------------------


def test_the_report_shows_where():
    inputs = leaves(minigrad, (2, 3), (20, 20), (2,))
    wrong = function(
        minigrad,
        lambda T, x, y, z: (x * 3, y.exp(), z * 2),
        lambda T, x, y, z, g, h, k: (g * 3, h * T.cat([y[:7], y[7:8] * 1.5, y[8:]]).exp(), k * 3),
    )
    report = failure(ours, lambda n, *args: wrong(*args), (7, *inputs))
    assert report.startswith("Jacobian mismatch for output 1 with respect to input 1,\nnumerical:tensor([[")
    worst = int(np.argmax(inputs[1].numpy(force=True)[7]))
    assert f"Worst entry: output 1[7, {worst}] by input 1[7, {worst}]: numerical " in report
    assert "Wrong: 20 of 160000 entries, all at input[7, :] and output[7, :]." in report
    assert "Input 1 is argument 2 of the function" in report
    assert "The gradients of its other inputs: 0 right, 2 right." in report
    assert f"rows {140 + worst - 4} to {140 + worst + 3} of 400 and columns" in report


def test_the_second_order_has_its_legend():
    def backward(T, x, g):
        return g * x.detach().exp()

    wrong = function(minigrad, lambda T, x: x.exp(), backward)
    inputs = leaves(minigrad, (3,))
    assert ours(wrong, inputs)
    report = failure(ours_second, wrong, inputs)
    assert "outputs are gradients of the function, inputs from 1 on its grad_outputs" in report
    assert cause(report).startswith("the gradient is zero")
