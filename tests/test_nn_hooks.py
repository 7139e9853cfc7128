"""The hooks of modules: who is called, when, with what, and what becomes of what they return, held to torch."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from contextlib import ExitStack, contextmanager

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import minigrad
from minigrad.nn import global_hooks
from tests.lockstep import attempt, same


def plain(value):
    """Tensors as copies, for logs that outlive later changes."""
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        return value.detach().clone()
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def leaf(T, *values):
    return T.tensor(values, requires_grad=True)


def of_all(T):
    """Where torch keeps the hooks common to all modules."""
    return T.nn.modules.module


@contextmanager
def no_kind_settled():
    """torch remembers for the rest of a process which kind of global backward hook it was first given."""
    torch.nn.modules.module._global_is_full_backward_hook = global_hooks._Kind.full = None
    try:
        yield
    finally:
        torch.nn.modules.module._global_is_full_backward_hook = global_hooks._Kind.full = None


def layer(T, function):
    """A module that computes `function`."""

    class Layer(T.nn.Module):
        def forward(self, *args, **kwargs):
            return function(*args, **kwargs)

    return Layer()


def linear(T):
    m = T.nn.Linear(2, 2)
    with T.no_grad():
        m.weight.copy_(T.tensor([[1.0, -2.0], [0.5, 3.0]]))
        m.bias.copy_(T.tensor([0.25, -1.0]))
    return m


# -- forward -----------------------------------------------------------------------------------------------------------


def test_a_hook_that_is_always_called_sees_how_far_a_failing_call_came():
    def program(T, where, begin=None):
        seen = []

        def fail(*args):
            raise ValueError("no")

        net = layer(T, fail if where == "forward" else lambda x, plus=0: x + 1)
        if where == "pre":
            net.register_forward_pre_hook(fail)
        net.register_forward_hook(lambda m, args, out: seen.append(("plain", plain(args), plain(out))))
        net.register_forward_hook(
            lambda m, args, out: seen.append(("early", plain(args), plain(out))), always_call=True
        )
        if where == "hook":
            net.register_forward_hook(fail)
        net.register_forward_hook(fail, always_call=True)
        net.register_forward_hook(
            lambda m, args, kwargs, out: seen.append(("late", plain(args), kwargs, plain(out))) or 7,
            always_call=True,
            with_kwargs=True,
        )
        net.register_forward_hook(lambda m, args, out: seen.append(("after", plain(out))), always_call=True)
        return attempt(lambda: net(leaf(T, 1.0), **({"plus": 1} if where != "forward" else {}))), seen

    for where in ("pre", "forward", "hook", "nowhere"):
        same(lambda T, where=where: program(T, where))


def test_no_hook_is_called_after_an_interruption():
    def program(T):
        seen = []

        def interrupt():
            raise KeyboardInterrupt

        net = layer(T, interrupt)
        net.register_forward_hook(lambda m, args, out: seen.append("called"), always_call=True)
        with pytest.raises(KeyboardInterrupt):
            net()
        return seen

    same(program)


def test_hooks_may_remove_themselves_and_others_and_add_more_during_the_call():
    def program(T):
        seen, handles = [], {}

        def note(name, then=lambda: None):
            def hook(*args):
                seen.append(name)
                then()

            return hook

        net = T.nn.Identity()
        handles["once"] = net.register_forward_hook(note("once", lambda: handles["once"].remove()))
        net.register_forward_hook(note("other", lambda: handles["victim"].remove()))
        handles["victim"] = net.register_forward_hook(note("victim"))
        net.register_forward_hook(note("adds", lambda: net.register_forward_hook(note("new"))))
        handles["pre"] = net.register_forward_pre_hook(note("pre", lambda: handles["pre"].remove()))
        for _ in range(3):
            seen.append("call")
            net(leaf(T, 1.0))
        return seen

    same(program)


def test_a_module_is_quick_again_in_calling_no_hook_once_all_are_removed():
    def program(T):
        seen = []
        net = T.nn.Identity()
        with net.register_forward_hook(lambda *a: seen.append(1)):
            net(0)
        net(0)
        net.register_forward_pre_hook(lambda *a: seen.append(2))
        net(0)
        net._forward_pre_hooks.clear()
        net(0)
        return seen

    same(program)


def test_handles_forget_copies_follow_and_marks_are_removed():
    def program(T):
        net = T.nn.Identity()
        handle = net.register_forward_hook(print, with_kwargs=True, always_call=True)
        pre = net.register_forward_pre_hook(print, with_kwargs=True)
        clone, clone_handle = copy.deepcopy((net, handle))
        clone_handle.remove()
        clone_handle.remove()
        again, again_handle = pickle.loads(pickle.dumps((net, handle)))
        again_handle.remove()
        alone = pickle.loads(pickle.dumps(handle))
        alone.remove()
        sizes = [
            [len(v) for k, v in vars(m).items() if "hook" in k and isinstance(v, dict)] for m in (net, clone, again)
        ]
        pre.remove()
        sizes.append([len(v) for k, v in vars(net).items() if "hook" in k and isinstance(v, dict)])
        held = handle.hooks_dict_ref() is net._forward_hooks
        del net
        return sizes, held, alone.hooks_dict_ref(), handle.hooks_dict_ref(), handle.remove()

    same(program)


CALLED = []


def note_call(module, args, output):
    CALLED.append(plain(output))


def note_backward(module, grad_input, grad_output):
    CALLED.append(plain([grad_input, grad_output]))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_have_the_hooks_too(duplicate):
    def program(T):
        CALLED.clear()
        net = T.nn.Tanh()
        net.register_forward_hook(note_call)
        net.register_full_backward_hook(note_backward)
        clone = duplicate(net)
        net._forward_hooks.clear()
        clone(leaf(T, 0.5)).sum().backward()
        return list(CALLED)

    same(program)


def test_a_module_has_torchs_attributes_and_registrations_torchs_arguments():
    def program(T):
        net = T.nn.Identity()
        error = attempt(lambda: net.register_forward_hook(print, True))
        return sorted({*vars(net)} - {"_hooked"}), type(error).__name__

    same(program)


def test_a_module_whose_init_was_not_called_cannot_be_called():
    def program(T):
        class Forgetful(T.nn.Module):
            def __init__(self):
                self.scale = 3

            def forward(self, x):
                return x * self.scale

        return attempt(lambda: Forgetful()(T.ones(1)))

    same(program)


# -- backward ----------------------------------------------------------------------------------------------------------

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


# -- common to all modules ---------------------------------------------------------------------------------------------


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


# -- state dicts -------------------------------------------------------------------------------------------------------


def test_hooks_around_the_making_of_a_state_dict():
    def program(T):
        seen = []

        def post(module, state, prefix, about):
            seen.append(("post", type(module).__name__, list(state), prefix, about))
            state[prefix + "extra"] = T.ones(1)

        net = T.nn.Sequential(linear(T), T.nn.Sequential(linear(T)))
        for m in net.modules():
            m.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(("pre", prefix, keep)))
            m.register_state_dict_post_hook(post)
        handle = net._register_state_dict_hook(lambda m, state, prefix, about: {"n": len(state)})
        net[1]._register_state_dict_hook(lambda m, state, prefix, about: {"lost": 1})
        first = net.state_dict()
        handle.remove()
        return (
            first,
            net.state_dict(keep_vars=True, prefix="p."),
            seen,
            attempt(lambda: net._register_state_dict_hook(post)),
        )

    same(program)


def test_a_post_hook_of_the_public_kind_returns_nothing():
    def program(T):
        net = linear(T)
        net.register_state_dict_post_hook(lambda *args: 3)
        return attempt(net.state_dict)

    same(program)
    same(lambda T: list(linear(T).state_dict(None, "p.")))


def test_hooks_around_loading():
    def program(T, strict):
        seen = []
        net = T.nn.Sequential(linear(T), T.nn.Sequential(linear(T)))
        state = net.state_dict()
        state["1.0.old_bias"] = state.pop("1.0.bias") + 1
        state["superfluous"] = T.ones(1)

        def pre(module, given, prefix, about, strict, missing, unexpected, errors):
            seen.append(("pre", prefix, list(given), dict(about), strict, list(missing), list(unexpected)))
            if f"{prefix}old_bias" in given:
                given[f"{prefix}bias"] = given.pop(f"{prefix}old_bias")

        def post(module, keys):
            seen.append(("post", type(module).__name__, list(keys.missing_keys), list(keys.unexpected_keys)))
            if strict:
                keys.unexpected_keys.clear()

        for m in net.modules():
            m.register_load_state_dict_pre_hook(pre)
        net[0]._register_load_state_dict_pre_hook(lambda given, prefix, *rest: seen.append(("old", prefix)))
        net[0].register_load_state_dict_post_hook(post)
        net.register_load_state_dict_post_hook(post)
        net = copy.deepcopy(net)
        keys = attempt(lambda: net.load_state_dict(state, strict=strict))
        return str(keys), seen, net[1][0].bias, list(state)

    same(lambda T: program(T, True))
    same(lambda T: program(T, False))


def test_a_hook_after_loading_returns_nothing():
    def program(T):
        net = linear(T)
        net.register_load_state_dict_post_hook(lambda module, keys: keys)
        return attempt(lambda: net.load_state_dict(net.state_dict()))

    same(program)


# -- any arrangement ---------------------------------------------------------------------------------------------------

KINDS = ["forward_pre_hook", "forward_hook", "full_backward_pre_hook", "full_backward_hook"]
hooks = st.tuples(
    st.integers(0, 9),  # on which module; counted round
    st.sampled_from(KINDS),
    st.booleans(),  # prepend
    st.sampled_from(["look", "look", "replace", "once"]),
    st.booleans(),  # with keyword arguments, where that can be chosen
)
trees = st.recursive(
    st.sampled_from(["linear", "tanh", "identity"]),
    lambda below: st.one_of(
        st.tuples(st.just("chain"), st.lists(below, min_size=1, max_size=3)),
        st.tuples(st.just("twice"), st.lists(below, min_size=1, max_size=1)),
        st.tuples(st.just("fork"), st.lists(below, min_size=2, max_size=2)),
    ),
    max_leaves=4,
)


def build(T, tree):
    """The module that a drawn tree describes."""
    if tree == "linear":
        return linear(T)
    if isinstance(tree, str):
        return {"tanh": T.nn.Tanh, "identity": T.nn.Identity}[tree]()
    kind, below = tree
    children = [build(T, t) for t in below]
    if kind == "chain":
        return T.nn.Sequential(*children)
    if kind == "twice":
        net = layer(T, lambda x, scale=1.0: children[0](children[0](x) * scale))
    else:
        net = layer(T, lambda x, scale=1.0: children[0](x) * scale + children[1](x))
    for i, child in enumerate(children):
        net.add_module(str(i), child)
    return net


def drawn_hook(T, seen, name, kind, what, with_kwargs, handles):
    """A hook that notes what it is given, and perhaps replaces it, or removes itself."""

    def hook(module, *args):
        seen.append((name, type(module).__name__, plain(list(args))))
        if what == "once":
            handles[name].remove()
        if what != "replace":
            return None
        if kind == "forward_pre_hook":
            changed = tuple(a * 1.5 for a in args[0])
            return (changed, args[1]) if with_kwargs else changed
        if kind == "forward_hook":
            return args[-1] * 1.25
        return tuple(g if g is None else g * 0.75 + 0.5 for g in args[0])

    return hook


@settings(deadline=None, max_examples=60)
@given(trees, st.lists(hooks, min_size=1, max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_any_arrangement_of_hooks(tree, drawn, wanted, again, higher):
    def program(T):
        seen, handles = [], {}
        net = build(T, tree)
        modules = list(net.modules())
        for name, (where, kind, prepend, what, with_kwargs) in enumerate(drawn):
            marked = with_kwargs and kind.startswith("forward")
            hook = drawn_hook(T, seen, name, kind, what, marked, handles)
            register = getattr(modules[where % len(modules)], f"register_{kind}")
            if kind.startswith("forward"):
                handles[name] = register(hook, prepend=prepend, with_kwargs=marked)
            elif not wanted and what == "replace":
                handles[name] = register(drawn_hook(T, seen, name, kind, "look", marked, handles), prepend=prepend)
            else:
                handles[name] = register(hook, prepend=prepend)
        x = T.tensor([[0.1, -0.2]], requires_grad=wanted)
        out = net(x) * T.tensor(2.0, requires_grad=True)
        seen.append("backward")
        # Not with hooks that warn: torch gives its warning of create_graph, and only that, when the walk is over.
        out.sum().backward(retain_graph=again, create_graph=higher and wanted)
        if again:
            out.sum().backward()
        return seen, x.grad, [p.grad for p in net.parameters()]

    same(program, rtol=1e-5)
