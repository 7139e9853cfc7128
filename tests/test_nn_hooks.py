"""The hooks of modules and of state dicts: who is called, when, with what, and what becomes of what they return."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layers import layer, linear, plain
from tests.lockstep import attempt, leaf, same

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
