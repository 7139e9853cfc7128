"""The graph and the backward walk, each short program run on torch and on minigrad."""

from __future__ import annotations

import gc
import weakref

import pytest

import minigrad
from tests.lockstep import attempt, leaf, same

# -- leaves, flags, .grad (D.1) ----------------------------------------------------------------------------------------


def test_flags_of_leaves_and_results():
    def program(T):
        x, c = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0, requires_grad=False)
        y, z = x * c, c * 2
        return [(t.is_leaf, t.requires_grad, t.grad_fn is None) for t in (x, c, y, z, y.detach())]

    same(program)


def test_second_backward_accumulates_into_the_same_object():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        (x * x).sum().backward()
        first = x.grad
        (x * 3).sum().backward()
        return first is x.grad, x.grad

    same(program)


def test_gradients_of_two_leaves_do_not_share_memory():
    def program(T):
        a, b = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
        g = T.ones(2)
        (a + b).backward(g)
        a.grad.mul_(10)
        return a.grad, b.grad, g

    same(program)


def test_external_gradient_is_not_aliased():
    def program(T):
        x, g = leaf(T, 1.0, 2.0), T.ones(2)
        x.backward(g)
        g.mul_(5)
        return x.grad

    same(program)


def test_gradient_has_the_layout_of_its_leaf():
    def program(T):
        x = T.zeros(3, 4).t().requires_grad_()
        (x * 2).sum().backward()
        return x.grad.stride()

    same(program)


@pytest.mark.parametrize("value", ["wrong shape", "wrong dtype", "no tensor", "right", "none"])
def test_assigning_grad(value):
    def program(T):
        x = leaf(T, 1.0)
        values = {"wrong shape": T.ones(2), "wrong dtype": T.ones(1, dtype=T.float64), "no tensor": 1.0}
        x.grad = values.get(value, T.ones(1) if value == "right" else None)
        return x.grad

    same(program)


def test_requires_grad_of_integers():
    same(lambda T: T.tensor([1], requires_grad=True))
    same(lambda T: T.tensor([1]).requires_grad_())
    same(lambda T: T.zeros(2, dtype=T.int64, requires_grad=True))


def test_requires_grad_cannot_be_taken_from_a_result():
    def program(T):
        y = leaf(T, 1.0) * 2
        y.requires_grad = False

    same(program)


def test_retain_grad_and_the_warning_without_it():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 3
        z = y * y
        y.retain_grad()
        y.retain_grad()
        z.sum().backward()
        return y.grad, y.retains_grad, z.retains_grad, x.retains_grad, z.grad

    same(program)
    same(lambda T: leaf(T, 1.0, requires_grad=False).retain_grad())


def test_retained_gradient_is_the_one_after_hooks():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * 3
        y.retain_grad()
        y.register_hook(lambda g: g * 10)
        y.sum().backward()
        return y.grad, x.grad

    same(program)


def test_conversions_of_tensors_that_want_a_gradient():
    same(lambda T: leaf(T, 1.0).numpy())
    same(lambda T: float(leaf(T, 1.0)))
    same(lambda T: leaf(T, 1.0, 2.0).item())
    same(lambda T: bool(leaf(T, 1.0, 2.0)))


# -- backward and grad (D.2) -------------------------------------------------------------------------------------------


def test_what_backward_refuses():
    same(lambda T: leaf(T, 1.0, 2.0).backward())
    same(lambda T: leaf(T, 1.0, requires_grad=False).backward())
    same(lambda T: (leaf(T, 1.0, 2.0) * 2).backward(T.ones(3)))
    same(lambda T: (leaf(T, 1.0, 2.0) * 2).sum().backward(inputs=[]))


@pytest.mark.parametrize("saves", [True, False])
def test_second_walk_over_a_freed_graph(saves):
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = (x * x).sum() if saves else (x + x).sum()
        y.backward()
        return attempt(y.backward), x.grad

    same(program)


def test_retained_graph_is_walked_again():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = (x * x).sum()
        y.backward(retain_graph=True)
        y.backward()
        return x.grad

    same(program)


def test_two_losses_of_one_graph_equal_their_sum():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        h = x.exp()
        a, b = h.sum(), (h * h).sum()
        a.backward(retain_graph=True)
        b.backward()
        apart, x.grad = x.grad, None
        h = x.exp()
        (h.sum() + (h * h).sum()).backward()
        return apart, x.grad

    same(program)


def test_grad_leaves_grad_alone_and_takes_results_as_inputs():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = x * x
        z = (y * 3).sum()
        return T.autograd.grad(z, [x, y]), x.grad

    same(program)


def test_grad_of_unused_inputs():
    def program(T):
        x, u = leaf(T, 1.0), leaf(T, 5.0)
        y = (x * 2).sum()

        def ask(**how):
            return attempt(lambda: T.autograd.grad(y, [x, u], retain_graph=True, **how))

        return (
            ask(),
            ask(allow_unused=True),
            ask(materialize_grads=True),
            ask(allow_unused=False, materialize_grads=True),
        )

    same(program)


def test_backward_into_chosen_inputs_only():
    def program(T):
        x, w = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
        y = x * w
        z = (y * y).sum()
        z.backward(inputs=[x, y])
        return x.grad, w.grad, y.grad

    same(program)


def test_backward_of_several_outputs_sums():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        T.autograd.backward([x * 2, x * x], [T.ones(2), T.tensor([1.0, 10.0])])
        return x.grad

    same(program)


def test_derivatives_of_any_order():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y, out = x**4, []
        for _ in range(5):
            (y,) = T.autograd.grad(y.sum(), x, create_graph=True)
            out.append(y)
        return out, out[0].grad_fn is not None

    same(program)


def test_backward_with_create_graph_warns_and_can_be_differentiated():
    def program(T):
        x = leaf(T, 2.0)
        (x**3).sum().backward(create_graph=True)
        g, x.grad = x.grad, None
        g.sum().backward()
        return g.detach(), x.grad

    same(program)


def test_broadcasting_is_summed_back():
    def program(T):
        a, b, c = T.ones(3, 1, requires_grad=True), T.ones(4, requires_grad=True), T.ones((), requires_grad=True)
        ((a + b) * c).sum().backward()
        return a.grad, b.grad, c.grad

    same(program)


def test_mixed_dtypes_are_cast_back():
    def program(T):
        a = T.ones(2, requires_grad=True)
        b = T.full((2,), 3.0, dtype=T.float64, requires_grad=True)
        y = a * b
        y.sum().backward()
        return y.detach(), a.grad, b.grad

    same(program)


def test_long_chains_run_without_recursion():
    x = minigrad.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 100_001
    (g,) = minigrad.autograd.grad(_chain(x, 1000), x, create_graph=True)
    assert g.item() == pytest.approx(1000)
    del y, g


def _chain(x, n):
    total = x
    for _ in range(n - 1):
        total = total + x
    return total


def test_a_graph_dies_by_reference_count():
    class Cube(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x * x * x
            ctx.save_for_backward(x, out)
            return out

        @staticmethod
        def backward(ctx, g):
            x, out = ctx.saved_tensors
            return g * 3 * out / x

    gc.collect()
    gc.disable()
    try:
        x = minigrad.ones(3, requires_grad=True)
        y = Cube.apply((x.exp() * x).tanh())
        y.register_hook(lambda g: g * 2)
        y.retain_grad()
        (g,) = minigrad.autograd.grad(y.sum(), x, create_graph=True)
        z = g.sum()
        watched = [weakref.ref(t) for t in (y.grad_fn, z.grad_fn, y, z, g)]
        z.backward()
        del y, z, g
        assert [w() for w in watched] == [None] * len(watched)
    finally:
        gc.enable()


def test_nothing_is_kept_that_no_rule_names():
    x = minigrad.ones(3, requires_grad=True)
    c = minigrad.ones(3)
    assert (x * 3).grad_fn.saved[0] is None  # d(x * 3) needs 3, not x
    assert (x * c).grad_fn.saved[0] is None
    assert (x + c).grad_fn.saved_names == []
