"""The optimizers and the learning-rate schedules, and how to draw their hyper-parameters.

They are no operations, so this family adds nothing to `CASES`: tests and benchmarks take the two lists below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from reference.case import Case
from reference.strategies import Draw

CASES: list[Case] = []


@dataclass(frozen=True, repr=False)
class OptimizerCase:
    """An optimizer class of `optim`, and how to draw its hyper-parameters, all but maximize.

    Options that torch takes for the sake of its other implementations (foreach, fused, ...) are left at their defaults.
    """

    name: str
    draw: Callable[[Draw], dict[str, Any]]
    ulps: int = 8  # of the tensor's largest element, or of 1, that engines may differ after a few steps

    def __repr__(self) -> str:
        return self.name

    def make(self, T: ModuleType, params: Any, **hyperparameters: Any) -> Any:
        """The optimizer on engine `T`, torch or minigrad."""
        return getattr(T.optim, self.name)(params, **hyperparameters)


def _decay(d: Draw) -> float:
    return d.one_of(0, 0.01, 0.5)


def _sgd(d: Draw) -> dict[str, Any]:
    momentum = d.one_of(0, 0.5, 0.9)
    nesterov = momentum > 0 and d.flag()
    dampening = 0 if nesterov else d.one_of(0, 0.25)
    return {
        "lr": d.number(0, 1),
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": _decay(d),
        "nesterov": nesterov,
    }


def _adam(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "betas": (d.one_of(0.9, 0.0, 0.3, 0.5), d.one_of(0.999, 0.5)),  # below 0.5 torch's lerp takes its other branch
        "eps": d.one_of(1e-8, 0.1),
        "weight_decay": _decay(d),
        "amsgrad": d.flag(),
    }


def _adagrad(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "lr_decay": d.one_of(0, 0.1),
        "weight_decay": _decay(d),
        "initial_accumulator_value": d.one_of(0, 0.5),
        "eps": d.one_of(1e-10, 0.1),
    }


def _adadelta(d: Draw) -> dict[str, Any]:
    return {"lr": d.number(0, 2), "rho": d.one_of(0.9, 0.5, 0.0), "eps": d.one_of(1e-6, 0.1), "weight_decay": _decay(d)}


def _rmsprop(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        # Not near 0: centered takes the root of v - mean^2, which is then a rounding error.
        "alpha": d.one_of(0.99, 0.5),
        "eps": d.one_of(1e-8, 0.1),
        "weight_decay": _decay(d),
        "momentum": d.one_of(0, 0.9),
        "centered": d.flag(),
    }


OPTIMIZERS = [
    OptimizerCase("SGD", _sgd),
    OptimizerCase("Adam", lambda d: _adam(d) | {"decoupled_weight_decay": d.flag()}),
    OptimizerCase("AdamW", _adam),
    OptimizerCase("Adagrad", _adagrad),
    OptimizerCase("Adadelta", _adadelta),
    # Centered takes the root of v - mean^2, a difference up to alpha^-t times smaller than v: 16 times in four steps.
    OptimizerCase("RMSprop", _rmsprop, ulps=64),
]


@dataclass(frozen=True, repr=False)
class SchedulerCase:
    """A class of `optim.lr_scheduler`; `draw` gives what makes one of an engine's module and an optimizer."""

    name: str
    draw: Callable[[Draw], Callable[[ModuleType, Any], Any]]

    def __repr__(self) -> str:
        return self.name


def _plain(name: str, draw: Callable[[Draw], dict[str, Any]]) -> SchedulerCase:
    """A scheduler made of the optimizer and numbers."""

    def drawn(d: Draw) -> Callable[[ModuleType, Any], Any]:
        options = draw(d)
        return lambda schedulers, optimizer: getattr(schedulers, name)(optimizer, **options)

    return SchedulerCase(name, drawn)


def _milestones(d: Draw) -> list[int]:
    return [d.size(0, 6) for _ in range(d.size(0, 3))]


def _function(d: Draw) -> Callable[[int], float]:
    slope = d.number(0, 1)
    return lambda t: 1 / (1 + slope * t)


def _cyclic(d: Draw) -> dict[str, Any]:
    return {
        "base_lr": d.one_of(0.1, [0.1, 0.2]),
        "max_lr": d.one_of(1.0, [0.5, 2.0]),
        "step_size_up": d.size(1, 4),
        "step_size_down": d.one_of(None, 1, 2, 3),
        "mode": d.one_of("triangular", "triangular2", "exp_range"),
        "gamma": d.one_of(1.0, 0.9),
        "scale_fn": d.one_of(None, None, lambda x: 1 / (1 + x)),
        "scale_mode": d.one_of("cycle", "iterations"),
        "cycle_momentum": d.flag(),
    }


def _one_cycle(d: Draw) -> dict[str, Any]:
    return {
        "max_lr": d.one_of(0.1, [0.1, 0.2]),
        "total_steps": d.one_of(20, 10, 6),
        "pct_start": d.one_of(0.3, 0.25, 0.5),
        "anneal_strategy": d.one_of("cos", "linear"),
        "cycle_momentum": d.flag(),
        "base_momentum": d.one_of(0.85, [0.8, 0.7]),
        "div_factor": d.one_of(25.0, 4.0),
        "three_phase": d.flag(),
    }


def _sequential(d: Draw) -> Callable[[ModuleType, Any], Any]:
    parts = [d.one_of(*CHAINABLE).draw(d) for _ in range(d.size(1, 3))]
    milestones = sorted(d.size(1, 6) for _ in parts[1:])
    return lambda S, optimizer: S.SequentialLR(optimizer, [make(S, optimizer) for make in parts], milestones)


def _chained(d: Draw) -> Callable[[ModuleType, Any], Any]:
    parts = [d.one_of(*CHAINABLE).draw(d) for _ in range(d.size(1, 3))]
    return lambda S, optimizer: S.ChainedScheduler([make(S, optimizer) for make in parts])


CHAINABLE = [
    _plain("StepLR", lambda d: {"step_size": d.size(1, 3), "gamma": d.one_of(0.1, 0.5)}),
    _plain("MultiStepLR", lambda d: {"milestones": _milestones(d), "gamma": d.one_of(0.1, 0.5)}),
    _plain("ExponentialLR", lambda d: {"gamma": d.one_of(0.9, 0.5)}),
    _plain("ConstantLR", lambda d: {"factor": d.one_of(0.5, 0.3), "total_iters": d.size(1, 4)}),
    _plain("LinearLR", lambda d: {"start_factor": d.one_of(0.25, 0.3), "total_iters": d.size(1, 4)}),
    _plain("PolynomialLR", lambda d: {"total_iters": d.size(1, 5), "power": d.one_of(1.0, 2.0, 0.5)}),
    _plain("CosineAnnealingLR", lambda d: {"T_max": d.size(2, 5), "eta_min": d.one_of(0.0, 0.01)}),
    _plain(
        "CosineAnnealingWarmRestarts",
        lambda d: {"T_0": d.size(1, 3), "T_mult": d.size(1, 3), "eta_min": d.one_of(0, 0.01)},
    ),
    _plain("CyclicLR", _cyclic),
    _plain("OneCycleLR", _one_cycle),
    _plain("MultiplicativeLR", lambda d: {"lr_lambda": _function(d)}),
]

SCHEDULERS = [
    *CHAINABLE,
    _plain("LambdaLR", lambda d: {"lr_lambda": _function(d)}),
    SchedulerCase("SequentialLR", _sequential),
    SchedulerCase("ChainedScheduler", _chained),
]

PLATEAU = _plain(
    "ReduceLROnPlateau",
    lambda d: {
        "mode": d.one_of("min", "max"),
        "factor": d.one_of(0.5, 0.1),
        "patience": d.size(0, 3),
        "threshold": d.one_of(1e-4, 0.0, 0.3),
        "threshold_mode": d.one_of("rel", "abs"),
        "cooldown": d.size(0, 2),
        "min_lr": d.one_of(0, 0.02),
        "eps": d.one_of(1e-8, 0.04),
    },
)
