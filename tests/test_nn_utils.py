"""`nn.utils`: clipped gradients, and parameters as one vector."""

from __future__ import annotations

from math import inf, nan

import pytest

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same


def with_gradients(T, *values):
    """Parameters with gradients of these values; None for none."""
    parameters = []
    for value in values:
        p = T.nn.Parameter(T.zeros(3) if value is None else T.zeros(len(value)))
        p.grad = None if value is None else T.tensor(value)
        parameters.append(p)
    return parameters


@pytest.mark.parametrize("norm_type", [2, 1, 2.0, 3, inf, 0.5])
@pytest.mark.parametrize("max_norm", [1.0, 100, 0])
def test_clip_grad_norm(max_norm, norm_type):
    def program(T):
        ps = with_gradients(T, [3.0, -4.0], None, [12.0])
        held = ps[0].grad
        total = T.nn.utils.clip_grad_norm_(ps, max_norm, norm_type)
        return total, [p.grad for p in ps], held, held._version > 0

    same(program)


def test_of_one_tensor_of_none_and_of_a_generator():
    def program(T):
        (p,) = with_gradients(T, [3.0, 4.0])
        clip = T.nn.utils.clip_grad_norm_
        return clip(p, 1.0), p.grad, clip([], 1.0), clip((q for q in [p]), 0.5), p.grad, clip(iter(()), 1.0)

    same(program)


@pytest.mark.parametrize("value", [nan, inf])
def test_a_norm_that_is_not_finite(value):
    def program(T):
        def clip(**how):
            ps = with_gradients(T, [value, 1.0])
            return T.nn.utils.clip_grad_norm_(ps, 1.0, **how), ps[0].grad

        return attempt(lambda: clip(error_if_nonfinite=True)), clip()

    same(program)


def test_clip_grad_value():
    def program(T):
        ps = with_gradients(T, [3.0, -4.0, 0.5], None)
        return T.nn.utils.clip_grad_value_(ps, 1), [p.grad for p in ps]

    same(program)


def test_parameters_as_a_vector_and_back():
    def program(T):
        T.manual_seed(0)
        net = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.Linear(3, 1))
        vector = T.nn.utils.parameters_to_vector(net.parameters())
        vector.sum().backward()
        grads = [p.grad for p in net.parameters()]
        T.nn.utils.vector_to_parameters(vector.detach() * 2, net.parameters())
        refused = attempt(lambda: T.nn.utils.vector_to_parameters([1.0], net.parameters()))
        refused.text = refused.text.split(":")[0]
        return vector, grads, list(net.parameters()), net(T.ones(1, 2)), refused

    same(program)


@pytest.mark.parametrize("norm_type", [2, 1, inf, 3])
def test_gradients_on_the_gpu_stand_in(norm_type):
    def clipped(device):
        ps = [p.to(device) for p in with_gradients(minigrad, [3.0, -4.0], [12.0])]
        for p, value in zip(ps, ([3.0, -4.0], [12.0]), strict=True):
            p.grad = minigrad.tensor(value, device=device)
        total = minigrad.nn.utils.clip_grad_norm_(ps, 1.0, norm_type)
        minigrad.nn.utils.clip_grad_value_(ps, 0.5)
        return [t.cpu().tolist() for t in [total, *(p.grad for p in ps)]]

    with strict_cupy.install():
        assert clipped("cuda") == clipped("cpu")
