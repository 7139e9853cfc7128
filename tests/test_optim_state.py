"""Optimizers saved, loaded, hooked and written by users, compared with torch."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minigrad
import minigrad.optim
from reference.cases.optimizers import OPTIMIZERS
from reference.outcomes import assert_same_outcome

over_the_optimizers = pytest.mark.parametrize("name", [case.name for case in OPTIMIZERS])


def leaf(T: ModuleType, *values: float, grad: float | None = 1.0) -> Any:
    p = T.tensor(values, requires_grad=True)
    if grad is not None:
        p.grad = T.full((len(values),), grad)
    return p


def make(T: ModuleType, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(T.optim, name)(*args, **kwargs)


# -- state dicts -------------------------------------------------------------------------------------------------------


def test_state_dict_shares_the_live_tensors() -> None:
    def script(T: ModuleType) -> Any:
        p, q = leaf(T, 1.0), leaf(T, 1.0)
        optimizer, other = make(T, "Adam", [p]), make(T, "Adam", [q])
        optimizer.step()
        saved = optimizer.state_dict()
        other.load_state_dict(saved)
        optimizer.step()
        shared = [saved["state"][0][n] is optimizer.state[p][n] for n in optimizer.state[p]]
        return shared, other.state[q]["step"].item(), saved["state"][0]["step"].item(), list(saved["state"][0])

    assert_same_outcome(script)


def test_state_is_cast_to_the_parameters_dtype_except_the_count() -> None:
    def script(T: ModuleType) -> Any:
        p = T.ones(2, dtype=T.float64, requires_grad=True)
        q = T.ones(2, requires_grad=True)
        p.grad = T.ones(2, dtype=T.float64)
        first, second = make(T, "Adam", [p], amsgrad=True), make(T, "Adam", [q])
        first.step()
        saved = first.state_dict()
        saved["state"][0] |= {"extra": [T.ones(1, dtype=T.float64), 3], "more": {"step": T.ones(1, dtype=T.float64)}}
        second.load_state_dict(saved)
        state = second.state[q]
        dtypes = {name: str(state[name].dtype) for name in ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
        return dtypes, str(state["extra"][0].dtype), state["extra"][1], str(state["more"]["step"].dtype)

    assert_same_outcome(script)


def load(T: ModuleType, change: Callable[[dict[str, Any]], Any], name: str = "Adam", **options: Any) -> Any:
    """Load a changed state dict, and what is there afterwards."""
    p, q = leaf(T, 1.0), leaf(T, 2.0)
    optimizer = make(T, name, [p, q], **options)
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(change(saved) or saved)
    optimizer.step()
    values = optimizer.state.values()
    return repr(optimizer), [{k: (type(v).__name__, str(v.dtype)) for k, v in state.items()} for state in values]


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(saved: dict[str, Any]) -> None:
        for name in names:
            del saved["param_groups"][0][name]

    return change


def as_numbers(saved: dict[str, Any]) -> None:
    for state in saved["state"].values():
        state |= {name: value.item() for name, value in state.items() if value.ndim == 0}


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "nothing": lambda saved: None,
    "fewer groups": lambda saved: saved | {"param_groups": []},
    "fewer parameters": lambda saved: saved["param_groups"][0]["params"].pop() and None,
    "no state": lambda saved: saved | {"state": {}},
    "no state at all": lambda saved: {"param_groups": saved["param_groups"]},
    "no groups at all": lambda saved: {"state": saved["state"]},
    "other learning rate": lambda saved: saved["param_groups"][0].update(lr=0.5),
    "no learning rate": without("lr"),
    "an older release": without("maximize", "foreach", "differentiable"),
    "names": lambda saved: saved["param_groups"][0].update(param_names=["a", "b"]),
    "numbers, not tensors": as_numbers,
    "foreign state": lambda saved: saved["state"].update(note="kept"),
}


@pytest.mark.parametrize("name", [case.name for case in OPTIMIZERS if case.name != "SGD"])
@pytest.mark.parametrize("change", CHANGES)
def test_changed_state_dicts_get_torchs_verdict(name: str, change: str) -> None:
    if change == "foreign state":

        def script(T: ModuleType) -> Any:
            optimizer = make(T, "SGD", [leaf(T, 1.0)])
            optimizer.load_state_dict({**optimizer.state_dict(), "state": {"note": "kept"}})
            return optimizer.state_dict()["state"]
    else:

        def script(T: ModuleType) -> Any:
            return load(T, CHANGES[change], name)

    assert_same_outcome(script)


def test_adamw_stays_decoupled_with_a_state_of_adam() -> None:
    def script(T: ModuleType) -> Any:
        p = leaf(T, 1.0)
        optimizer = make(T, "AdamW", [p])
        optimizer.load_state_dict(make(T, "Adam", [p]).state_dict())
        return repr(optimizer)

    assert_same_outcome(script)


def test_names_are_saved_and_kept() -> None:
    def script(T: ModuleType) -> Any:
        named, plain = make(T, "SGD", [("w", leaf(T, 1.0))]), make(T, "SGD", [leaf(T, 1.0)])
        saved = named.state_dict()["param_groups"]
        named.load_state_dict(plain.state_dict())
        kept = named.state_dict()["param_groups"]
        return saved, kept

    assert_same_outcome(script)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
def test_a_parameter_listed_twice_has_its_last_number() -> None:
    def script(T: ModuleType) -> Any:
        p, q = leaf(T, 1.0), leaf(T, 2.0)
        optimizer = make(T, "Adam", [p, q, q])
        optimizer.step()
        saved = optimizer.state_dict()
        return list(saved["state"]), saved["param_groups"][0]["params"]

    assert_same_outcome(script)


def test_loading_adds_the_default_that_every_optimizer_has() -> None:
    def script(T: ModuleType) -> Any:
        optimizer = make(T, "LBFGS", [leaf(T, 1.0)])
        optimizer.load_state_dict(optimizer.state_dict())
        return optimizer.defaults, repr(optimizer)

    assert_same_outcome(script)


@over_the_optimizers
def test_pickle_keeps_what_torch_keeps(name: str) -> None:
    def script(T: ModuleType) -> Any:
        p = leaf(T, 1.0)
        optimizer = make(T, name, [p], lr=0.5)
        optimizer.step()
        optimizer.note = "lost"
        again = pickle.loads(pickle.dumps(optimizer))
        own = again.param_groups[0]["params"][0]
        return repr(again), hasattr(again, "note"), own is p, own.tolist(), list(again.state) == [own]

    assert_same_outcome(script)


# -- hooks -------------------------------------------------------------------------------------------------------------


@over_the_optimizers
def test_hooks_run_in_torchs_order(name: str) -> None:
    def script(T: ModuleType) -> Any:
        p = leaf(T, 1.0)
        optimizer = make(T, name, [p])
        events: list[Any] = []

        def note(what: str) -> Callable[..., None]:
            return lambda *args: events.append((what, [type(a).__name__ for a in args], p.tolist() == [1.0]))

        handles = [
            optimizer.register_step_pre_hook(note("before")),
            optimizer.register_step_pre_hook(note("before too")),
            optimizer.register_step_post_hook(note("after")),
            optimizer.register_state_dict_pre_hook(note("saving")),
            optimizer.register_state_dict_pre_hook(note("saving first"), prepend=True),
            optimizer.register_state_dict_post_hook(note("saved")),
            optimizer.register_load_state_dict_pre_hook(note("loading")),
            optimizer.register_load_state_dict_post_hook(note("loaded")),
        ]
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        for handle in handles:
            handle.remove()
        optimizer.step()
        optimizer.state_dict()
        return events

    assert_same_outcome(script)


def test_hooks_may_replace() -> None:
    def script(T: ModuleType) -> Any:
        optimizer = make(T, "SGD", [leaf(T, 1.0)], lr=0.5)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: "replaced"), {}))
        optimizer.register_state_dict_post_hook(lambda o, saved: {**saved, "extra": 1})
        optimizer.register_load_state_dict_pre_hook(
            lambda o, saved: {**saved, "param_groups": [{**saved["param_groups"][0], "lr": 0.25}]}
        )
        loss, saved = optimizer.step(), optimizer.state_dict()
        optimizer.load_state_dict(saved)
        return loss, saved["extra"], optimizer.param_groups[0]["lr"]

    assert_same_outcome(script)


def test_a_hook_that_returns_nonsense() -> None:
    optimizer = minigrad.optim.SGD([leaf(minigrad, 1.0)])
    optimizer.register_step_pre_hook(lambda *args: 5)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 5"):
        optimizer.step()


# -- a user's own optimizer --------------------------------------------------------------------------------------------


def test_a_class_written_for_torch() -> None:
    def script(T: ModuleType) -> Any:
        class Momentum(T.optim.Optimizer):
            def __init__(self, params: Any, lr: float, decay: float) -> None:
                super().__init__(params, {"lr": lr, "decay": decay})

            @T.no_grad()
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is None:
                            continue
                        state = self.state[p]
                        if len(state) == 0:
                            state["v"] = T.zeros_like(p)
                        state["v"].mul_(group["decay"]).add_(p.grad)
                        p.add_(state["v"], alpha=-group["lr"])
                        p.data -= 0.25

        p, q = leaf(T, 1.0, 2.0), leaf(T, 3.0, grad=None)
        optimizer = Momentum([{"params": [p]}, {"params": [q], "lr": 1.0}], lr=0.5, decay=0.5)
        calls: list[str] = []
        optimizer.register_step_post_hook(lambda *args: calls.append("after"))
        scheduler = T.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            optimizer.step()
            scheduler.step()
        saved = optimizer.state_dict()
        optimizer.load_state_dict(saved)
        optimizer.zero_grad()
        return p.tolist(), q.tolist(), p.grad, calls, repr(optimizer), saved["state"][0]["v"].tolist()

    assert_same_outcome(script)


def test_what_a_users_step_counts_stays_what_it_is() -> None:
    def script(T: ModuleType) -> Any:
        class Counting(T.optim.Optimizer):
            def step(self) -> None:
                for p in self.param_groups[0]["params"]:
                    self.state[p]["step"] = self.state[p].get("step", 0) + 1

        optimizer = Counting([leaf(T, 1.0)], {})
        optimizer.step()
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        optimizer.step()
        return optimizer.state_dict()["state"]

    assert_same_outcome(script)


def test_a_class_of_two_methods() -> None:
    class Normed(minigrad.optim.SGD):
        """Steps of length lr t. Not elementwise, as the class it is made of is: large parameters must not be cut up."""

        def init_state(self, p: Any, *, xp: Any) -> dict[str, Any]:
            return {"step": 0, "last": xp.zeros_like(p)}

        def update(self, p: Any, g: Any, state: dict[str, Any], *, lr: float, xp: Any) -> None:
            state["last"][...] = lr * state["step"] * g / xp.sqrt((g * g).sum())
            p -= state["last"]

    p = minigrad.zeros(600_000, requires_grad=True)
    p.grad = minigrad.ones(600_000)
    optimizer = Normed([p], lr=0.5)
    for _ in range(2):
        optimizer.step()
    np.testing.assert_allclose(np.linalg.norm(p.detach().numpy()), 0.5 + 1.0, rtol=1e-4)  # a float32 sum
    assert optimizer.state_dict()["state"][0]["step"].item() == 2
    assert optimizer.state[p]["last"].shape == p.shape


def test_a_class_without_a_step_says_what_is_missing() -> None:
    optimizer = minigrad.optim.Optimizer([leaf(minigrad, 1.0)], {})
    with pytest.raises(NotImplementedError, match="update"):
        optimizer.step()


def test_an_optimizer_is_freed_without_the_garbage_collector() -> None:
    optimizer = minigrad.optim.Adam([leaf(minigrad, 1.0)])
    minigrad.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    gone = weakref.ref(optimizer)
    gc.disable()
    try:
        del optimizer
        assert gone() is None
    finally:
        gc.enable()
