"""Several threads at once: graphs of their own, a leaf they share, modes that are each thread's."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim


def together(work: Callable[[int], Any], n: int = 4) -> list[Any]:
    """What `work(i)` gives for each of n threads that start at the same moment; the first error, if any, is raised."""
    results: list[Any] = [None] * n
    errors: list[BaseException] = []
    start = threading.Barrier(n)

    def run(i: int) -> None:
        try:
            start.wait()
            results[i] = work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns after every few instructions
    try:
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(before)
    if errors:
        raise errors[0]
    return results


def test_graphs_of_their_own():
    def train(i: int) -> np.ndarray:
        x = minigrad.linspace(-1, 1, 32).reshape(16, 2) * (i + 1)
        w = minigrad.full((2, 3), 0.1 * (i + 1), requires_grad=True)
        optimizer = optim.SGD([w], lr=0.05, momentum=0.9)
        for _ in range(20):
            optimizer.zero_grad()
            ((x @ w).tanh() - 0.5).square().mean().backward()
            optimizer.step()
        return w.detach().numpy()

    alone = [train(i) for i in range(4)]
    for got, expected in zip(together(train), alone, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("size", [1, 100_000])
def test_nothing_is_lost_on_a_shared_leaf(size):
    w = minigrad.zeros(size, requires_grad=True)

    def work(i: int) -> None:
        for _ in range(50):
            (w * (i + 1)).sum().backward()

    together(work)
    np.testing.assert_array_equal(w.grad.numpy(), np.full(size, 50.0 * (1 + 2 + 3 + 4)))


def test_one_graph_walked_by_several_threads():
    x = minigrad.arange(1.0, 5.0).requires_grad_()
    y = (x * x).exp().sum() * 1e-6

    together(lambda i: y.backward(retain_graph=True))
    once = minigrad.arange(1.0, 5.0).requires_grad_()
    ((once * once).exp().sum() * 1e-6).backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * once.grad.numpy(), rtol=1e-6)


def test_an_op_first_called_by_several_threads():
    from minigrad.autograd.op import Op

    @Op
    def triple(input):
        return input * 3

    triple.derivative(input=lambda g: g * 3)

    def work(i: int) -> float:
        x = minigrad.ones(2, requires_grad=True)
        triple(x).sum().backward()
        return x.grad[0].item()

    assert together(work) == [3.0] * 4


def test_modes_belong_to_a_thread():
    def work(i: int) -> Any:
        modes = {0: minigrad.no_grad, 1: minigrad.inference_mode, 2: minigrad.enable_grad}
        seen = [minigrad.is_grad_enabled()]
        if i == 3:
            with minigrad.autograd.set_detect_anomaly(True):
                seen.append(minigrad.is_grad_enabled())
                return seen, minigrad.is_anomaly_enabled(), minigrad.is_inference_mode_enabled()
        with modes[i]():
            x = minigrad.ones(2, requires_grad=True) * 2
            return [*seen, x.requires_grad], minigrad.is_anomaly_enabled(), x.is_inference()

    with minigrad.no_grad():
        got = together(work)
    assert got == [
        ([True, False], False, False),
        ([True, False], False, True),
        ([True, True], False, False),
        ([True, True], True, False),
    ]


def test_modules_shared_by_threads_give_the_sum_of_their_gradients():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    inputs = [minigrad.full((2, 3), float(i + 1), dtype=minigrad.float64) for i in range(4)]
    together(lambda i: model(inputs[i]).sum().backward())
    together_grads = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    for x in inputs:
        model(x).sum().backward()
    for got, p in zip(together_grads, model.parameters(), strict=True):
        np.testing.assert_allclose(got.numpy(), p.grad.numpy(), rtol=1e-13)
