"""How optimizers are made and called, compared with torch: signatures, texts, groups, closures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
import minigrad.optim
from reference.cases.optimizers import LBFGS, MUON, OPTIMIZERS
from reference.outcomes import assert_same_outcome, outcome

over_the_optimizers = pytest.mark.parametrize("name", [case.name for case in OPTIMIZERS])
over_all = pytest.mark.parametrize("name", [case.name for case in (*OPTIMIZERS, MUON, LBFGS)])


def leaf(T: ModuleType, *values: float, grad: float | None = 1.0) -> Any:
    p = T.tensor(values, requires_grad=True)
    if grad is not None:
        p.grad = T.full((len(values),), grad)
    return p


def make(T: ModuleType, name: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(T.optim, name)(*args, **kwargs)


# -- construction ------------------------------------------------------------------------------------------------------


@over_all
def test_signature_is_torchs(name: str) -> None:
    def parameters(T: ModuleType) -> list[tuple]:
        signature = inspect.signature(getattr(T.optim, name).__init__)
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    assert parameters(minigrad) == parameters(torch)


@over_the_optimizers
def test_defaults_and_print_are_torchs(name: str) -> None:
    def script(T: ModuleType) -> Any:
        optimizer = make(T, name, [{"params": leaf(T, 1.0)}, {"params": [leaf(T, 2.0)], "lr": 0.5, "note": "x"}])
        optimizer.add_param_group({"params": [leaf(T, 3.0), leaf(T, 4.0)], "weight_decay": 0.25})
        return list(optimizer.defaults), optimizer.defaults, repr(optimizer)

    assert_same_outcome(script)


INVALID = [
    {"lr": -1},
    {"lr": float("nan")},
    {"lr": "fast"},
    {"lr": None},
    {"weight_decay": -1},
    {"weight_decay": float("nan")},
    {"momentum": -0.5},
    {"momentum": float("nan")},
    {"nesterov": True},
    {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
    {"eps": -1},
    {"eps": float("nan")},
    {"betas": (1.0, 0.9)},
    {"betas": (0.9, -1)},
    {"betas": (0.9, float("nan"))},
    {"betas": (0, 0.9)},
    {"betas": (0.9,)},
    {"betas": 0.9},
    {"rho": 1.5},
    {"rho": float("nan")},
    {"alpha": -1},
    {"lr_decay": -1},
    {"initial_accumulator_value": -1},
    {"momentum_decay": -1},
    {"momentum_decay": float("nan")},
    {"etas": (1.0, 0.5)},
    {"etas": (0.0, 1.5)},
    {"etas": (0.5, float("nan"))},
    {"etas": (0.5,)},
    {"beta2_decay": 0.8},
    {"beta2_decay": float("nan")},
    {"beta2_decay": "slow"},
    {"eps": (-1e-30, 1e-3)},
    {"eps": (None, -1)},
    {"eps": (None, None)},
    {"d": 0.0},
    {"d": float("nan")},
    {"adjust_lr_fn": "arbitrary"},
    {"max_iter": 3},
    {"max_iter": None},
    {"line_search_fn": "arbitrary"},
    {"no_such_option": 1},
    {"fused": True, "foreach": True},
    {"fused": True, "differentiable": True},
]


@over_all
@pytest.mark.parametrize("options", INVALID, ids=str)
def test_hyperparameters_get_torchs_verdict(name: str, options: dict[str, Any]) -> None:
    assert_same_outcome(lambda T: repr(make(T, name, [leaf(T, 1.0)], **options)))


def with_tensors(T: ModuleType, options: dict[str, Any]) -> dict[str, Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return T.from_numpy(value.copy())
        return tuple(convert(v) for v in value) if isinstance(value, tuple) else value

    return {name: convert(value) for name, value in options.items()}


TENSOR_OPTIONS = [
    {"lr": np.array(0.1)},
    {"lr": np.array(-0.1)},
    {"lr": np.array([0.1, 0.2])},
    {"lr": np.array(0.1), "foreach": True, "capturable": False},
    {"betas": (np.array(0.9), np.array(0.99))},
    {"betas": (np.array(0.9), 0.99)},
    {"betas": (np.array([0.9]), np.array(1.0))},
    {"betas": (np.array(0.9), np.array(0.99)), "foreach": True},
]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "Adafactor", "Muon", "LBFGS"])
@pytest.mark.parametrize("options", TENSOR_OPTIONS, ids=str)
def test_tensor_hyperparameters_get_torchs_verdict(name: str, options: dict[str, Any]) -> None:
    assert_same_outcome(lambda T: repr(make(T, name, [leaf(T, 1.0)], **with_tensors(T, options))))


def non_leaf(T: ModuleType) -> Any:
    return leaf(T, 1.0) * 2


def shared(T: ModuleType) -> list[dict[str, Any]]:
    p = leaf(T, 1.0)
    return [{"params": [p]}, {"params": [leaf(T, 2.0), p]}]


def twice(T: ModuleType) -> list[Any]:
    p = leaf(T, 1.0)
    return [p, p]


def retained(T: ModuleType) -> list[Any]:
    p = non_leaf(T)
    p.retain_grad()
    return [p]


PARAMS: dict[str, Callable[[ModuleType], Any]] = {
    "empty": lambda T: [],
    "empty generator": lambda T: iter(()),
    "a tensor": lambda T: leaf(T, 1.0),
    "a float": lambda T: 0.5,
    "floats": lambda T: [1.0],
    "strings": lambda T: "abc",
    "arrays": lambda T: [np.ones(2)],
    "lists": lambda T: [[leaf(T, 1.0)]],
    "a non-leaf": lambda T: [non_leaf(T)],
    "a non-leaf that retains its gradient": retained,
    "no gradient wanted": lambda T: [T.ones(2)],
    "integers": lambda T: [T.ones(2, dtype=T.int64)],
    "shared by groups": shared,
    "twice in a group": twice,
    "a set": lambda T: [{"params": {leaf(T, 1.0)}}],
    "a group of one tensor": lambda T: [{"params": leaf(T, 1.0)}],
    "a group without params": lambda T: [{"lr": 0.1}],
    "a group and a tensor": lambda T: [{"params": [leaf(T, 1.0)]}, leaf(T, 1.0)],
    "an empty group": lambda T: [{"params": []}],
    "a generator": lambda T: (leaf(T, float(i)) for i in range(2)),
    "named": lambda T: [("w", leaf(T, 1.0)), ("b", leaf(T, 2.0))],
    "partly named": lambda T: [("w", leaf(T, 1.0)), leaf(T, 2.0)],
    "named and unnamed groups": lambda T: [{"params": [("w", leaf(T, 1.0))]}, {"params": [leaf(T, 2.0)]}],
    "unnamed and named groups": lambda T: [{"params": [leaf(T, 2.0)]}, {"params": [("w", leaf(T, 1.0))]}],
}


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("params", PARAMS)
def test_params_get_torchs_verdict(name: str, params: str) -> None:
    def script(T: ModuleType) -> Any:
        optimizer = make(T, name, PARAMS[params](T))
        return repr(optimizer), [[type(p).__name__ for p in group["params"]] for group in optimizer.param_groups]

    assert_same_outcome(script)


def test_a_group_must_be_a_dict() -> None:
    assert_same_outcome(lambda T: make(T, "SGD", [leaf(T, 1.0)]).add_param_group([leaf(T, 2.0)]))


@pytest.mark.parametrize("name", ["Adam", "Adadelta", "RMSprop", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"])
def test_capturable_is_refused_on_the_cpu(name: str) -> None:
    def script(T: ModuleType) -> Any:
        make(T, name, [leaf(T, 1.0)], capturable=True).step()

    ours, theirs = outcome(script, minigrad), outcome(script, torch)
    assert ours.error == theirs.error == "AssertionError"
    assert ours.line.partition("[")[0] == theirs.line.partition("[")[0]


@pytest.mark.parametrize("options", [{"foreach": True}, {"foreach": False}, {"fused": True}, {"fused": False}], ids=str)
@over_the_optimizers
def test_torchs_other_implementations_are_accepted(name: str, options: dict[str, Any]) -> None:
    def script(T: ModuleType) -> Any:
        p = leaf(T, 1.0, -2.0, grad=0.5)
        optimizer = make(T, name, [p], lr=0.125, **options)
        for _ in range(3):
            optimizer.step()
        return p.detach().numpy()

    if "fused" in options and "fused" not in inspect.signature(getattr(torch.optim, name)).parameters:
        assert_same_outcome(script)
    else:
        np.testing.assert_allclose(script(minigrad), script(torch), rtol=1e-6)


# -- the step ----------------------------------------------------------------------------------------------------------


def test_zero_grad() -> None:
    def script(T: ModuleType) -> Any:
        p, q, r = leaf(T, 1.0), leaf(T, 2.0), leaf(T, 3.0, grad=None)
        q.grad.requires_grad_()
        optimizer = make(T, "SGD", [p, q, r])
        optimizer.zero_grad(set_to_none=False)
        zeroed = [p.grad.tolist(), p.grad._version, q.grad.tolist(), q.grad.requires_grad, r.grad]
        optimizer.zero_grad()
        return zeroed, p.grad, q.grad, r.grad

    assert_same_outcome(script)


@over_the_optimizers
def test_no_gradient_no_step_but_zero_gradient_decays(name: str) -> None:
    def script(T: ModuleType) -> Any:
        p, q = leaf(T, 1.0, grad=None), leaf(T, 1.0, grad=0.0)
        optimizer = make(T, name, [p, q], weight_decay=0.5)
        optimizer.step()
        return p.tolist(), q.tolist() != [1.0], len(optimizer.state), sorted(optimizer.state_dict()["state"])

    assert_same_outcome(script)


@over_the_optimizers
def test_a_step_raises_the_version(name: str) -> None:
    def script(T: ModuleType) -> Any:
        p = leaf(T, 1.0, 2.0)
        loss = (p * p).sum()
        make(T, name, [p]).step()
        loss.backward()

    ours, theirs = outcome(script, minigrad), outcome(script, torch)
    assert ours.error == theirs.error == "RuntimeError"
    assert "modified by an inplace operation" in ours.line


@over_the_optimizers
def test_closure(name: str) -> None:
    def script(T: ModuleType) -> Any:
        w = T.tensor([2.0, -1.0], requires_grad=True)
        optimizer = make(T, name, [w], lr=0.125)
        modes = []

        def closure() -> Any:
            modes.append(T.is_grad_enabled())
            optimizer.zero_grad()
            loss = ((w - 1) * (w - 1)).sum()
            loss.backward()
            return loss

        with T.no_grad():
            losses = [optimizer.step(closure).item() for _ in range(3)]
        return modes, np.round(losses, 5).tolist(), optimizer.step()

    assert_same_outcome(script)


def test_wrong_shapes_in_the_state_are_named() -> None:
    def script(T: ModuleType) -> Any:
        optimizer, other = (
            make(T, "SGD", [leaf(T, *values)], momentum=0.9) for values in ([1.0, 2.0], [1.0, 2.0, 3.0])
        )
        optimizer.step()
        other.load_state_dict(optimizer.state_dict())
        other.step()

    assert_same_outcome(script)
