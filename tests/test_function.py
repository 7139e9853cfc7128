"""`autograd.Function`, each short program run on torch and on minigrad (D.6)."""

from __future__ import annotations

import pytest

import minigrad
from tests.lockstep import attempt, leaf, same


def function(T, backward=None, forward=None, **body):
    """A Function class on either engine; by default y = exp(x)."""

    def exp(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    def exp_backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out

    members = {"forward": staticmethod(forward or exp), "backward": staticmethod(backward or exp_backward), **body}
    return type("Exp", (T.autograd.Function,), members)


def test_values_and_names():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = function(T).apply(x)
        text = repr(y.grad_fn).split(" at ")[0]
        y.sum().backward()
        return y, x.grad, text, repr(y), y.grad_fn.name()

    same(program)


def test_the_second_derivative_goes_through_saved_outputs():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = function(T).apply(x * 2)
        (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
        return T.autograd.grad(g.sum(), x)

    same(program)


@pytest.mark.parametrize(
    "case", ["too few", "too many", "none too many", "wrong shape", "broadcast", "no tensor", "none"]
)
def test_what_backward_may_return(case):
    def program(T):
        returns = {
            "too few": lambda ctx, g: g,
            "too many": lambda ctx, g: (g, g, g),
            "none too many": lambda ctx, g: (g, g, None, None),
            "wrong shape": lambda ctx, g: (T.ones(3), g),
            "broadcast": lambda ctx, g: (T.ones(4, 2), g),
            "no tensor": lambda ctx, g: (1, g),
            "none": lambda ctx, g: (None, g),
        }
        a, b = leaf(T, 1.0, 2.0), leaf(T, 3.0, 4.0)
        f = function(T, forward=lambda ctx, a, b: a * b, backward=returns[case])
        f.apply(a, b).sum().backward()
        return a.grad, b.grad

    same(program)


def test_needs_input_grad_and_arguments_that_are_no_tensors():
    def program(T):
        seen = []

        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g, None, None

        f = function(T, forward=lambda ctx, x, n, c: x * n + c, backward=backward)
        x, c = leaf(T, 1.0), T.ones(1)
        f.apply(x, 3, c).backward()
        return seen, x.grad

    same(program)


def test_no_backward():
    def program(T):
        f = type("Bare", (T.autograd.Function,), {"forward": staticmethod(lambda ctx, x: x * 2)})
        f.apply(leaf(T, 1.0)).backward()

    same(program)


def test_saving_what_is_no_tensor():
    def program(T):
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x * 2

        return function(T, forward=forward).apply(leaf(T, 1.0))

    same(program)


def test_saved_tensors_are_freed_and_checked():
    def program(T):
        x = leaf(T, 1.0, 2.0)
        y = function(T).apply(x)
        y.sum().backward()
        return attempt(lambda: y.sum().backward())

    same(program)

    x = leaf(minigrad, 1.0, 2.0)
    y = function(minigrad).apply(x)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_several_outputs_some_not_differentiable():
    def program(T):
        seen = []

        def forward(ctx, x):
            a, b, c = x * 2, x * 3, (x > 1).to(T.float32)
            ctx.mark_non_differentiable(c)
            return a, b, c

        def backward(ctx, ga, gb, gc):
            seen.extend([ga, gb, gc])
            return ga * 2 + gb * 3

        x = leaf(T, 1.0, 2.0)
        a, b, c = function(T, forward=forward, backward=backward).apply(x)
        a.sum().backward()
        return seen, x.grad, c.requires_grad, b.requires_grad

    same(program)


def test_an_input_returned_as_it_is_may_be_marked_not_differentiable():
    def program(T):
        def forward(ctx, a, b):
            ctx.mark_non_differentiable(b)
            return a, b

        a, b = function(T, forward=forward, backward=lambda ctx, *grads: grads).apply(leaf(T, 1.0), leaf(T, 2.0))
        return a, b, a.grad_fn is None, b.grad_fn is None

    same(program)


def test_gradients_are_not_materialised_on_request():
    def program(T):
        seen = []

        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        def backward(ctx, ga, gb):
            seen.append((ga is None, gb is None))
            return ga * 2

        x = leaf(T, 1.0)
        function(T, forward=forward, backward=backward).apply(x)[0].backward()
        return seen, x.grad

    same(program)


def test_in_place_functions():
    def program(T):
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        f = function(T, forward=forward, backward=lambda ctx, g: g * 2)
        x = leaf(T, 1.0, 2.0)
        y = x * 3
        z = f.apply(y)
        z.sum().backward()
        return z is y, x.grad, y, attempt(lambda: f.apply(x))

    same(program)


def test_an_input_returned_as_it_is():
    def program(T):
        f = function(T, forward=lambda ctx, x: x, backward=lambda ctx, g: g * 5)
        x = leaf(T, 1.0)
        y = f.apply(x)
        y.backward()
        return y is x, y.is_leaf, x.grad

    same(program)


def test_setup_context():
    def program(T):
        def setup_context(ctx, inputs, output):
            ctx.n = inputs[1]
            ctx.save_for_backward(inputs[0], output)

        def backward(ctx, g):
            x, out = ctx.saved_tensors
            return g * out * ctx.n / x, None

        f = function(T, forward=lambda x, n: x**n, backward=backward, setup_context=staticmethod(setup_context))
        x = leaf(T, 1.0, 2.0)
        f.apply(x, 3).sum().backward()
        return x.grad

    same(program)


def test_instances_are_not_callable():
    same(lambda T: function(T)()(leaf(T, 1.0)))


def test_once_differentiable():
    def program(T):
        once = T.autograd.function.once_differentiable(lambda ctx, g: g * ctx.saved_tensors[0])
        f = function(T, backward=once)
        x = leaf(T, 1.0, 2.0)
        plain = T.autograd.grad(f.apply(x).sum(), x)
        (g,) = T.autograd.grad(f.apply(x).sum(), x, create_graph=True)
        return plain, g.detach(), attempt(lambda: T.autograd.grad(g.sum(), x))

    same(program)


def test_without_gradients_nothing_is_recorded():
    def program(T):
        x = leaf(T, 1.0)
        with T.no_grad():
            y = function(T).apply(x)
        z = function(T).apply(T.ones(1))
        return y.requires_grad, z.requires_grad, y.grad_fn is None

    same(program)
