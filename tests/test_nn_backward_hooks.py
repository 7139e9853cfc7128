"""The backward hooks of modules, held to torch."""

from __future__ import annotations

from collections import namedtuple

import pytest

from tests.layers import layer, linear, no_kind_settled, of_all, plain
from tests.lockstep import attempt, leaf, same

Pair = namedtuple("Pair", ["first", "second"])

FUNCTIONS = {
    "one of two outputs used": (lambda T: lambda a, b: (a * 2, b * 3), lambda out: out[0], (1, 1)),
    "both outputs used": (lambda T: lambda a, b: (a * 2, b * 3), lambda out: out[0] * out[1], (1, 1)),
    "an input unused": (lambda T: lambda a, b: a * 2, lambda out: out, (1, 1)),
    "an input without gradient": (lambda T: lambda a, b: (a * 2, b * 3), lambda out: out[0] + out[1], (1, 0)),
    "an integer tensor": (lambda T: lambda a, b: a * b, lambda out: out, (1, "long")),
    "a number": (lambda T: lambda a, b: (a * b, b), lambda out: out[0], (1, 5)),
    "the input itself": (lambda T: lambda a: a, lambda out: out, (1,)),
    "the same input twice": (lambda T: lambda a, b: a * b, lambda out: out, ("same", "same")),
    "no tensor": (lambda T: lambda a: leaf(T, 1.0, 4.0) * a, lambda out: out, (5,)),
    "no argument": (lambda T: lambda: leaf(T, 1.0, 4.0) * 2, lambda out: out, ()),
    "no wanted gradient": (lambda T: lambda a: leaf(T, 1.0, 4.0) * a, lambda out: out, (0,)),
    "a list of tensors": (lambda T: lambda a: a[0] * 2, lambda out: out, ("list",)),
    "a list as output": (lambda T: lambda a: [a * 2], lambda out: out[0], (1,)),
    "a dict as output": (lambda T: lambda a: {"a": a * 2}, lambda out: out["a"], (1,)),
    "a nested output": (lambda T: lambda a: ((a * 2,), a * 3), lambda out: out[0][0] + out[1], (1,)),
    "a named tuple as output": (lambda T: lambda a: Pair(a * 2, a * 3), lambda out: out.first * out.second, (1,)),
    "None as output": (lambda T: lambda a: None, lambda out: out, (1,)),
}


def arguments(T, kinds):
    shared = leaf(T, 1.5, 2.5)
    made = {
        1: lambda: leaf(T, 1.0, 2.0),
        0: lambda: T.tensor([1.0, 2.0]),
        "long": lambda: T.tensor([3, 4]),
        "same": lambda: shared,
        "list": lambda: [leaf(T, 1.0, 2.0)],
    }
    return [made[k]() if k in made else k for k in kinds]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_full_backward_hooks_are_given(name):
    function, use, kinds = FUNCTIONS[name]

    def program(T):
        seen = []
        net = layer(T, function(T))
        net.register_full_backward_pre_hook(lambda m, go: seen.append(("pre", plain(go))))
        net.register_full_backward_hook(lambda m, gi, go: seen.append(("post", plain(gi), plain(go))))
        args = arguments(T, kinds)
        out = attempt(lambda: use(net(*args)))
        error = attempt(lambda: out.sum().backward())
        grads = [a.grad for a in args if isinstance(a, T.Tensor)]
        return seen, plain(out), error, grads

    same(program)


RETURNED = {
    "a pair": lambda T: (T.tensor([5.0, 6.0]), None),
    "a list": lambda T: [T.tensor([5.0, 6.0]), None],
    "a gradient for a number": lambda T: (T.tensor([5.0, 6.0]), T.ones(2)),
    "none": lambda T: (None, None),
    "another shape": lambda T: (T.ones(3), None),
    "another dtype": lambda T: (T.ones(2).double(), None),
    "no tensor": lambda T: (7, None),
    "too few": lambda T: (T.ones(2),),
    "a number": lambda T: 7,
    "rows": lambda T: T.ones(2, 2),
}


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("kind", ["full_backward_hook", "full_backward_pre_hook"])
@pytest.mark.parametrize("wanted", [True, False])
def test_what_full_backward_hooks_may_return(name, kind, wanted):
    def program(T):
        net = layer(T, lambda a, b: (a * leaf(T, 2.0, 3.0), b))
        getattr(net, f"register_{kind}")(lambda *args: RETURNED[name](T))
        x = T.tensor([1.0, 2.0], requires_grad=wanted)
        out, _ = net(x, 3)
        error = attempt(lambda: out.sum().backward())
        return error, x.grad

    same(program)


def test_all_hooks_on_the_way_of_a_gradient_in_order():
    def program(T):
        seen = []

        def note(name):
            return lambda *args: seen.append((name, plain([a for a in args if not isinstance(a, T.nn.Module)])))

        def function(a):
            inner = a * 2
            inner.register_hook(note("inner"))
            return inner * 3

        net = layer(T, function)
        net.register_full_backward_hook(note("second"))
        net.register_full_backward_hook(note("first"), prepend=True)
        net.register_full_backward_pre_hook(note("pre second"))
        net.register_full_backward_pre_hook(note("pre first"), prepend=True)
        net.register_forward_hook(note("forward"))
        net.register_forward_pre_hook(note("forward pre"))
        x = leaf(T, 1.0, 2.0)
        x.register_hook(note("x"))
        out = net(x)
        out.register_hook(note("out"))
        (out * 1.5).sum().backward()
        return seen, x.grad, out.grad_fn.name()

    same(program)


def test_hooks_replace_gradients_one_after_the_other():
    def program(T):
        net = T.nn.Sequential(linear(T), T.nn.Tanh(), linear(T))
        net[0].register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
        net[0].register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,))
        net[1].register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
        net[1].register_full_backward_pre_hook(lambda m, go: (go[0] - 1,))
        net.register_full_backward_pre_hook(lambda m, go: (go[0] * 0.5,))
        x = leaf(T, 0.1, 0.2)
        net(x).sum().backward()
        return x.grad, [p.grad for p in net.parameters()]

    same(program)


def test_twice_through_the_graph_and_twice_through_the_module():
    def program(T):
        seen = []
        net = T.nn.Tanh()
        net.register_full_backward_hook(lambda m, gi, go: seen.append(plain([gi, go])))
        x = leaf(T, 0.3, 0.4)
        y = net(net(x)).sum()
        y.backward(retain_graph=True)
        y.backward()
        return seen, x.grad

    same(program)


def test_higher_derivatives_go_past_the_hooks_or_through_what_they_did():
    def program(T):
        seen = []
        net = layer(T, lambda x: x * x * x)

        def hook(m, gi, go):
            seen.append((plain([gi, go]), gi[0].requires_grad))
            return (gi[0] * gi[0],)

        net.register_full_backward_hook(hook)
        x = leaf(T, 1.0, 2.0)
        (g,) = T.autograd.grad(net(x).sum(), x, create_graph=True)
        (gg,) = T.autograd.grad(g.sum(), x, create_graph=True)
        return seen, g, gg

    same(program)


def test_hooks_are_called_only_where_a_gradient_passes():
    def program(T):
        seen = []
        net = linear(T)
        net.register_full_backward_pre_hook(lambda m, go: seen.append("pre"))
        net.register_full_backward_hook(lambda m, gi, go: seen.append(plain([gi, go])))
        x = leaf(T, 1.0, 2.0)
        out = net(x)
        T.autograd.grad(out.sum(), net.weight, retain_graph=True)
        seen.append("to the weight")
        T.autograd.grad(out.sum(), out, retain_graph=True)
        seen.append("to the output")
        T.autograd.grad(out.sum(), x)
        with T.no_grad():
            net(x)
        return seen

    same(program)


def test_keyword_arguments_have_no_gradients():
    def program(T):
        seen = []
        net = layer(T, lambda a, b: a * b)
        net.register_full_backward_hook(lambda m, gi, go: seen.append(plain([gi, go])))
        a, b = leaf(T, 1.0), leaf(T, 2.0)
        net(a, b=b).sum().backward()
        net(a=a, b=b).sum().backward()
        return seen, a.grad, b.grad

    same(program)


def in_place(change):
    def program(T):
        net = layer(T, lambda *xs: xs if len(xs) > 1 else xs[0])
        net.register_full_backward_hook(lambda *args: None)
        return attempt(lambda: change(T, net))

    return program


def test_inputs_and_outputs_must_not_be_changed_in_place():
    same(in_place(lambda T, net: net(leaf(T, 1.0, 2.0)).mul_(2)))
    same(in_place(lambda T, net: net(leaf(T, 1.0, 2.0))[0].mul_(2)))
    same(in_place(lambda T, net: net(leaf(T, 1.0, 2.0), leaf(T, 1.0))[1].add_(2)))
    same(in_place(lambda T, net: net(leaf(T, 1.0, 2.0), T.ones(1))[1].add_(2)))
    same(in_place(lambda T, net: T.nn.Sequential(net, T.nn.ReLU(inplace=True))(leaf(T, 1.0))))

    def inside(T):
        net = T.nn.Sequential(linear(T), T.nn.ReLU(inplace=True))
        net[1].register_full_backward_hook(lambda *args: None)
        return attempt(lambda: net(leaf(T, 1.0, 2.0)))

    same(inside)


def test_backward_hooks_of_the_old_kind():
    def program(T, make, use=lambda out: out):
        seen = []
        net = make(T)
        net.register_backward_hook(lambda m, gi, go: seen.append((type(m).__name__, plain([gi, go]))))
        net.register_backward_hook(lambda m, gi, go: tuple(g if g is None else g * 2 for g in gi))
        x = leaf(T, 0.5, -1.0)
        error = attempt(lambda: use(net(x * 1)).sum().backward())
        return seen, x.grad, error

    same(lambda T: program(T, lambda T: T.nn.Tanh()))
    same(lambda T: program(T, lambda T: T.nn.Sequential(T.nn.Tanh(), T.nn.ReLU())))
    same(lambda T: program(T, lambda T: T.nn.Identity()))
    same(lambda T: program(T, lambda T: layer(T, lambda x: {"n": 3, "a": x.exp()}), lambda out: out["a"]))
    same(lambda T: program(T, lambda T: layer(T, lambda x: [x.exp()]), lambda out: out[0]))
    same(lambda T: program(T, lambda T: layer(T, lambda x: (x.exp(), x.sin())), lambda out: out[0] * out[1]))


def test_the_two_kinds_of_backward_hook_are_not_mixed():
    def program(T):
        a, b = T.nn.Tanh(), T.nn.Tanh()
        a.register_backward_hook(print).remove()
        b.register_full_backward_hook(print).remove()
        M = of_all(T)
        errors = [
            attempt(lambda: a.register_full_backward_hook(print)),
            attempt(lambda: b.register_backward_hook(print)),
        ]
        with no_kind_settled():
            M.register_module_full_backward_hook(print).remove()
            errors.append(attempt(lambda: M.register_module_backward_hook(print)))
        with no_kind_settled():
            M.register_module_backward_hook(print).remove()
            errors.append(attempt(lambda: M.register_module_full_backward_hook(print)))
        return errors

    same(program)
