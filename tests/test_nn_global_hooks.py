"""Hooks common to all modules, held to torch."""

from __future__ import annotations

from contextlib import ExitStack

from minigrad.nn import global_hooks
from tests.layers import layer, linear, no_kind_settled, of_all, plain
from tests.lockstep import attempt, leaf, same


def test_global_hooks_come_before_a_modules_own():
    def program(T):
        seen = []
        M = of_all(T)

        def note(name, result=None):
            def hook(m, *args):
                seen.append((name, type(m).__name__, plain(list(args))))
                return result and result(*args)

            return hook

        net = T.nn.Sequential(linear(T), T.nn.Tanh())
        net[1].register_forward_hook(note("own", lambda args, out: out + 1))
        net[1].register_forward_pre_hook(note("own pre"))
        net[1].register_full_backward_hook(note("own backward"))
        net[1].register_full_backward_pre_hook(note("own backward pre"))
        with no_kind_settled(), ExitStack() as stack:
            for handle in (
                M.register_module_forward_pre_hook(note("pre", lambda args: args[0] * 2)),
                M.register_module_forward_hook(note("forward", lambda args, out: out * 3)),
                M.register_module_forward_hook(note("kwargs"), with_kwargs=True),
                M.register_module_full_backward_pre_hook(note("backward pre", lambda go: (go[0] * 5,))),
                M.register_module_full_backward_hook(note("backward", lambda gi, go: (gi[0] * 7,))),
            ):
                stack.enter_context(handle)
            x = leaf(T, 0.1, -0.2)
            out = net(x)
            out.sum().backward()
        seen.append("removed")
        net(x).sum().backward()
        return seen, out, x.grad

    same(program)
    assert not global_hooks.around_calls, "calls would go on to look for hooks"


def test_global_hooks_that_are_always_called():
    def program(T):
        seen = []

        def fail(*args):
            raise ValueError("no")

        M = of_all(T)
        with (
            M.register_module_forward_hook(lambda m, args, out: seen.append(plain(args)), always_call=True),
            M.register_module_forward_hook(fail, always_call=True),
            M.register_module_forward_hook(lambda *args: seen.append("never")),
        ):
            return attempt(lambda: layer(T, fail)(leaf(T, 1.0))), seen

    same(program)


def test_global_backward_hooks_of_the_old_kind():
    def program(T):
        seen = []
        with no_kind_settled(), of_all(T).register_module_backward_hook(lambda m, gi, go: seen.append(plain([gi, go]))):
            net = T.nn.Tanh()
            net(leaf(T, 0.5) * 1).sum().backward()
        return seen

    same(program)


def test_members_are_shown_to_the_hooks_of_registration_and_may_be_replaced():
    def program(T):
        seen, replace = [], {}

        def hook(module, name, member):
            seen.append((type(module).__name__, name, None if member is None else type(member).__name__))
            return replace.get(name)

        M = of_all(T)
        replace["swapped"] = T.nn.Tanh()
        replace["offset"] = T.nn.Parameter(T.ones(3))
        replace["mean"] = T.ones(4)
        with (
            M.register_module_parameter_registration_hook(hook),
            M.register_module_buffer_registration_hook(hook),
            M.register_module_module_registration_hook(hook),
        ):
            net = T.nn.Sequential(T.nn.Linear(2, 2, bias=False))
            net.swapped = T.nn.ReLU()
            net.add_module("another", T.nn.ReLU())
            net.another = None
            net.offset = T.nn.Parameter(T.zeros(2))
            net.offset = None
            net.register_parameter("offset", T.nn.Parameter(T.zeros(1)))
            net.register_buffer("mean", T.zeros(2))
            net.mean = T.zeros(3)
            net.register_buffer("nothing", None)
            T.nn.BatchNorm1d(1)
        net.late = T.nn.ReLU()
        return seen, repr(net), net.offset, net.mean

    same(program)
