"""Views and in-place operations, each short program run on torch and on minigrad (D.3)."""

from __future__ import annotations

import pytest

import minigrad
from tests.lockstep import Raised, attempt, leaf, same


def test_leaves_and_their_views_are_not_written():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        refused = attempt(lambda: x.add_(1)), attempt(lambda: x[0].mul_(2))
        with T.no_grad():
            x.add_(1)
        return refused, x

    same(program)


@pytest.mark.parametrize("saved", ["input", "output", "neither"])
def test_values_changed_after_they_were_saved(saved):
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 2
        z = {"input": lambda: y * y, "output": lambda: y.exp(), "neither": lambda: y + y}[saved]()
        (z if saved == "output" else y).add_(1)
        z.sum().backward()
        return x.grad

    if saved == "neither":
        same(program)
        return
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        program(minigrad)


def test_in_place_on_results_views_and_bases():
    def program(T):
        x, w = leaf(T, 1.0, 2.0, 3.0), leaf(T, 5.0)
        y = x * 2
        y.mul_(w)
        v = y[1:]
        v.mul_(3)
        y[0] = 7
        z = (y * y).sum()
        z.backward()
        return y, v, x.grad, w.grad, y._version, v._version

    same(program)


OF_SECOND_ORDER = {
    "square": lambda w: w * w,
    "power": lambda w: w**3,
    "sine": lambda w: w.sin(),
    "quotient": lambda w: w / (w + 1),
    "exponential": lambda w: w.exp(),
    "parts": lambda w: w.chunk(2)[0] ** 2,
}


@pytest.mark.parametrize("name", OF_SECOND_ORDER)
def test_values_changed_before_the_second_gradient(name):
    """What the first gradient's formula saves of a saved tensor must not be written to either."""

    def program(T):
        x = leaf(T, 1.0, 2.0)
        w = x.clone()
        y = OF_SECOND_ORDER[name](w).sum()
        (g,) = T.autograd.grad(y, [w], create_graph=True)
        w.mul_(2)
        result = attempt(lambda: T.autograd.grad(g.sum(), [x]))
        return result.type if isinstance(result, Raised) else result  # torch's text also names what made w

    same(program)


def test_writing_a_result_into_a_constant_buffer():
    def program(T):
        x, buffer = leaf(T, 1.0, 2.0), T.zeros(3, 2)
        buffer[1] = x * 2
        buffer[2, 0] = 5.0
        (buffer * buffer).sum().backward()
        return buffer, x.grad, buffer.is_leaf

    same(program)


def test_versions_are_shared_by_views():
    def program(T):
        x = T.zeros(4)
        v, d, n = x[1:], x.detach(), x.data
        v.add_(1)
        return x._version, v._version, d._version, n._version, x

    same(program)


def test_in_place_results_must_fit():
    same(lambda T: T.ones(2, dtype=T.int64).mul_(1.5))
    same(lambda T: T.ones(1).add_(T.ones(2)))
