"""The optimizers and the learning-rate schedules, and how to draw their hyper-parameters.

They are no operations, so this family adds nothing to `CASES`: tests and benchmarks take the two lists below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
    steps: int = 4  # at most
    shape: Callable[[Draw], tuple[int, ...]] = lambda d: d.shape(max_dims=3)  # of a parameter
    for_halves: dict[str, Any] = field(default_factory=lambda: {"eps": 1e-3})  # what float16 can hold

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


def _adamax(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "betas": (d.one_of(0.9, 0.0, 0.3), d.one_of(0.999, 0.5)),
        "eps": d.one_of(1e-8, 0.1),
        "weight_decay": _decay(d),
    }


def _nadam(d: Draw) -> dict[str, Any]:
    return _adamax(d) | {"momentum_decay": d.one_of(4e-3, 0, 0.5), "decoupled_weight_decay": d.flag()}


def _radam(d: Draw) -> dict[str, Any]:
    return _adamax(d) | {"decoupled_weight_decay": d.flag()}


def _rprop(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "etas": d.one_of((0.5, 1.2), (0.3, 2.0)),
        "step_sizes": d.one_of((1e-6, 50), (0.1, 0.4)),
    }


def _asgd(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "lambd": d.one_of(1e-4, 0.1),
        "alpha": d.one_of(0.75, 0.5),
        "t0": d.one_of(1e6, 0, 1.5),
        "weight_decay": _decay(d),
    }


def _adafactor(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "beta2_decay": d.one_of(-0.8, -0.3, 0),
        "eps": (d.one_of(None, 1e-30, 0.1), d.one_of(1e-3, 0.5)),
        "d": d.one_of(1.0, 1.5),
        "weight_decay": _decay(d),
    }


def _muon(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.number(0, 1),
        "weight_decay": d.one_of(0.1, 0, 0.5),
        "momentum": d.one_of(0.95, 0.3, 0),
        "nesterov": d.flag(),
        "ns_coefficients": d.one_of((3.4445, -4.775, 2.0315), (2, -1.5, 0.5)),
        "ns_steps": d.size(0, 6),
        "adjust_lr_fn": d.one_of(None, "original", "match_rms_adamw"),
    }


def _lbfgs(d: Draw) -> dict[str, Any]:
    return {
        "lr": d.one_of(1, 0.5, 0.1),
        "max_iter": d.size(1, 4),
        "max_eval": d.one_of(None, None, 1, 3),
        "tolerance_grad": d.one_of(1e-7, 0.1),
        "tolerance_change": d.one_of(1e-9, 0.01),
        "history_size": d.one_of(100, 1, 2),
        "line_search_fn": d.one_of(None, "strong_wolfe"),
    }


OPTIMIZERS = [
    OptimizerCase("SGD", _sgd, for_halves={}),
    OptimizerCase("Adam", lambda d: _adam(d) | {"decoupled_weight_decay": d.flag()}),
    OptimizerCase("AdamW", _adam),
    OptimizerCase("Adagrad", _adagrad),
    OptimizerCase("Adadelta", _adadelta),
    # Centered takes the root of v - mean^2, a difference up to alpha^-t times smaller than v: 16 times in four steps.
    OptimizerCase("RMSprop", _rmsprop, ulps=64),
    OptimizerCase("Adamax", _adamax),
    OptimizerCase("NAdam", _nadam),
    OptimizerCase("RAdam", _radam, steps=8),  # it divides by sqrt(v) from the sixth on, at the earliest
    OptimizerCase("Rprop", _rprop, for_halves={}),
    OptimizerCase("ASGD", _asgd, for_halves={}),
    # In torch parameters without elements are a division by zero.
    OptimizerCase(
        "Adafactor", _adafactor, shape=lambda d: d.shape(max_dims=3, min_side=1), for_halves={"eps": (None, 1e-3)}
    ),
]

# They do not fit what is tested of all others: the one takes only matrices, the other calls a closure.
MUON = OptimizerCase("Muon", _muon, shape=lambda d: (d.size(1, 5), d.size(1, 5)))
LBFGS = OptimizerCase("LBFGS", _lbfgs)


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
