"""Optimizers, stepped beside torch's with drawn hyper-parameters: parameters, state, state dicts."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.optim
from minigrad.optim import loop
from minigrad.optim import optimizer as base
from reference import strict_cupy
from reference.cases.optimizers import MUON, OPTIMIZERS, OptimizerCase
from reference.strategies import Draw

BOTH = (minigrad, torch)

over_the_optimizers = pytest.mark.parametrize("case", OPTIMIZERS, ids=str)
with_muon = pytest.mark.parametrize("case", [*OPTIMIZERS, MUON], ids=str)


# -- running both ------------------------------------------------------------------------------------------------------


class Run:
    """One optimizer on one engine, whose gradients are given from outside."""

    def __init__(
        self, T: ModuleType, case: OptimizerCase, groups: list[dict[str, Any]], **hyperparameters: Any
    ) -> None:
        self.T = T
        self.params = [[leaf(T, a) for a in group["params"]] for group in groups]
        own = [group | {"params": params} for group, params in zip(groups, self.params)]
        self.optimizer = case.make(T, own, **hyperparameters)

    def step(self, gradients: list[list[np.ndarray | None]]) -> None:
        for params, gs in zip(self.params, gradients, strict=True):
            for p, g in zip(params, gs, strict=True):
                if p.grad is None or g is None:
                    p.grad = None if g is None else self.T.from_numpy(g.copy(order="K"))
                else:  # as after zero_grad(set_to_none=False)
                    np.copyto(array_of(p.grad), g)
        self.optimizer.step()

    def values(self) -> list[np.ndarray]:
        return [array_of(p) for params in self.params for p in params]


def leaf(T: ModuleType, array: np.ndarray) -> Any:
    return T.from_numpy(array.copy(order="K")).requires_grad_()


def array_of(value: Any) -> np.ndarray:
    return value.detach().numpy()


def is_tensor(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, minigrad.Tensor))


def numbers(value: Any) -> Any:
    """A state dict with its tensors as (shape, dtype, values)."""
    if is_tensor(value):
        return tuple(value.shape), str(value.dtype), array_of(value)
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    return [numbers(v) for v in value] if isinstance(value, list) else value


def assert_close(ours: np.ndarray, theirs: np.ndarray, case: OptimizerCase) -> None:
    """Within the case's ulps: torch rounds a product and a sum once (fma), NumPy twice."""
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=case.ulps * np.finfo(ours.dtype).eps * scale)


def assert_same_state(ours: Any, theirs: Any, case: OptimizerCase) -> None:
    """Equal state dicts: keys, shapes, dtypes, numbers; tensors as near as parameters are."""
    ours, theirs = numbers(ours), numbers(theirs)
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["state"].keys() == theirs["state"].keys()
    for i, state in theirs["state"].items():
        assert ours["state"][i].keys() == state.keys()
        for name, (shape, dtype, values) in state.items():
            assert ours["state"][i][name][:2] == (shape, dtype), name
            assert_close(ours["state"][i][name][2], values, case)


# -- drawing -----------------------------------------------------------------------------------------------------------


class Problem:
    """Groups of parameters, hyper-parameters, and the gradients of several steps, some of them missing."""

    def __init__(self, case: OptimizerCase, d: Draw) -> None:
        dtype = d.one_of(np.float64, np.float32)
        lay_out = d.one_of(np.ascontiguousarray, np.asfortranarray)

        def array(shape: tuple[int, ...]) -> np.ndarray:
            a = d.floats(shape, kinks=[0]).astype(dtype)
            return lay_out(a) if shape else a

        shapes = [[case.shape(d) for _ in range(d.size(1, 2))] for _ in range(d.size(1, 2))]
        self.case = case
        maximize = "maximize" in inspect.signature(getattr(torch.optim, case.name)).parameters
        self.hyperparameters = case.draw(d) | ({"maximize": d.flag()} if maximize else {})
        self.groups: list[dict[str, Any]] = [{"params": [array(s) for s in group]} for group in shapes]
        if len(shapes) > 1:
            self.groups[1] |= d.one_of({}, case.draw(d), {"lr": d.number(0, 1)}, {"maximize": True} if maximize else {})
        self.steps = [
            [[None if d.size(0, 4) == 4 else array(s) for s in group] for group in shapes]
            for _ in range(d.size(1, case.steps))
        ]

    def run(self, T: ModuleType) -> Run:
        return Run(T, self.case, self.groups, **self.hyperparameters)


def problems(case: OptimizerCase) -> st.SearchStrategy[Problem]:
    @st.composite
    def drawn(draw: Callable[[Any], Any]) -> Problem:
        return Problem(case, Draw(draw, smooth=False))

    return drawn()


# -- values ------------------------------------------------------------------------------------------------------------


@with_muon
@given(data=st.data())
def test_every_step_equals_torchs(case: OptimizerCase, data: st.DataObject) -> None:
    problem = data.draw(problems(case))
    ours, theirs = problem.run(minigrad), problem.run(torch)
    for gradients in problem.steps:
        given_gradients = copy.deepcopy(gradients)
        ours.step(gradients)
        theirs.step(gradients)
        for a, b in zip(ours.values(), theirs.values(), strict=True):
            assert_close(a, b, case)
        assert_same_state(ours.optimizer.state_dict(), theirs.optimizer.state_dict(), case)
        for params, gs in zip(ours.params, given_gradients):
            for p, g in zip(params, gs):
                assert (p.grad is None) if g is None else np.array_equal(array_of(p.grad), g)


def through_numpy(T: ModuleType, value: Any) -> Any:
    """A copy of another engine's state dict as this engine's."""
    if is_tensor(value):
        return T.from_numpy(array_of(value).copy(order="K"))
    if isinstance(value, dict):
        return {k: through_numpy(T, v) for k, v in value.items()}
    return [through_numpy(T, v) for v in value] if isinstance(value, list) else value


@with_muon
@given(data=st.data())
def test_state_dicts_are_exchanged_with_torch(case: OptimizerCase, data: st.DataObject) -> None:
    problem = data.draw(problems(case))
    ours, theirs = problem.run(minigrad), problem.run(torch)
    for gradients in problem.steps:
        mine, his = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
        ours.optimizer.load_state_dict(through_numpy(minigrad, his))
        theirs.optimizer.load_state_dict(through_numpy(torch, mine))
        ours.step(gradients)
        theirs.step(gradients)
        for a, b in zip(ours.values(), theirs.values(), strict=True):
            assert_close(a, b, case)
        assert_same_state(ours.optimizer.state_dict(), theirs.optimizer.state_dict(), case)


def resumed_by_state_dict(run: Run, problem: Problem) -> Any:
    other = problem.run(minigrad)
    for old, new in zip(run.params, other.params):
        for p, q in zip(old, new):
            q.data = p.data.clone()
    other.optimizer.load_state_dict(copy.deepcopy(run.optimizer.state_dict()))
    return other.optimizer


RESUME: dict[str, Callable[[Run, Problem], Any]] = {
    "state dict": resumed_by_state_dict,
    "pickle": lambda run, problem: pickle.loads(pickle.dumps(run.optimizer)),
    "deepcopy": lambda run, problem: copy.deepcopy(run.optimizer),
}


@pytest.mark.parametrize("how", RESUME)
@with_muon
@given(data=st.data())
def test_resuming_changes_no_bit(case: OptimizerCase, how: str, data: st.DataObject) -> None:
    if case.name == "NAdam" and how == "state dict":
        pytest.skip("torch casts its product of numbers, float32, to the parameter's dtype, and so does minigrad")
    problem = data.draw(problems(case))
    straight, halting = problem.run(minigrad), problem.run(minigrad)
    for gradients in problem.steps:
        straight.step(gradients)
        halting.step(gradients)
        halting.optimizer = RESUME[how](halting, problem)
        halting.params = [group["params"] for group in halting.optimizer.param_groups]
    for a, b in zip(straight.values(), halting.values(), strict=True):
        np.testing.assert_array_equal(a, b)


@with_muon
@given(data=st.data())
def test_pieces_change_no_bit(case: OptimizerCase, data: st.DataObject) -> None:
    problem = data.draw(problems(case))
    whole, pieces = problem.run(minigrad), problem.run(minigrad)
    for gradients in problem.steps:
        whole.step(gradients)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "CHUNK", 8)
            pieces.step(gradients)
    for a, b in zip(whole.values(), pieces.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    for mine, other in zip(whole.optimizer.state.values(), pieces.optimizer.state.values(), strict=True):
        assert all(np.array_equal(array_of(mine[name]), array_of(other[name])) for name in mine)
        assert all(mine[name].stride() == other[name].stride() for name in mine)


def test_state_laid_out_otherwise_is_updated_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHUNK", 8)
    array = np.arange(6.0).reshape(2, 3)
    results = []
    for order in "CF":
        run = Run(minigrad, OPTIMIZERS[0], [{"params": [array]}], lr=0.5, momentum=0.5)
        for _ in range(3):
            run.step([[array]])
            state = run.optimizer.state[run.params[0][0]]
            state["momentum_buffer"] = minigrad.from_numpy(array_of(state["momentum_buffer"]).copy(order=order))
        results.append(run.values()[0])
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.75, 1.0])
def test_a_mean_moves_as_torchs_lerp(weight: float) -> None:
    mean, value = np.array([1e8, 1.0, -3.0]), np.array([1e-8, 1.0, 0.1])
    expected = torch.lerp(torch.from_numpy(mean), torch.from_numpy(value), weight)
    base.move_towards(mean, value, weight)
    np.testing.assert_allclose(mean, expected, rtol=1e-15)


def test_a_large_parameter_goes_in_pieces() -> None:
    seen = []

    class Watched(minigrad.optim.SGD):
        elementwise = True

        def update(self, p: Any, g: Any, state: Any, *, lr: float) -> None:
            seen.append(p.size)
            p -= lr * g

    p = minigrad.zeros(600_000, requires_grad=True)
    p.grad = minigrad.ones(600_000)
    Watched([p], lr=0.5).step()
    assert len(seen) > 1
    assert sum(seen) == 600_000
    assert (array_of(p) == -0.5).all()


@over_the_optimizers
def test_a_gradient_of_nan_goes_through_in_silence(case: OptimizerCase) -> None:
    runs = [Run(T, case, [{"params": [np.ones(3)]}], lr=0.1) for T in BOTH]
    for run in runs:
        run.step([[np.array([np.nan, 1.0, 2.0])]])
        run.step([[np.ones(3)]])  # where a parameter is nan by now
    assert_close(*[run.values()[0] for run in runs], case)


@over_the_optimizers
@pytest.mark.parametrize("lr", [np.array(0.125), np.array([0.125]), np.array(0.125, np.float32)], ids=str)
def test_the_learning_rate_may_be_a_tensor(case: OptimizerCase, lr: np.ndarray) -> None:
    runs = []
    for T in BOTH:
        run = Run(T, case, [{"params": [np.array([1.0, -2.0])]}], lr=T.from_numpy(lr.copy()))
        for _ in range(3):
            run.step([[np.array([0.5, 3.0])]])
        runs.append(run)
    # In single precision torch also divides Adam's rate by 1 - beta1^t, here that is done in double precision.
    np.testing.assert_allclose(*[run.values()[0] for run in runs], rtol=1e-15 if lr.dtype == np.float64 else 1e-6)
    assert repr(runs[0].optimizer) == repr(runs[1].optimizer)


def test_betas_may_be_tensors() -> None:
    case = next(case for case in OPTIMIZERS if case.name == "Adam")
    runs = []
    for T in BOTH:
        betas = (T.tensor(0.8, dtype=T.float64), T.tensor([0.9], dtype=T.float64))
        runs.append(Run(T, case, [{"params": [np.array([1.0, -2.0])]}], betas=betas))
        for _ in range(3):
            runs[-1].step([[np.array([0.5, 3.0])]])
    assert_close(*[run.values()[0] for run in runs], case)


@over_the_optimizers
def test_half_precision_stays_half(case: OptimizerCase) -> None:
    options = {"lr": 0.1, **case.for_halves}
    runs = [Run(T, case, [{"params": [np.array([1, -2], np.float16)]}], **options) for T in BOTH]
    for run in runs:
        run.step([[np.array([0.5, 3], np.float16)]])
    assert_close(*[run.values()[0] for run in runs], case)


@over_the_optimizers
def test_counts_of_steps_follow_the_default_dtype(case: OptimizerCase) -> None:
    dtypes = []
    for T in BOTH:
        T.set_default_dtype(T.float64)
        try:
            run = Run(T, case, [{"params": [np.ones(2)]}])
            run.step([[np.ones(2)]])
        finally:
            T.set_default_dtype(T.float32)
        dtypes.append({name: str(v.dtype) for s in run.optimizer.state.values() for name, v in s.items()})
    assert dtypes[0] == dtypes[1]


@with_muon
@given(data=st.data())
def test_gpu_stand_in_equals_cpu_and_never_waits(case: OptimizerCase, data: st.DataObject) -> None:
    problem = data.draw(problems(case))
    cpu = problem.run(minigrad)
    with strict_cupy.install():
        gpu = problem.run(minigrad)
        for params in gpu.params:
            for p in params:
                p.data = p.data.to("cuda")
        if case.name == "Adagrad":  # its state was made beside the parameters
            gpu.optimizer.load_state_dict(gpu.optimizer.state_dict())
        for gradients in problem.steps:
            cpu.step(gradients)
            for params, gs in zip(gpu.params, gradients, strict=True):
                for p, g in zip(params, gs, strict=True):
                    p.grad = None if g is None else minigrad.from_numpy(g).to("cuda")
            with strict_cupy.forbid_synchronize():
                gpu.optimizer.step()
        for a, b in zip(cpu.values(), (array_of(p.to("cpu")) for params in gpu.params for p in params), strict=True):
            # Adafactor and Muon add up, in another order on the GPU.
            limit = 0 if cpu.optimizer.elementwise or not a.size else 100 * float(np.finfo(a.dtype).eps)
            np.testing.assert_allclose(b, a, rtol=limit, atol=limit)
