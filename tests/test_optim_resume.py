"""Training that stops, is saved with model, optimizer, scheduler and generator, and goes on elsewhere, or on torch."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import minigrad

# With every option that adds something to the state.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.05, "betas": (0.8, 0.9)},
    "Adamax": {"lr": 0.05},
    "NAdam": {"lr": 0.05, "decoupled_weight_decay": True, "weight_decay": 0.1},
    "RAdam": {"lr": 0.05, "betas": (0.8, 0.9)},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1},
    "Adadelta": {"lr": 1.0},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "centered": True},
    "Rprop": {"lr": 0.01},
    "ASGD": {"lr": 0.1, "t0": 2, "lambd": 0.01},
    "Adafactor": {"lr": 0.05},
    "Muon": {"lr": 0.05},
    "LBFGS": {"lr": 0.5, "max_iter": 3, "history_size": 2},
}

Make = Callable[[Any, Any], Any]
SCHEDULERS: dict[str, Make] = {
    "StepLR": lambda S, o: S.StepLR(o, 2, gamma=0.5),
    "MultiStepLR": lambda S, o: S.MultiStepLR(o, [1, 4], gamma=0.5),
    "LinearLR": lambda S, o: S.LinearLR(o, total_iters=5),
    "CosineAnnealingLR": lambda S, o: S.CosineAnnealingLR(o, 4),
    "CosineAnnealingWarmRestarts": lambda S, o: S.CosineAnnealingWarmRestarts(o, 2, 2),
    "CyclicLR": lambda S, o: S.CyclicLR(o, 0.01, 0.1, 2, cycle_momentum=False, mode="triangular2"),
    "OneCycleLR": lambda S, o: S.OneCycleLR(o, 0.1, 12, cycle_momentum=False),
    "LambdaLR": lambda S, o: S.LambdaLR(o, lambda t: 1 / (1 + t)),
    "SequentialLR": lambda S, o: S.SequentialLR(o, [S.ConstantLR(o, 0.5), S.ExponentialLR(o, 0.9)], [2]),
    "ChainedScheduler": lambda S, o: S.ChainedScheduler([S.PolynomialLR(o, 9), S.ExponentialLR(o, 0.9)]),
    "ReduceLROnPlateau": lambda S, o: S.ReduceLROnPlateau(o, factor=0.5, patience=0),
}


class Training:
    """A small network with dropout, on inputs drawn anew at each step."""

    def __init__(self, T: ModuleType, optimizer: str, scheduler: str, seed: int = 0, double: bool = False) -> None:
        self.T = T
        T.manual_seed(seed)
        self.model = T.nn.Sequential(
            T.nn.Linear(3, 4, bias=False), T.nn.BatchNorm1d(4), T.nn.Tanh(), T.nn.Dropout(0.25), T.nn.Linear(4, 2)
        )
        if double:
            self.model.double()
        params = [p for p in self.model.parameters() if optimizer != "Muon" or p.ndim == 2]
        self.dtype = params[0].dtype
        self.optimizer = getattr(T.optim, optimizer)(params, **OPTIMIZERS[optimizer])
        self.scheduler = SCHEDULERS[scheduler](T.optim.lr_scheduler, self.optimizer)

    def go(self, steps: int) -> None:
        for _ in range(steps):
            x = self.T.randn(5, 3).to(self.dtype)

            def closure(x: Any = x) -> Any:
                self.optimizer.zero_grad()
                loss = (self.model(x) - x[:, :2]).square().mean()
                loss.backward()
                return loss

            loss = self.optimizer.step(closure)
            plateau = "Plateau" in type(self.scheduler).__name__
            self.scheduler.step(*([loss.item()] if plateau else []))

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "generator": self.T.get_rng_state(),
        }

    def take_over(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.T.set_rng_state(state["generator"])


def assert_same(got: Any, expected: Any, rtol: float = 0.0, where: str = "") -> None:
    """Equal keys, types, dtypes and shapes; numbers equal to the bit, or within `rtol` of the largest or of 1."""
    if isinstance(expected, (torch.Tensor, minigrad.Tensor)):
        got, expected = got.detach().numpy(), expected.detach().numpy()
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape), where
        if rtol:
            scale = np.abs(expected).max(initial=1)
            np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * scale, err_msg=where)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=where)
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys(), where
        for key in expected:
            assert_same(got[key], expected[key], rtol, f"{where}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected), where
        for i, (g, e) in enumerate(zip(got, expected)):
            assert_same(g, e, rtol, f"{where}[{i}]")
    else:
        assert type(got) is type(expected), where
        assert got == (pytest.approx(expected, rel=rtol) if rtol and isinstance(expected, float) else expected), where


# Each optimizer with a few schedulers, and each scheduler with a few optimizers; in the deep run all with all.
PAIRS = [
    pytest.param(o, s, marks=[] if (i + j) % 4 == 0 else pytest.mark.deep)
    for i, o in enumerate(OPTIMIZERS)
    for j, s in enumerate(SCHEDULERS)
]


@pytest.mark.parametrize(("optimizer", "scheduler"), PAIRS)
def test_a_resumed_training_differs_in_no_bit(optimizer: str, scheduler: str, tmp_path: Path) -> None:
    straight, resumed = (Training(minigrad, optimizer, scheduler, seed) for seed in (0, 1))
    minigrad.manual_seed(2)
    straight.go(3)
    minigrad.save(straight.state(), tmp_path / "training.pt")
    straight.go(4)
    expected = straight.state()
    resumed.take_over(minigrad.load(tmp_path / "training.pt"))
    resumed.go(4)
    assert_same(resumed.state(), expected)


# A step of LBFGS multiplies roundings, and what Muon stores is a bfloat16.
IMPRECISE = {"LBFGS": 1e-5, "Muon": 2e-2}


@pytest.mark.parametrize("to", ["minigrad", "torch"])
@pytest.mark.parametrize(
    ("optimizer", "scheduler"), [*((o, "StepLR") for o in OPTIMIZERS), *(("Adam", s) for s in SCHEDULERS)]
)
def test_a_training_goes_on_in_the_other_library(optimizer: str, scheduler: str, to: str) -> None:
    first, second = (torch, minigrad) if to == "minigrad" else (minigrad, torch)
    stopped, resumed, other = (Training(T, optimizer, scheduler, double=True) for T in (first, first, second))
    stopped.go(3)
    file = io.BytesIO()
    first.save(stopped.state(), file)
    for training in (resumed, other):
        file.seek(0)
        training.take_over(training.T.load(file))
        training.go(3)
    assert_same(other.state(), resumed.state(), IMPRECISE.get(optimizer, 1e-10))


@pytest.mark.parametrize("dtypes", [("float64", "float32"), ("float32", "float64")], ids=" to ".join)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_state_is_loaded_into_parameters_of_another_dtype(optimizer: str, dtypes: tuple[str, str]) -> None:
    def result(T: ModuleType) -> tuple[dict[str, Any], list[Any]]:
        trainings = [Training(T, optimizer, "StepLR", double=dtype == "float64") for dtype in dtypes]
        trainings[0].go(2)
        trainings[1].optimizer.load_state_dict(trainings[0].optimizer.state_dict())
        before = trainings[1].state()["optimizer"]["state"]
        trainings[1].go(1)
        return before, [p.detach() for p in trainings[1].model.parameters()]

    (ours, values), (theirs, expected) = result(minigrad), result(torch)
    assert_same(ours, theirs, 1e-2 if optimizer in IMPRECISE else 1e-5)
    assert_same(values, expected, 2e-2 if optimizer in IMPRECISE else 1e-5)
