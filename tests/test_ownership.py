"""Whose memory a gradient is, what dies with a graph, and what threads share."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad.autograd.op import Op
from tests.lockstep import leaf, same


def product(T: Any) -> Any:
    """a * b whose backward returns the very tensors that forward saved."""

    class Product(T.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return b, a

    return Product


# -- gradients are nobody else's ---------------------------------------------------------------------------------------


def test_a_gradient_is_not_the_memory_that_a_function_returned():
    def program(T):
        a, b = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
        product(T).apply(a, b).sum().backward()
        a.grad.mul_(10)
        return a.grad, b.grad, a.detach(), b.detach()

    same(program)


def test_a_gradient_is_not_the_memory_that_a_hook_saw_or_returned():
    def program(T):
        x, w, constant, seen = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0), T.ones(2), []
        x.register_hook(lambda g: constant)
        w.register_hook(seen.append)
        for _ in range(2):
            (x * w + x * 3 + w).sum().backward()
        x.grad.mul_(10)
        return constant, seen, x.grad, w.grad

    same(program)


def test_a_gradient_is_not_the_memory_that_a_hook_of_a_node_saw():
    def program(T):
        x, seen = leaf(T, 1.0, 2.0), []
        y = x * 2
        y.grad_fn.register_hook(lambda grad_inputs, grad_outputs: seen.append(grad_inputs[0]))
        y.sum().backward()
        (x * 3).sum().backward()
        return seen, x.grad

    same(program)


def test_a_gradient_is_not_the_memory_that_an_op_of_several_outputs_passed_on():
    @Op(many=True)
    def copies(*operands):
        return [a.copy() for a in operands]

    copies.derivative(operands=lambda g: g)
    a, b, g = leaf(minigrad, 1.0, 2.0), leaf(minigrad, 3.0, 4.0), minigrad.ones(2)
    minigrad.autograd.backward(copies(a, b), [g, g])
    a.grad.mul_(10)
    assert g.tolist() == b.grad.tolist() == [1, 1]


def test_gradients_under_create_graph_are_copies():
    def program(T):
        a, b, g = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0), T.ones(2)
        (a + b).backward(g, create_graph=True)
        a.grad.mul_(10)
        return a.grad, b.grad, g

    same(program)


def test_a_gradient_with_a_history_is_added_to_in_place():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        (x**3).sum().backward(create_graph=True)
        first = x.grad
        (x * 2).sum().backward()
        return first is x.grad, x.grad.requires_grad, x.grad.detach()

    same(program)


def test_an_input_named_twice_or_retained_accumulates_once():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 2
        y.retain_grad()
        (y * 3).sum().backward(inputs=[x, x, y])
        return x.grad, y.grad

    same(program)


def test_results_as_inputs_of_backward_retain_their_gradient_after_hooks():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 2
        y.register_hook(lambda g: g * 10)
        (y * y).sum().backward(inputs=[x, y])
        return x.grad, y.grad, y.retains_grad

    same(program)


# -- in-place operations, hooks and gaps in memory ---------------------------------------------------------------------


def test_hooks_stay_with_the_value_and_retain_grad_with_the_tensor():
    def program(T):
        x, seen = leaf(T, 1.0, 2.0), []
        y = x * 2
        y.register_hook(lambda g: seen.append(("before", g.tolist())))
        y.retain_grad()
        y.mul_(3)
        y.register_hook(lambda g: seen.append(("after", g.tolist())))
        (y * 5).sum().backward()
        return seen, x.grad, y.grad, y.retains_grad

    same(program)


def test_hooks_on_the_way_to_wanted_gradients():
    def program(T):
        x, w, seen = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0), []
        y, z = x * 1, w * 3
        y.register_hook(lambda g: g * 2)
        z.register_hook(lambda g: seen.append("aside"))
        w.register_hook(lambda g: seen.append("aside"))
        z.retain_grad()

        def ask(*inputs):
            return T.autograd.grad((y * z * w * x).sum(), inputs, retain_graph=True)

        return ask(x, y), ask(y), ask(x), seen, z.grad

    same(program)


@pytest.mark.parametrize("write", ["zero_", "fill_", "copy_"])
def test_what_is_overwritten_gets_zero_whatever_arrives(write):
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 1
        getattr(y, write)(*{"zero_": (), "fill_": (3.0,), "copy_": (T.ones(2),)}[write])
        y.backward(T.tensor([float("inf"), float("nan")]))
        return x.grad

    same(program)


@pytest.mark.parametrize("strided", ["numpy", "detached"])
def test_views_of_a_base_with_gaps_in_its_memory(strided):
    def program(T):
        if strided == "numpy":
            z = T.from_numpy(np.zeros((4, 4), dtype=np.float32)[:, ::2])
        else:
            z = T.zeros(4, 4)[:, 1:3].detach()
        x = leaf(T, 1.0, 2.0)
        z[3] = x * 3
        z[1].copy_(x * x)
        z[1].mul_(x)
        (z * T.arange(8.0).reshape(4, 2)).sum().backward()
        return z, x.grad

    same(program)


# -- what dies ---------------------------------------------------------------------------------------------------------


def test_memory_stays_flat_over_two_thousand_training_steps():
    T = minigrad
    T.manual_seed(0)
    net = T.nn.Sequential(T.nn.Conv2d(1, 2, 3), T.nn.ReLU(), T.nn.MaxPool2d(2), T.nn.Flatten(), T.nn.Linear(8, 3))
    optimizer = T.optim.Adam(net.parameters())
    x, y = T.randn(2, 1, 6, 6), T.tensor([0, 2])

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            T.nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()

    train(20)
    gc.collect()
    gc.disable()
    try:
        train(200)
        gc.collect()  # which also empties the interpreter's lists of small objects for reuse
        before = sys.getallocatedblocks()
        train(1800)
        garbage = gc.collect()
        grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert garbage == 0  # nothing waited for the collector
    assert grown < 900  # objects; one that leaked at every step would make 1800


@pytest.mark.filterwarnings("ignore:Using backward")
def test_every_kind_of_graph_dies_by_reference_count():
    def first_order(x):
        y = (x * x).exp()
        y.sum().backward()
        return [y]

    def second_order(x):
        y = x.tanh() * x
        y.sum().backward(create_graph=True)
        g, x.grad = x.grad, None
        g.sum().backward()
        return [y, g]

    def written_to(x):
        y = x * 2
        v = y[1:]
        v.mul_(x[1:])
        y.exp_()
        z = (y * y).sum()
        z.backward()
        return [y, v, z]

    def hooked(x):
        y = x * 2
        y.register_hook(lambda g: g * 2)
        y.retain_grad()
        y.add_(1)
        y.register_hook(lambda g: None)
        (y * y).sum().backward()
        return [y]

    def own_function(x):
        y = product(minigrad).apply(x * 2, x)
        (g,) = minigrad.autograd.grad(y.sum(), x, create_graph=True)
        g.sum().backward()
        return [y, g]

    def several_outputs(x):
        parts = x.exp().unbind(0)
        values, indices = (x * x).sort()
        (parts[0] + values[1]).backward()
        return [*parts, values, indices]

    gc.collect()
    gc.disable()
    try:
        for program in (first_order, second_order, written_to, hooked, own_function, several_outputs):
            x = leaf(minigrad, 1.0, 2.0, 3.0)
            made = program(x)
            watched = [weakref.ref(t) for t in made] + [weakref.ref(t.grad_fn) for t in made if t.grad_fn is not None]
            assert x.grad is not None
            del made
            assert [w() for w in watched] == [None] * len(watched), program.__name__
    finally:
        gc.enable()


# -- threads -----------------------------------------------------------------------------------------------------------


def run_together(*actions):
    """Run the actions in a thread each, starting at once; returns their results, raises what one of them raised."""
    start, results = threading.Barrier(len(actions)), {}

    def run(i, action):
        start.wait()
        try:
            results[i] = action()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for value in results.values():
        if isinstance(value, BaseException):
            raise value
    return [results[i] for i in range(len(actions))]


def test_threads_walk_graphs_of_their_own():
    def work(seed):
        x = minigrad.tensor(np.random.default_rng(seed).normal(size=(5, 4)), requires_grad=True)
        for _ in range(50):
            y = (x @ x.t()).sin()
            y[0] = 0.0
            y.logsumexp(1).sum().backward()
        return x.grad.numpy()

    together = run_together(*[lambda seed=seed: work(seed) for seed in range(4)])
    for seed, got in enumerate(together):
        np.testing.assert_array_equal(got, work(seed))


def test_threads_may_meet_at_the_first_call_of_an_op():
    from minigrad.autograd.op import Op

    for _ in range(50):

        @Op
        def scaled(input, factor: float = 2.0):
            return input * factor

        scaled.derivative(input=lambda g, factor: g * factor)

        def work(op=scaled):
            x = leaf(minigrad, 1.0)
            op(x).backward()
            return x.grad.item()

        assert run_together(*[work] * 4) == [2.0] * 4


def test_a_mode_ends_at_its_thread():
    inside, leave = threading.Event(), threading.Event()

    def switched_off():
        with minigrad.no_grad():
            inside.set()
            leave.wait(5)
            return minigrad.is_grad_enabled()

    def beside():
        inside.wait(5)
        seen = minigrad.is_grad_enabled(), (leaf(minigrad, 1.0) * 2).requires_grad
        leave.set()
        return seen

    assert run_together(switched_off, beside) == [False, (True, True)]
