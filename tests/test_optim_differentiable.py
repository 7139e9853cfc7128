"""Steps with `differentiable=True`: gradients through them, compared with torch's and with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.optim
from minigrad.autograd import gradcheck
from reference.cases.optimizers import OPTIMIZERS, OptimizerCase
from reference.strategies import Draw
from tests.lockstep import attempt, same

DIFFERENTIABLE = [c for c in OPTIMIZERS if c.name != "Adafactor"]  # which has no such option

over_the_optimizers = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)

VALUES = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -0.75]])
GRADIENTS = np.array([[[0.5, -1.0, 2.0], [-0.25, 1.5, 1.0]], [[0.75, 0.5, -1.0], [1.25, -0.5, 2.0]], VALUES + 0.1])


@pytest.fixture(autouse=True)
def counts_in_double() -> Iterator[None]:
    """Of torch's tensor of steps Adam makes its powers, which are single precision otherwise."""
    for T in (minigrad, torch):
        T.set_default_dtype(T.float64)
    yield
    for T in (minigrad, torch):
        T.set_default_dtype(T.float32)


def tensor(T: Any, array: Any, requires_grad: bool = True) -> Any:
    return T.tensor(np.asarray(array).tolist(), dtype=T.float64, requires_grad=requires_grad)


def stepped(T: Any, name: str, values: Any, gradients: list[Any], **options: Any) -> tuple[Any, Any]:
    """A copy of `values` after a step for each of the gradients, and the optimizer."""
    p = values.clone()
    optimizer = getattr(T.optim, name)([p], differentiable=True, **options)
    for g in gradients:
        p.grad = g
        optimizer.step()
    return p, optimizer


# -- beside torch ------------------------------------------------------------------------------------------------------


@st.composite
def options_of(draw: Callable[[Any], Any], case: OptimizerCase) -> dict[str, Any]:
    d = Draw(draw, smooth=False)
    options = case.draw(d) | {"maximize": d.flag()}
    options["lr"] += 1 / 16  # torch's Adam divides by it
    if "t0" in options:
        options["t0"] = 1e6  # else torch writes to a mean's weight that it has saved
    if "eps" in options:
        options["eps"] = 0.1  # smaller ones make derivatives of 1e8 and more
    return options


@over_the_optimizers
@given(data=st.data())
def test_gradients_through_a_step_are_torchs(case: OptimizerCase, data: st.DataObject) -> None:
    """Through one, after up to two that are not recorded: of several torch refuses what some save."""
    options, before = data.draw(options_of(case)), data.draw(st.integers(0, 2))

    def program(T: Any) -> Any:
        first = tensor(T, VALUES)
        optimizer = getattr(T.optim, case.name)([first], **options)
        for g in GRADIENTS[1:][:before]:
            first.grad = tensor(T, g, False)
            optimizer.step()
        saved = optimizer.state_dict()
        saved["param_groups"][0]["differentiable"] = True

        values, g = first.detach().requires_grad_(), tensor(T, GRADIENTS[0])
        p, optimizer = stepped(T, case.name, values, [], **options)
        optimizer.load_state_dict(saved)
        p.grad = g
        optimizer.step()
        state = {n: v for n, v in optimizer.state_dict()["state"].get(0, {}).items() if v.dim()}
        loss = (p * tensor(T, [1.0, 2.0, 3.0], False)).sum() + sum((v * v).sum() for v in state.values())
        loss.backward()
        return p.detach(), {n: v.detach() for n, v in state.items()}, values.grad, g.grad

    same(program, rtol=1e-9)


@pytest.mark.parametrize("case", [c for c in DIFFERENTIABLE if c.name != "Adamax"], ids=str)  # torch cannot
def test_the_state_may_be_differentiated_by(case: OptimizerCase) -> None:
    options = {"eps": 0.1} if "eps" in case.for_halves else {}
    if case.name in ("SGD", "RMSprop"):
        options["momentum"] = 0.9
    if case.name in ("Adam", "AdamW"):
        options["amsgrad"] = True

    def program(T: Any) -> Any:
        values, g = tensor(T, VALUES), tensor(T, GRADIENTS[0])
        p, optimizer = stepped(T, case.name, values, [tensor(T, GRADIENTS[1], False)] * 2, **options)
        leaves = {n: (v.detach() + 0.5).requires_grad_() for n, v in optimizer.state[p].items() if v.dim()}
        optimizer.state[p].update({n: v.clone() for n, v in leaves.items()})
        p.grad = g
        optimizer.step()
        (p * tensor(T, [1.0, 2.0, 3.0], False)).sum().backward()
        # What only a sign is taken of has a gradient of zeros in torch, none here.
        return p.detach(), [T.zeros_like(v) if v.grad is None else v.grad for v in (values, g, *leaves.values())]

    same(program, rtol=1e-9)


def hyper_gradients(name: str, tensors: dict[str, Any], steps: int, **options: Any) -> None:
    """Hold the gradient of every hyper-parameter given as a tensor to torch's."""

    def program(T: Any) -> Any:
        own = {k: tuple(tensor(T, x) for x in v) if isinstance(v, tuple) else tensor(T, v) for k, v in tensors.items()}
        values, gradients = tensor(T, VALUES), [tensor(T, g) for g in GRADIENTS[:steps]]
        p, _ = stepped(T, name, values, gradients, **own, **options)
        scalar, _ = stepped(T, name, tensor(T, 1.5), [tensor(T, 0.5)], **own, **options)
        ((p * p).sum() + scalar * scalar).backward()
        leaves = [x for v in own.values() for x in (v if isinstance(v, tuple) else [v])]
        return p, values.grad, [g.grad for g in gradients], [x.grad for x in leaves]

    same(program, rtol=1e-9)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RAdam"])  # those that torch can
@pytest.mark.parametrize("shape", [(), (1,)], ids=str)
def test_the_learning_rate_may_be_differentiated_by(name: str, shape: tuple[int, ...]) -> None:
    hyper_gradients(name, {"lr": np.full(shape, 0.125)}, steps=1)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_the_betas_may_be_differentiated_by(name: str, amsgrad: bool) -> None:
    for betas in ((0.8, 0.9), (0.25, 0.5)):
        hyper_gradients(name, {"lr": 0.125, "betas": betas}, steps=1, amsgrad=amsgrad)


def test_several_steps_are_differentiated_by_their_rate() -> None:
    hyper_gradients("SGD", {"lr": 0.125}, steps=3)
    hyper_gradients("Adam", {"lr": 0.125, "betas": (0.8, 0.9)}, steps=1)
    hyper_gradients("Adam", {"lr": 0.125}, steps=3)


def test_learning_a_learning_rate() -> None:
    """The textbook use: the loss after some steps of an inner loop, differentiated by what the loop began with."""

    def program(T: Any) -> Any:
        rate, start = tensor(T, 0.1), tensor(T, [1.0, -1.0])
        for _ in range(3):
            w = start.clone()
            optimizer = T.optim.SGD([w], lr=rate, differentiable=True)
            for _ in range(3):
                v = w.clone()  # the step writes to w, which the loss must not have saved
                loss = ((v - 3) ** 2).sum() + (v**4).sum() / 50
                (w.grad,) = T.autograd.grad(loss, [v], create_graph=True)
                optimizer.step()
            final = ((w - 3) ** 2).sum()
            slopes = T.autograd.grad(final, [rate, start])
            with T.no_grad():
                rate -= 1e-4 * slopes[0]
        return rate, slopes, final

    same(program, rtol=1e-9)


# -- beside finite differences -----------------------------------------------------------------------------------------


@over_the_optimizers
def test_gradcheck_through_two_steps(case: OptimizerCase) -> None:
    options: dict[str, Any] = {"eps": 0.1} if "eps" in case.for_halves else {}
    if case.name != "Rprop":
        options["weight_decay"] = 0.5
    if case.name in ("SGD", "RMSprop"):
        options["momentum"] = 0.9
    if case.name in ("Adam", "AdamW"):
        options["amsgrad"] = True
    if case.name == "ASGD":
        options["t0"] = 0

    def step(values: Any, *gradients: Any) -> Any:
        p, optimizer = stepped(minigrad, case.name, values, list(gradients), **options)
        return (p, optimizer.state[p]["ax"]) if case.name == "ASGD" else p

    inputs = (tensor(minigrad, VALUES), *[tensor(minigrad, g) for g in GRADIENTS[:2]])
    if case.name == "SGD":  # its first velocity is cut off from the gradient, as torch's is
        inputs[1].requires_grad_(False)
    assert gradcheck(step, inputs)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta"])
def test_gradcheck_of_the_rate_through_three_steps(name: str) -> None:
    """torch refuses it of some: it saves what the next step writes to."""
    options = {"momentum": 0.5} if name in ("SGD", "RMSprop") else {}
    gradients = [tensor(minigrad, g, False) for g in GRADIENTS]

    def step(rate: Any) -> Any:
        return stepped(minigrad, name, tensor(minigrad, VALUES, False), gradients, lr=rate, **options)[0]

    assert gradcheck(step, (tensor(minigrad, 0.125),))


# -- what is written to ------------------------------------------------------------------------------------------------


@over_the_optimizers
def test_a_leaf_is_not_written_to(case: OptimizerCase) -> None:
    def program(T: Any) -> Any:
        p = tensor(T, VALUES)
        p.grad = tensor(T, GRADIENTS[0], False)
        optimizer = getattr(T.optim, case.name)([p], differentiable=True)
        return attempt(optimizer.step)

    same(program)


@over_the_optimizers
def test_recorded_or_not_the_numbers_are_the_same(case: OptimizerCase) -> None:
    found = []
    for differentiable in (False, True):
        p = tensor(minigrad, VALUES, not differentiable)
        optimizer = getattr(minigrad.optim, case.name)([p], differentiable=differentiable)
        for g in GRADIENTS:
            p.grad = tensor(minigrad, g, False)
            optimizer.step()
        state = (
            {n: (str(v.dtype), v.numpy().tobytes()) for n, v in optimizer.state[p].items()} if optimizer.state else {}
        )
        found.append((p.detach().numpy().tobytes(), state))
    assert found[0] == found[1]


def test_what_the_optimizer_was_made_with_decides() -> None:
    def program(T: Any) -> Any:
        values = tensor(T, VALUES)
        results = []
        for made, group in ((True, False), (False, True)):
            p = values.clone() if made else values
            p.grad = tensor(T, GRADIENTS[0], False)
            optimizer = T.optim.SGD([{"params": [p], "differentiable": group}], lr=0.5, differentiable=made)
            with T.no_grad():
                optimizer.step()
            results.append((p.requires_grad, p.is_leaf, p.detach().clone()))
        return results

    same(program)
