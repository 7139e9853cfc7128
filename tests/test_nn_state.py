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
