"""Checkpointing: the gradients of the plain run, the function run exactly twice, less memory."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

import minigrad
from tests.lockstep import attempt, same


def counting(T: Any, runs: list[int]) -> Any:
    def function(x: Any, k: float = 1.0) -> Any:
        runs.append(1)
        return (x * x).exp().sin() * k

    return function


def test_backward_runs_the_function_once_more():
    def program(T):
        x, runs = T.arange(4.0).requires_grad_(), []
        y = T.utils.checkpoint.checkpoint(counting(T, runs), x, use_reentrant=False, k=2.0)
        before = len(runs)
        y.sum().backward()
        again = attempt(lambda: y.sum().backward())
        return y, before, len(runs), x.grad, again

    same(program)


def test_each_backward_runs_it_again():
    def program(T):
        x, runs = T.arange(4.0).requires_grad_(), []
        y = T.utils.checkpoint.checkpoint(counting(T, runs), x, use_reentrant=False)
        y.sum().backward(retain_graph=True)
        y.sum().backward()
        first = len(runs)
        y = T.utils.checkpoint.checkpoint(counting(T, runs), x, use_reentrant=False)
        (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
        return first, len(runs), g, T.autograd.grad(g.sum(), x), len(runs), x.grad

    same(program)


@pytest.mark.parametrize("preserve", [True, False])
def test_the_second_run_draws_the_first_ones_random_numbers(preserve):
    def program(T):
        T.manual_seed(0)
        x = T.ones(1000, requires_grad=True)
        drop = lambda x: T.nn.functional.dropout(x * 3, 0.5).exp()
        y = T.utils.checkpoint.checkpoint(drop, x, use_reentrant=False, preserve_rng_state=preserve)
        y.sum().backward()
        return y, x.grad, T.rand(2)

    same(program, rtol=1e-5)


@pytest.mark.parametrize("reentrant", [True, False])
def test_segments_of_a_network(reentrant):
    def program(T):
        T.manual_seed(0)
        net = T.nn.Sequential(*[m for _ in range(5) for m in (T.nn.Linear(3, 3), T.nn.Tanh(), T.nn.Dropout(0.5))])
        x = T.ones(2, 3, requires_grad=True)
        y = T.utils.checkpoint.checkpoint_sequential(net, 3, x, use_reentrant=reentrant)
        y.sum().backward()
        return y, x.grad, [p.grad for p in net.parameters()]

    same(program, rtol=1e-5)


def test_checkpoints_in_checkpoints_and_several_arguments():
    def program(T):
        checkpoint = T.utils.checkpoint.checkpoint
        inner = lambda a, b: (a * b).tanh()
        outer = lambda a, b: checkpoint(inner, a, b, use_reentrant=False) * a.exp()
        a, b = T.arange(3.0).requires_grad_(), T.ones(3, requires_grad=True)
        y = checkpoint(lambda a, b, c, flag: outer(a, b) * c, a, b, 3.0, True, use_reentrant=False)
        y.sum().backward()
        return y, a.grad, b.grad

    same(program)


@pytest.mark.parametrize("second", ["(x * x)", "(x[:2] * x[:2]).exp()"])
def test_a_function_that_changes_its_mind_is_refused(second):
    def program(T):
        x, runs = T.ones(4, requires_grad=True), []

        def function(x):
            runs.append(1)
            return (x * x).exp() if len(runs) == 1 else eval(second, {"x": x})

        y = T.utils.checkpoint.checkpoint(function, x, use_reentrant=False)
        failed = attempt(lambda: y.sum().backward())
        return failed.text.rstrip(".")

    same(program)


def test_calls_that_torch_refuses_or_warns_of():
    def program(T):
        checkpoint, x = T.utils.checkpoint.checkpoint, T.ones(2, requires_grad=True)
        with T.no_grad():
            untracked = checkpoint(lambda x: x * 2, x, use_reentrant=False)
        return (
            untracked,
            checkpoint(lambda x: x * 2, x),
            attempt(lambda: checkpoint(lambda x: x * 2, x, use_reentrant=True, k=1)),
            attempt(lambda: checkpoint(lambda x: x * 2, x, use_reentrant=False, k=1)).type,
            checkpoint(lambda x: x * 2, T.ones(2), use_reentrant=True),
        )

    same(program)


def test_early_stop():
    runs: list[str] = []

    def function(x):
        y = (x * x).exp()
        runs.append("saved")
        y = y + 1
        runs.append("end")
        return y

    for stop, expected in ((True, ["saved", "end"]), (False, ["saved", "end"] * 2)):
        runs.clear()
        x = minigrad.ones(2, requires_grad=True)
        with minigrad.utils.checkpoint.set_checkpoint_early_stop(stop):
            minigrad.utils.checkpoint.checkpoint(function, x, use_reentrant=False).sum().backward()
        assert runs == expected
        np.testing.assert_allclose(x.grad.numpy(), 2 * np.e, rtol=1e-6)


def test_debug_tells_the_lines():
    runs: list[int] = []

    def function(x):
        runs.append(1)
        return (x * x).exp() if len(runs) == 1 else x.tanh()  # the two runs

    x = minigrad.ones(2, requires_grad=True)
    y = minigrad.utils.checkpoint.checkpoint(function, x, use_reentrant=False, debug=True)
    with pytest.raises(minigrad.utils.checkpoint.CheckpointError, match="# the two runs"):
        y.sum().backward()


def test_what_is_between_is_not_kept():
    def peak(checkpointed: bool) -> int:
        part = lambda x: x.exp().sin().exp().sin().exp().sin()
        x = minigrad.zeros(100_000, requires_grad=True)
        with warnings.catch_warnings():
            tracemalloc.start()
            run = minigrad.utils.checkpoint.checkpoint
            ys = [run(part, x, use_reentrant=False) if checkpointed else part(x) for _ in range(3)]
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
        assert all(y.requires_grad for y in ys)
        return held

    assert peak(True) < peak(False) / 3
