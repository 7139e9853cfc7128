"""The optimizers that differ in kind, beside torch's: LBFGS calls a closure, Muon takes only matrices."""

from __future__ import annotations

import copy
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
from minigrad.optim import muon
from minigrad.optim.line_search import Point, strong_wolfe
from reference import strict_cupy
from reference.cases.optimizers import LBFGS
from reference.outcomes import assert_same_outcome
from reference.strategies import Draw

BOTH = (minigrad, torch)

# -- LBFGS -------------------------------------------------------------------------------------------------------------


def rosenbrock(T: ModuleType, p: Any) -> Any:
    return ((1 - p[:-1]) ** 2 + 5 * (p[1:] - p[:-1] ** 2) ** 2).sum()


def bowl(T: ModuleType, p: Any) -> Any:
    return (T.arange(1, 1 + p.numel(), dtype=p.dtype) * p**2 + p**4 / 4 - p).sum()


def waves(T: ModuleType, p: Any) -> Any:
    return (T.sin(3 * p) + p**2 / 2).sum()


def straight(T: ModuleType, p: Any) -> Any:
    return (2 * p).sum()


class Descent:
    """A few parameters, of which LBFGS minimises a function; one never has a gradient."""

    def __init__(self, T: ModuleType, function: Callable[..., Any], dtype: str, **options: Any) -> None:
        self.T, self.function = T, function
        start = np.array([[-1.2, 1.0, 0.3], [0.7, -0.5, 0.1]]).astype(dtype)
        self.params = [T.from_numpy(a.copy()).requires_grad_() for a in (start, start[0], np.ones(2).astype(dtype))]
        self.optimizer = T.optim.LBFGS(self.params, **options)
        self.modes: list[bool] = []

    def closure(self) -> Any:
        self.modes.append(self.T.is_grad_enabled())
        self.optimizer.zero_grad()
        loss = self.function(self.T, self.params[0].reshape(-1)) + self.function(self.T, self.params[1])
        loss.backward()
        return loss

    def step(self) -> Any:
        return self.optimizer.step(self.closure)


def shown(value: Any) -> Any:
    """What a state holds, tensors as (shape, dtype), and apart from it all its numbers."""
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        return tuple(value.shape), str(value.dtype)
    if isinstance(value, dict):
        return {k: shown(v) for k, v in value.items()}
    return [shown(v) for v in value] if isinstance(value, list) else type(value).__name__


def numbers(value: Any) -> list[float]:
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        return value.detach().numpy().reshape(-1).tolist()
    if isinstance(value, (list, dict)):
        return [n for v in (value.values() if isinstance(value, dict) else value) for n in numbers(v)]
    return [] if value is None else [value]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", [rosenbrock, bowl, waves, straight])
@given(data=st.data())
def test_lbfgs_steps_as_torchs(function: Callable[..., Any], dtype: str, data: st.DataObject) -> None:
    options = LBFGS.draw(Draw(data.draw, smooth=False))
    if function is straight:  # where a line search divides a rounding error by another
        options["line_search_fn"] = None
    ours, theirs = (Descent(T, function, dtype, **options) for T in BOTH)
    # An iteration multiplies a rounding error by the condition number, and more where a search is near its end.
    close = {"rtol": 1e-8, "atol": 1e-10} if dtype == "float64" else {"rtol": 1e-2, "atol": 1e-3}
    for _ in range(2 if dtype == "float64" else 1):
        losses = [run.step().item() for run in (ours, theirs)]
        np.testing.assert_allclose(*losses, **close)
        for p, q in zip(ours.params, theirs.params):
            np.testing.assert_allclose(p.detach(), q.detach(), **close)
        assert ours.modes == theirs.modes
        states = [run.optimizer.state_dict() for run in (ours, theirs)]
        assert shown(states[0]) == shown(states[1])
        assert list(states[0]["state"][0]) == list(states[1]["state"][0])
        if dtype == "float64":
            np.testing.assert_allclose(*(numbers(s["state"]) for s in states), rtol=1e-5, atol=1e-8)


def searched(T: ModuleType, start: float, first: float, most: int, shape: list[float]) -> tuple[float, int]:
    """Where two line searches along one parameter end, and how many points they tried."""
    bend, slope, waves, edge, kink = shape
    p = T.tensor([start], dtype=T.float64, requires_grad=True)
    optimizer = T.optim.LBFGS([p], lr=first, max_iter=2, max_eval=most, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (bend * p**2 - slope * p + waves * T.cos(5 * p) + edge * T.abs(p - kink)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return p.item(), optimizer.state[p]["func_evals"]


def test_line_searches_among_waves_and_kinks_go_torchs_way() -> None:
    rng = np.random.default_rng(0)
    astray = 0
    for _ in range(150):
        start, first, most = rng.uniform(-2, 2), 10 ** rng.uniform(-3, 2), int(rng.choice([25, 60]))
        shape = [rng.uniform(0, 2), rng.uniform(-5, 5), rng.choice([0, 1, 4]), rng.choice([0, 3]), rng.uniform(-3, 3)]
        (ours, tried), (theirs, torchs_tried) = (searched(T, start, first, most, shape) for T in BOTH)
        astray += tried != torchs_tried or ours != pytest.approx(theirs, rel=1e-6, abs=1e-8)
    assert astray <= 1  # a cubic through two points that nearly coincide is made of rounding errors


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("how", ["state dict", "pickle", "deepcopy"])
def test_lbfgs_resumes_without_changing_a_bit(how: str, search: str | None) -> None:
    def run() -> Descent:
        return Descent(minigrad, rosenbrock, "float64", max_iter=3, history_size=4, line_search_fn=search, lr=0.1)

    on, off = run(), run()
    for _ in range(4):
        on.step()
        off.step()
        if how == "state dict":
            fresh = run()
            fresh.params = off.params
            fresh.optimizer = minigrad.optim.LBFGS(off.params)
            fresh.optimizer.load_state_dict(copy.deepcopy(off.optimizer.state_dict()))
            off = fresh
        else:
            change = copy.deepcopy if how == "deepcopy" else lambda o: pickle.loads(pickle.dumps(o))
            off.optimizer = change(off.optimizer)
            off.params = off.optimizer.param_groups[0]["params"]
    for p, q in zip(on.params, off.params):
        np.testing.assert_array_equal(p.detach(), q.detach())


def test_lbfgs_takes_over_a_state_of_torchs() -> None:
    ours, theirs = (Descent(T, rosenbrock, "float64", max_iter=3, line_search_fn="strong_wolfe") for T in BOTH)
    theirs.step()
    for p, q in zip(ours.params, theirs.params):
        p.data = minigrad.from_numpy(q.detach().numpy().copy())

    def crossed(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return minigrad.from_numpy(value.numpy().copy())
        if isinstance(value, dict):
            return {k: crossed(v) for k, v in value.items()}
        return [crossed(v) for v in value] if isinstance(value, list) else value

    ours.optimizer.load_state_dict(crossed(theirs.optimizer.state_dict()))
    for run in (ours, theirs):
        run.step()
    np.testing.assert_allclose(ours.params[0].detach(), theirs.params[0].detach(), rtol=1e-9)


def test_lbfgs_finds_the_minimum_of_a_function_that_is_hard_on_descent() -> None:
    run = Descent(minigrad, rosenbrock, "float64", line_search_fn="strong_wolfe", max_iter=100)
    run.step()
    np.testing.assert_allclose(run.params[1].detach(), 1, atol=1e-5)


LBFGS_SCRIPTS: dict[str, Callable[[ModuleType], Any]] = {
    "two groups": lambda T: T.optim.LBFGS([{"params": [T.ones(1, requires_grad=True)]} for _ in range(2)]),
    "a group added": lambda T: a_group_added(T),
    "no closure": lambda T: T.optim.LBFGS([T.ones(1, requires_grad=True)]).step(),
    "another line search": lambda T: Descent(T, bowl, "float64", line_search_fn="golden").step().item(),
    "repr": lambda T: repr(Descent(T, bowl, "float64", max_iter=7).optimizer),
    "at the minimum": lambda T: numbers(
        [(run := Descent(T, lambda T, p: (p * 0).sum(), "float64")).step(), run.optimizer.state_dict()["state"]]
    ),
    "nan": lambda T: np.isnan(numbers(Descent(T, lambda T, p: (p * np.nan).sum(), "float64").step())).tolist(),
    "hooks": lambda T: hooked(T),
}


def a_group_added(T: ModuleType) -> None:
    run = Descent(T, bowl, "float64")
    run.optimizer.add_param_group({"params": []})
    run.step()


def hooked(T: ModuleType) -> list[str]:
    run, events = Descent(T, bowl, "float64", max_iter=1), []
    run.optimizer.register_step_pre_hook(lambda o, args, kwargs: events.append(f"before {len(args)}"))
    run.optimizer.register_step_post_hook(lambda o, args, kwargs: events.append(f"after {len(args)}"))
    run.step()
    return events


@pytest.mark.parametrize("script", LBFGS_SCRIPTS)
def test_lbfgs_gets_torchs_verdict(script: str) -> None:
    assert_same_outcome(LBFGS_SCRIPTS[script])


def test_lbfgs_runs_on_the_gpu_stand_in() -> None:
    cpu = Descent(minigrad, rosenbrock, "float64", line_search_fn="strong_wolfe", max_iter=6)
    cpu.step()
    with strict_cupy.install():
        gpu = Descent(minigrad, rosenbrock, "float64", line_search_fn="strong_wolfe", max_iter=6)
        for p in gpu.params:
            p.data = p.data.to("cuda")
        gpu.step()
        for p, q in zip(cpu.params, gpu.params):
            np.testing.assert_allclose(p.detach(), q.detach().to("cpu"), rtol=1e-12)


@given(slope=st.floats(0.1, 30), bend=st.floats(0.01, 30), first=st.floats(0.01, 10))
def test_a_line_search_ends_where_the_wolfe_conditions_hold(slope: float, bend: float, first: float) -> None:
    def at(t: float) -> Point:
        return Point(
            t, bend * t**2 - slope * t + np.cos(2 * t), None, np.float64(2 * bend * t - slope - 2 * np.sin(2 * t))
        )

    start = at(0)
    found, count = strong_wolfe(at, start, first, 1.0, 25)
    assert found.f <= start.f + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert 1 <= count <= 26


def test_a_line_search_turns_back_at_the_second_rise_and_then_keeps_the_lower_end() -> None:
    losses, tried = iter([-0.5, -0.4, -0.3, -0.35, -0.6]), []

    def evaluate(t: float) -> Point:
        tried.append(t)
        return Point(t, next(losses), None, np.float64(-0.95 if len(tried) < 5 else 0.0))

    found, count = strong_wolfe(evaluate, Point(0, 0.0, None, np.float64(-1.0)), 1.0, 1.0, 25)
    first, second, third, fourth, fifth = tried
    assert first < second < third
    assert second < fourth < third
    assert second < fifth < fourth
    assert (found.t, count) == (fifth, 5)


# -- Muon --------------------------------------------------------------------------------------------------------------


def matrix(T: ModuleType, *shape: int) -> Any:
    values = np.linspace(-1, 2, int(np.prod(shape))).reshape(shape)
    p = T.from_numpy(values).requires_grad_()
    p.grad = T.from_numpy(values**2)
    return p


MUON_SCRIPTS: dict[str, Callable[[ModuleType], Any]] = {
    "repr": lambda T: repr(T.optim.Muon([matrix(T, 2, 3)], lr=0.5)),
    "a vector": lambda T: T.optim.Muon([matrix(T, 3)]),
    "three dimensions": lambda T: T.optim.Muon([matrix(T, 2, 3, 1)]),
    "too many steps": lambda T: T.optim.Muon([matrix(T, 2, 3)], ns_steps=100).step(),
    "two coefficients": lambda T: T.optim.Muon([matrix(T, 2, 3)], ns_coefficients=(1.0, 2.0)).step(),
    "another rate": lambda T: T.optim.Muon([matrix(T, 2, 3)], adjust_lr_fn="other"),
    "no columns": lambda T: T.optim.Muon([matrix(T, 3, 0)]).step(),
    "no rows": lambda T: T.optim.Muon([matrix(T, 0, 3)]).step(),
}


@pytest.mark.parametrize("script", MUON_SCRIPTS)
def test_muon_gets_torchs_verdict(script: str) -> None:
    assert_same_outcome(MUON_SCRIPTS[script])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_muons_large_matrices_differ_by_bfloat16s_rounding(dtype: str) -> None:
    gradient = np.random.default_rng(0).standard_normal((80, 50)).astype(dtype)
    values = []
    for T in BOTH:
        p = T.from_numpy(np.zeros_like(gradient)).requires_grad_()
        p.grad = T.from_numpy(gradient.copy())
        T.optim.Muon([p], lr=0.5).step()
        values.append(p.detach().numpy())
    np.testing.assert_allclose(*values, atol=8e-3)  # 0.5 of an entry near 1, whose last bit is 2^-8


def test_an_orthogonal_matrix_has_singular_values_of_about_one() -> None:
    G = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
    U = muon.orthogonal(G, (3.4445, -4.7750, 2.0315), 5, 1e-7, np)
    assert np.abs(np.linalg.svd(U, compute_uv=False) - 1).max() < 0.35


@given(st.floats(width=32, allow_nan=True))
def test_bfloat16_rounds_as_torch(x: float) -> None:
    np.testing.assert_array_equal(muon.bfloat16(np.float32(x), np), torch.tensor(x).bfloat16().float())
