"""Graphs die by reference count, with the collector off, and training holds memory flat."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import minigrad
from minigrad import nn, optim


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Square(minigrad.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return 2 * x * g + 0 * y


def saves_output(x):
    return x.exp().sigmoid().tanh()


def with_hooks(x):
    y = x.exp()
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    y.grad_fn.register_hook(lambda gi, go: None)
    y.grad_fn.register_prehook(lambda go: None)
    return y.sin()


def function(x):
    return Square.apply(Square.apply(x))


def in_place(x):
    y = x * 2
    view = y[1:]
    view.mul_(x[:1])
    y[0] = 3
    return view.exp_() + y[1:]


def packed(x):
    with minigrad.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        return Square.apply(x.exp()).tanh()


def checkpointed(x):
    return minigrad.utils.checkpoint.checkpoint(saves_output, x, use_reentrant=False)


def traced(x):
    with minigrad.autograd.set_detect_anomaly(True):
        return x.exp().tanh()


def split(x):
    a, b = (x * 2).split(2)
    return minigrad.cat([a.exp(), b.max(0, keepdim=True).values])


def layers(x):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.LSTM(4, 3))
    return net(minigrad.stack([x, x + 1]))[0]


def module_hooks(x):
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda m, gi, go: None)
    layer.register_full_backward_pre_hook(lambda m, go: None)
    return layer(x * 2)


PROGRAMS = [
    saves_output, with_hooks, function, in_place, packed, checkpointed, traced, split, layers, module_hooks,
]  # fmt: skip


def nodes_of(tensor: Any) -> list[Any]:
    """Weak references to all nodes behind a tensor."""
    seen, todo = {}, [tensor.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and id(node) not in seen and node.next_functions:
            seen[id(node)] = weakref.ref(node)
            todo += [n for n, _ in node.next_functions]
    return list(seen.values())


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
@pytest.mark.parametrize("use", ["dropped", "backward", "kept for a second backward", "differentiated twice"])
def test_graphs_die_with_their_last_tensor(program: Callable[[Any], Any], use: str):
    x = minigrad.linspace(0.1, 1, 4).requires_grad_()
    y = program(x)
    nodes = nodes_of(y)
    assert len(nodes) > 1
    if use == "backward":
        y.sum().backward()
    elif use == "kept for a second backward":
        y.sum().backward(retain_graph=True)
    elif use == "differentiated twice":
        (g,) = minigrad.autograd.grad(y.sum(), x, create_graph=True)
        nodes += nodes_of(g)
        if g.requires_grad:
            minigrad.autograd.grad(g.sum(), x, allow_unused=True)
        del g
    del y
    assert [n() for n in nodes if n() is not None] == []


def test_a_long_chain_dies_without_recursion():
    x = minigrad.ones(2, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = Square.apply(y) if _ % 2 else y * 1
    y.sum().backward()
    del y


def growth(steps: int, first: int = 20) -> int:
    """Bytes held after `steps` training steps more than after the `first` ones, which fill caches and states.

    Each step has all that might hold on to a graph: hooks, a Function, double backward, clipping, a scheduler.
    """
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
    model[0].register_full_backward_hook(lambda m, gi, go: None)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 10)
    x = minigrad.linspace(-1, 1, 32).reshape(8, 4).requires_grad_()
    tracemalloc.start()
    for i in range(first + steps):
        if i == first:
            before = tracemalloc.get_traced_memory()[0]
        optimizer.zero_grad()
        out = model(x)
        out.register_hook(lambda g: g * 1)
        (slope,) = minigrad.autograd.grad(out.sum(), x, create_graph=True)
        loss = Square.apply(out).mean() + slope.square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        x.grad = None
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


FREE_LISTS = 200_000  # bytes that Python keeps of dead tuples and floats; the graph of each step has 30,000 and more


def test_training_holds_memory_flat():
    assert growth(100) < FREE_LISTS


@pytest.mark.deep
def test_ten_thousand_steps_hold_memory_flat():
    assert growth(10_000, first=2_000) < 10_000  # the free lists are full: a byte kept of each step would be too much
