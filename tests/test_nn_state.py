"""`state_dict` and `load_state_dict`, on torch and on minigrad."""

from __future__ import annotations

import pytest

import minigrad
from tests.lockstep import attempt, same


def net(T):
    T.manual_seed(0)
    return T.nn.Sequential(T.nn.Linear(2, 1), T.nn.BatchNorm1d(1))


def test_a_state_dict_shares_memory_and_has_no_history():
    def program(T):
        module = net(T)
        state = module.state_dict()
        with T.no_grad():
            module[0].weight += 1
        kept = module.state_dict(keep_vars=True)
        return (
            state,
            [t.requires_grad for t in state.values()],
            kept["0.weight"] is module[0].weight,
            list(module.state_dict(prefix="p.")),
            list(module.state_dict(destination={"x": 1})),
            {k: dict(v) for k, v in state._metadata.items()},
        )

    same(program)


LOADS = {
    "all": lambda T, s: s,
    "missing": lambda T, s: {k: v for k, v in s.items() if k != "0.bias"},
    "unexpected": lambda T, s: {**s, "foo": T.ones(1), "0.z": T.ones(1), "0.weight.x": T.ones(1), "q.r": T.ones(1)},
    "shapes": lambda T, s: {**s, "0.weight": T.ones(1, 3), "1.running_mean": T.ones(2)},
    "no tensor": lambda T, s: {**s, "0.weight": 3, "0.bias": "x"},
    "all wrong": lambda T, s: {"0.weight": T.ones(1, 3), "bar": 2},
    "another dtype": lambda T, s: {**s, "0.weight": T.tensor([[1, 2]])},
    "not counted": lambda T, s: {k: v for k, v in s.items() if "num_batches" not in k},
    "list": lambda T, s: [1],
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", LOADS)
def test_loading(name, strict):
    def program(T):
        module = net(T)
        source = {k: v + 1 for k, v in module.state_dict().items()}
        state = LOADS[name](T, source)
        try:
            outcome = repr(module.load_state_dict(state, strict=strict))
        except Exception as error:
            outcome = [type(error), str(error)]
        return outcome, list(module.state_dict().items()), [p.requires_grad for p in module.parameters()]

    same(program)


def test_what_is_returned():
    def program(T):
        module = net(T)
        missing, unexpected = module.load_state_dict({"x": T.ones(1)}, strict=False)
        full = module.load_state_dict(module.state_dict())
        return missing, unexpected, repr(full), full.missing_keys

    same(program)


def test_assigned_instead_of_copied():
    def program(T):
        module, source = net(T), net(T).double()
        module[0].bias.requires_grad_(False)
        before = module[0].weight
        module.load_state_dict(source.state_dict(), assign=True)
        return (
            [str(t.dtype) for t in [*module.parameters(), *module.buffers()]],
            [p.requires_grad for p in module.parameters()],
            module[0].weight is before,
            isinstance(module[0].weight, T.nn.Parameter),
            attempt(lambda: module.load_state_dict({**source.state_dict(), "0.bias": T.ones(2)}, assign=True)).type,
        )

    same(program)


def test_loading_is_counted_as_a_change():
    """A parameter that was saved for backward and then loaded over is an error, not a wrong gradient."""

    def program(T):
        module = net(T)[0]
        loss = (module.weight**2).sum()
        module.load_state_dict(module.state_dict())
        return attempt(lambda: loss.backward()).type

    assert same(program) is RuntimeError


def test_modules_may_save_in_their_own_way():
    def program(T):
        class Renamed(T.nn.Module):
            def __init__(self):
                super().__init__()
                self.w = T.nn.Parameter(T.ones(2))

            def _save_to_state_dict(self, destination, prefix, keep_vars):
                destination[prefix + "old"] = self.w.detach()

            def _load_from_state_dict(self, state_dict, prefix, *rest):
                renamed = {k.replace("old", "w"): v for k, v in state_dict.items()}
                super()._load_from_state_dict(renamed, prefix, *rest)

        module = T.nn.Sequential(Renamed())
        state = {k: v * 3 for k, v in module.state_dict().items()}
        return list(state), repr(module.load_state_dict(state)), module[0].w

    same(program)


def test_minigrad_only_names_what_it_holds():
    module = minigrad.nn.Linear(1, 1)
    module.register_buffer("none", None)
    module.register_buffer("temporary", minigrad.ones(1), persistent=False)
    assert list(module.state_dict()) == ["weight", "bias"]


def test_extra_state():
    def program(T):
        class Counter(T.nn.Module):
            def __init__(self):
                super().__init__()
                self.calls, self.weight = 0, T.nn.Parameter(T.ones(1))

            def get_extra_state(self):
                return {"calls": self.calls}

            def set_extra_state(self, state):
                self.calls = state["calls"]

        class Writer(T.nn.Module):
            def get_extra_state(self):
                return 5

        net, other = T.nn.Sequential(Counter(), T.nn.Linear(1, 1)), T.nn.Sequential(Counter(), T.nn.Linear(1, 1))
        net[0].calls = 3
        saved = net.state_dict()
        other.load_state_dict(saved)
        del saved["0._extra_state"]
        plain = T.nn.Linear(1, 1)
        return (
            *(list(net.state_dict()), net.state_dict()["0._extra_state"], other[0].calls),
            attempt(lambda: other.load_state_dict(saved)),
            list(other.load_state_dict(saved, strict=False).missing_keys),
            attempt(lambda: plain.load_state_dict({**plain.state_dict(), "_extra_state": 1})),
            attempt(lambda: Writer().load_state_dict(Writer().state_dict())),
            *(attempt(plain.get_extra_state), attempt(lambda: plain.set_extra_state(1))),
        )

    same(program)


# -- versions, requires_grad and hooks -------------------------------------------------------------------------------


def loaded(change, module=None, **options):
    """What loading the changed state dict of a net returns and leaves."""

    def program(T):
        make = module or net
        given, model = make(T).state_dict(), make(T)
        return attempt(lambda: str(model.load_state_dict(change(T, given), **options))), dict(model.state_dict())

    return program


def metadata(version):
    """A batch norm's state without the count of batches, as a layout of this version."""

    def change(T, state):
        del state["num_batches_tracked"]
        state._metadata = {"": {"version": version}}
        return state

    return change


def batch_norm(T):
    return T.nn.BatchNorm1d(2)


@pytest.mark.parametrize(
    "program",
    [
        loaded(lambda T, s: {**s, "num_batches_tracked": T.tensor([5])}, batch_norm),
        loaded(lambda T, s: {**s, "num_batches_tracked": T.tensor([5, 6])}, batch_norm),
        loaded(lambda T, s: {**s, "running_mean": T.ones(2, dtype=T.float64) / 3}, batch_norm),
        loaded(lambda T, s: {**s, "num_batches_tracked": T.tensor(2.7)}, batch_norm),
        loaded(lambda T, s: {**s, "bias": [1.0, 2.0]}, batch_norm),
        loaded(lambda T, s: {**s, "bias": 3}, batch_norm, strict=False),
        loaded(lambda T, s: {f"module.{k}": v for k, v in s.items()}, batch_norm),
        loaded(metadata(1), batch_norm),
        loaded(metadata(2), batch_norm),
        loaded(metadata(2), batch_norm, strict=False),
        loaded(lambda T, s: dict(s), batch_norm, assign=True),
        loaded(lambda T, s: {**s, "weight": T.ones(2, dtype=T.int64)}, batch_norm),
        loaded(lambda T, s: {**s, "weight": T.ones(2, dtype=T.int64)}, batch_norm, assign=True),
        loaded(lambda T, s: {**s, "running_mean": T.ones(2, dtype=T.int64)}, batch_norm, assign=True),
        loaded(lambda T, s: {**s, "weight": T.ones(3)}, batch_norm, assign=True, strict=False),
        loaded(lambda T, s: {**s, "weight": T.ones(2, requires_grad=True) * 2}, batch_norm, assign=True),
        loaded(lambda T, s: 3),
        loaded(lambda T, s: list(s.items())),
    ],
)
def test_entries_that_do_not_quite_fit(program):
    same(program)


def test_an_assigned_parameter_wants_a_gradient_as_the_one_before_it():
    def program(T):
        seen = []
        for ours in (True, False):
            for theirs in (True, False):
                for keep_vars in (True, False):
                    model, source = T.nn.Linear(2, 2), T.nn.Linear(2, 2).double()
                    model.weight.requires_grad_(ours)
                    source.weight.requires_grad_(theirs)
                    model.load_state_dict(source.state_dict(keep_vars=keep_vars), assign=True)
                    w = model.weight
                    seen.append((w is source.weight, w.requires_grad, w.is_leaf, type(w).__name__, str(w.dtype)))
                    seen.append((source.weight.requires_grad, w.data_ptr() == source.weight.data_ptr()))
        return seen

    same(program)


def test_a_parameter_assigned_to_a_buffer():
    def program(T):
        model = T.nn.BatchNorm1d(2)
        result = str(
            model.load_state_dict({**model.state_dict(), "running_mean": T.nn.Parameter(T.ones(2))}, assign=True)
        )
        return result, sorted(model._parameters), sorted(model._buffers), list(model.state_dict())

    same(program)


def test_a_module_may_know_its_older_layouts():
    def program(T):
        seen = []

        class Renamed(T.nn.Module):
            _version = 3

            def __init__(self):
                super().__init__()
                self.new = T.nn.Parameter(T.zeros(1))

            def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
                seen.append((prefix, dict(local_metadata), strict))
                if local_metadata.get("version", 0) < 3 and prefix + "old" in state_dict:
                    state_dict[prefix + "new"] = state_dict.pop(prefix + "old")
                super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing, unexpected, errors)

        model = T.nn.Sequential(Renamed(), Renamed())
        saved = model.state_dict()
        old = type(saved)([("0.old", T.ones(1)), ("1.new", T.ones(1))])
        results = [attempt(lambda s=s: str(model.load_state_dict(s))) for s in (saved, old, dict(old))]
        old._metadata = type(saved)({"0": {"version": 2, "more": 1}, "1": {"version": 3}})
        results += [attempt(lambda a=a: str(model.load_state_dict(old, assign=a))) for a in (False, True)]
        return results, seen, list(old), dict(model.state_dict()), {k: dict(v) for k, v in saved._metadata.items()}

    same(program)


def test_hooks_of_saving_and_loading():
    def program(T):
        seen, model = [], net(T)
        model[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
        model.register_state_dict_post_hook(lambda m, s, prefix, about: seen.append((list(s), prefix, dict(about))))
        handle = model._register_state_dict_hook(lambda m, s, prefix, about: {**s, "added": 1})
        seen.append(list(model.state_dict()))
        handle.remove()
        saved = model.state_dict(keep_vars=True)
        del saved["0.bias"]
        model.register_load_state_dict_pre_hook(
            lambda m, s, prefix, about, strict, *lists: seen.append((prefix, strict))
        )
        model[0].register_load_state_dict_pre_hook(lambda m, s, prefix, *rest: s.update({f"{prefix}extra": T.ones(1)}))
        results = [attempt(lambda: str(model.load_state_dict(saved)))]
        model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
        model.register_load_state_dict_post_hook(lambda m, keys: keys.unexpected_keys.clear())
        return seen, [*results, attempt(lambda: str(model.load_state_dict(saved)))], list(saved)

    same(program)


def test_hooks_that_return_what_they_may_not():
    def program(T):
        first, second, third = (T.nn.Linear(1, 1) for _ in range(3))
        first.register_state_dict_post_hook(lambda *args: {})
        second.register_load_state_dict_post_hook(lambda *args: 1)
        hook = lambda *args: None
        third.register_state_dict_post_hook(hook)
        actions = [first.state_dict, lambda: second.load_state_dict(second.state_dict())]
        return [attempt(a) for a in [*actions, lambda: third._register_state_dict_hook(hook)]]

    same(program)


def test_buffers_that_are_not_saved():
    def program(T):
        model, seen = T.nn.Module(), []
        model.register_buffer("hidden", T.ones(2), persistent=False)
        model.register_buffer("shown", T.ones(2))
        for state in ({"shown": T.zeros(2)}, {"hidden": T.zeros(2), "shown": T.zeros(2)}):
            seen.append(
                (attempt(lambda s=state: str(model.load_state_dict(s))), list(model.state_dict()), model.hidden)
            )
        model.register_buffer("hidden", T.ones(2))
        model.shown = None
        seen.append((list(model.state_dict()), attempt(lambda: str(model.load_state_dict({"shown": T.ones(2)})))))
        model.late = T.nn.Buffer(T.ones(1), persistent=False)
        model.late = T.zeros(3)
        seen.append((list(model.state_dict()), [n for n, _ in model.named_buffers()]))
        del model.late
        model.late = T.nn.Buffer(T.ones(1))
        return seen, list(model.state_dict())

    same(program)
