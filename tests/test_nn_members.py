"""A module's members asked for by name, replaced and refused; and what the class itself has."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tests.lockstep import attempt, same


def net(T: Any) -> Any:
    T.manual_seed(0)
    model = T.nn.Sequential(T.nn.Linear(2, 3), T.nn.BatchNorm1d(3), T.nn.Sequential(T.nn.ReLU(), T.nn.Linear(3, 1)))
    model.register_buffer("counts", T.arange(3))
    model.plain = 3
    return model


def placed(target: str, module: Any, **options: Any) -> Any:
    def program(T: Any) -> Any:
        model = net(T)
        return model.set_submodule(target, module(T), **options), repr(model)

    return program


def tanh(T: Any) -> Any:
    return T.nn.Tanh()


@pytest.mark.parametrize(
    ("target", "module", "strict"),
    [(t, tanh, s) for s in (False, True) for t in ("0", "2.0", "2.9", "new", "", "x.y", "0.weight", "counts", "plain")]
    + [("plain.x", tanh, False), ("2..0", tanh, False), ("0.", tanh, False), ("0", lambda T: 5, False)],
)
def test_set_submodule(target: str, module: Any, strict: bool) -> None:
    same(placed(target, module, strict=strict))
    if not strict:
        same(placed(target, module))


def test_shared_members_by_each_of_their_names() -> None:
    def program(T: Any) -> Any:
        model = T.nn.Module()
        model.a = model.b = T.nn.Linear(1, 1)
        model.weight, model.none = model.a.weight, None
        model.register_buffer("x", T.ones(1))
        model.register_buffer("y", model.x)
        model.register_module("nothing", None)
        kinds = (model.named_parameters, model.named_buffers, model.named_modules)
        listed = [[n for n, _ in k(prefix="p", remove_duplicate=r)] for k in kinds for r in (True, False)]
        counted = [len(list(model.modules(remove_duplicate=r))) for r in (True, False)]
        own = [[n for n, _ in k("q", False, r)] for k in kinds[:2] for r in (True, False)]
        return listed, counted, own, [n for n, _ in model.named_modules(memo={model.a})], len(list(model.children()))

    same(program)


@pytest.mark.parametrize("getter", ["get_submodule", "get_parameter", "get_buffer"])
def test_members_by_dotted_name(getter: str) -> None:
    targets = ["", "0", "2.1", "2.7", "plain", "counts", "0.weight", "1.running_mean", "2.1.weight", "a.b", "0.", "x.w"]

    def program(T: Any) -> Any:
        model = net(T)
        found = [attempt(lambda t=t: getattr(model, getter)(t)) for t in targets]
        return [repr(f) if isinstance(f, T.nn.Module) else f for f in found]

    same(program)


def test_extra_state_of_a_module_without_one() -> None:
    same(lambda T: [attempt(net(T).get_extra_state), attempt(lambda: net(T).set_extra_state(1))])


def test_members_one_after_the_other() -> None:
    """Each step meets what those before it have left."""

    def program(T: Any) -> Any:
        m, parameter, tensor, module = T.nn.Module(), lambda: T.nn.Parameter(T.ones(1)), T.ones(1), T.nn.Tanh
        m.plain = 1
        steps = [
            lambda: m.add_module("a", module()), lambda: m.add_module("a", None), lambda: m.add_module("x", 3),
            lambda: m.add_module("forward", module()), lambda: m.register_module("q", module()),
            lambda: m.register_buffer("b", tensor, persistent=False), lambda: m.register_buffer("b", None),
            lambda: m.register_buffer("train", tensor), lambda: m.register_buffer("from_parameter", parameter()),
            lambda: m.register_buffer("made", T.ones(1, requires_grad=True) * 2),
            lambda: m.register_parameter("p", parameter()), lambda: m.register_parameter("p", None),
            lambda: m.register_parameter("made", T.ones(1, requires_grad=True) * 2),
            lambda: m.register_parameter("b", None), lambda: setattr(m, "p", tensor), lambda: setattr(m, "a", tensor),
            lambda: setattr(m, "b", parameter()), lambda: setattr(m, "made", 3), lambda: setattr(m, "a", 3),
            lambda: setattr(m, "plain", module()), lambda: delattr(m, "missing"), lambda: m.missing,
            lambda: delattr(m, "made"), lambda: delattr(m, "plain"), lambda: delattr(m, "p"), lambda: delattr(m, "p"),
        ]  # fmt: skip
        results = [attempt(step) for step in steps]
        kept = [sorted(r) for r in (m._buffers, m._parameters, m._modules, m._non_persistent_buffers_set)]
        return results, kept, dict(m.state_dict())

    same(program)


def test_a_class_is_no_module() -> None:
    def program(T: Any) -> Any:
        class Own(T.nn.Module):
            pass

        return attempt(lambda: T.nn.Module().add_module("x", Own)), attempt(lambda: T.nn.Sequential(Own))

    same(program)


def test_nothing_works_before_init() -> None:
    def program(T: Any) -> Any:
        class Early(T.nn.Module):
            def __init__(self, act: Any) -> None:
                act(self)

        acts = [
            lambda m: setattr(m, "b", T.nn.Buffer(T.ones(1))), lambda m: m.add_module("b", T.nn.Tanh()),
            lambda m: m.missing, lambda m: delattr(m, "missing"), repr, lambda m: list(m.parameters()),
            lambda m: list(m.named_buffers()), lambda m: m(1), lambda m: m.train(), lambda m: m.state_dict(),
            lambda m: m.register_forward_hook(print),
        ]  # fmt: skip
        return [attempt(lambda act=act: Early(act)) for act in acts]

    same(program)


def test_arguments_of_the_constructor() -> None:
    def program(T: Any) -> Any:
        class Other:
            def __init__(self, a: Any, k: int = 1) -> None:
                self.given = (a, k)

        class Passes(T.nn.Module, Other):
            call_super_init = True

        class Keeps(T.nn.Module, Other):
            pass

        passed = Passes(T.nn.Tanh(), k=2)
        refused = [
            lambda: Keeps(1),
            lambda: Keeps(k=2),
            lambda: Passes(),
            lambda: T.nn.Module(3),
            lambda: T.nn.Module(a=3),
        ]
        return repr(passed), passed.given[1], hasattr(Keeps(), "given"), [attempt(make) for make in refused]

    same(program)


def test_own_kinds_of_members() -> None:
    """By the same walk as the parameters'."""

    def program(T: Any) -> Any:
        class Named(T.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.tags = {"first": self, "none": None}

        model = T.nn.Sequential(Named(), T.nn.Sequential(Named()))
        walk = model._named_members
        tags = [n for n, _ in walk(lambda m: getattr(m, "tags", {}).items(), prefix="p")]
        return (
            tags,
            [n for n, _ in walk(lambda m: [("x", 1)], remove_duplicate=False)],
            list(walk(lambda m: [], "", False)),
        )

    same(program)


def doubled(module: Any, args: Any, out: Any) -> Any:
    return out * 2


def test_copies_of_a_module_with_all_it_may_have() -> None:
    """Hooks, plain attributes, shared and frozen parameters, gradients, buffers that are not saved, modes."""

    def program(T: Any) -> Any:
        model = net(T)
        model[0].register_forward_hook(doubled)
        model.shared, model.listed = model[0].weight, [1, 2]
        model.register_buffer("hidden", T.ones(1), persistent=False)
        model.register_buffer("also_hidden", model.hidden, persistent=False)
        model(T.ones(3, 2)).sum().backward()
        model[0].bias.requires_grad_(False)
        model[2].eval()
        seen = []
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            kept = twin.shared is twin[0].weight, twin.hidden is twin.also_hidden, twin.listed is model.listed
            seen.append((kept, twin(T.ones(2, 2)), [(p.requires_grad, p.grad) for p in twin.parameters()]))
            seen.append((dict(twin.state_dict()), [m.training for m in twin.modules()], len(twin[0]._forward_hooks)))
        shallow = copy.copy(model)
        shallow.new = T.nn.Tanh()
        seen.append((shallow[0] is model[0], hasattr(model, "new"), shallow._modules is model._modules))
        model.result = model(T.ones(2, 2))
        return seen, attempt(lambda: copy.deepcopy(model))

    same(program)


def test_copies_of_a_parametrized_module() -> None:
    def program(T: Any) -> Any:
        T.manual_seed(0)
        model = T.nn.utils.parametrizations.weight_norm(T.nn.Linear(2, 2))
        twin = copy.deepcopy(model)
        twin.weight = T.ones(2, 2)
        return model.weight, twin.weight, repr(twin), list(twin.state_dict()), attempt(lambda: pickle.dumps(model))

    same(program)


def test_what_the_class_has() -> None:
    def program(T: Any) -> Any:
        M = T.nn.Module
        return M.dump_patches, M.call_super_init, M._version, repr(M.T_destination), M().training

    same(program)


def test_compile_changes_nothing() -> None:
    """torch's own result is that of the eager module: here it is the eager module."""
    import minigrad

    model = net(minigrad)
    x, before = minigrad.ones(4, 2), net(minigrad)
    assert model.compile(mode="max-autotune", fullgraph=True) is None
    assert (model(x) == before(x)).all()
    assert repr(model) == repr(before)
