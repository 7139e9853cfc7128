"""Learning-rate schedules beside torch's: programs of steps, edits by hand, saving and loading, in any order."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import minigrad.optim
from reference.cases.optimizers import PLATEAU, SCHEDULERS, SchedulerCase
from reference.outcomes import assert_same_outcome, outcome
from reference.strategies import Draw

BOTH = (minigrad, torch)


class Run:
    """A program of scheduling on one engine: every action returns all that can be seen afterwards."""

    def __init__(self, T: ModuleType, make: Callable[[ModuleType, Any], Any], tensor_lr: bool = False) -> None:
        self.T, self.make = T, make
        lr = T.tensor(0.1, dtype=T.float64) if tensor_lr else 0.1
        groups = [{"params": [T.ones(1, requires_grad=True)], "lr": lr}, {"params": [T.ones(1, requires_grad=True)]}]
        self.optimizer = T.optim.SGD(groups, lr=1)
        self.schedulers = [make(T.optim.lr_scheduler, self.optimizer)]

    def step_optimizer(self, _: Any) -> None:
        self.optimizer.step()

    def step_scheduler(self, metric: float) -> None:
        for scheduler in self.schedulers:
            plateau = type(scheduler).__name__ == "ReduceLROnPlateau"
            scheduler.step(math.nan if metric == 3 else metric) if plateau else scheduler.step()

    def step_to_epoch(self, metric: float) -> None:
        self.schedulers[0].step(round(metric * 8))

    def edit(self, factor: float) -> None:
        self.optimizer.param_groups[1]["lr"] *= factor

    def add_group(self, _: Any) -> None:
        self.optimizer.add_param_group({"params": [self.T.ones(1, requires_grad=True)], "lr": 0.01, "initial_lr": 0.02})

    def add_scheduler(self, _: Any) -> None:
        self.schedulers.append(self.make(self.T.optim.lr_scheduler, self.optimizer))

    def resume(self, _: Any) -> None:
        """Go on with new objects that take over the old ones' states."""
        saved = copy.deepcopy([x.state_dict() for x in (self.optimizer, *self.schedulers)])
        groups = [{"params": g["params"]} for g in self.optimizer.param_groups]
        self.optimizer = self.T.optim.SGD(groups, lr=0.5)
        self.schedulers = [self.make(self.T.optim.lr_scheduler, self.optimizer) for _ in self.schedulers]
        for x, state in zip((self.optimizer, *self.schedulers), saved, strict=True):
            x.load_state_dict(state)

    def ask(self, _: Any) -> Any:
        return self.schedulers[0].get_lr()

    def act(self, action: str, number: float) -> Any:
        return outcome(lambda T: plain(getattr(self, action)(number)), self.T), self.seen()

    def seen(self) -> Any:
        last = [plain(getattr(s, "_last_lr", None)) for s in self.schedulers]
        return (
            [(plain(g["lr"]), g["momentum"]) for g in self.optimizer.param_groups],
            last,
            [plain(s.state_dict()) for s in self.schedulers],
        )


def plain(value: Any) -> Any:
    """Tensors as numbers."""
    if isinstance(value, (torch.Tensor, minigrad.Tensor)):
        return ("tensor", value.item())
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


ACTIONS = ["step_optimizer", "step_scheduler", "edit", "add_group", "add_scheduler", "resume", "step_to_epoch", "ask"]
# Mostly steps, so that schedules get somewhere.
programs = st.lists(
    st.tuples(
        st.sampled_from(["step_scheduler", "step_optimizer"] * 6 + ACTIONS),
        st.sampled_from([0.25, 0.5, 0.49, 0.7, 1.0, 3.0]),
    ),
    min_size=3,
    max_size=15,
)


def makers(case: SchedulerCase) -> st.SearchStrategy[Callable[[ModuleType, Any], Any]]:
    @st.composite
    def drawn(draw: Callable[[Any], Any]) -> Callable[[ModuleType, Any], Any]:
        return case.draw(Draw(draw, smooth=False))

    return drawn()


@pytest.mark.parametrize("case", [*SCHEDULERS, PLATEAU], ids=str)
@given(data=st.data())
def test_programs_set_torchs_rates_to_the_bit(case: SchedulerCase, data: st.DataObject) -> None:
    make = data.draw(makers(case))
    ours, theirs = (Run(T, make) for T in BOTH)
    assert ours.seen() == theirs.seen()
    for action, number in data.draw(programs):
        assert ours.act(action, number) == theirs.act(action, number), action


@pytest.mark.parametrize("case", [*SCHEDULERS, PLATEAU], ids=str)
@given(data=st.data())
def test_rates_in_tensors_are_changed_in_place(case: SchedulerCase, data: st.DataObject) -> None:
    make = data.draw(makers(case))
    ours, theirs = (Run(T, make, tensor_lr=True) for T in BOTH)
    held = ours.optimizer.param_groups[0]["lr"]
    for _ in range(data.draw(st.integers(1, 6))):
        for run in (ours, theirs):
            run.step_optimizer(None)
            run.step_scheduler(0.5)
        mine, his = (run.optimizer.param_groups[0]["lr"].item() for run in (ours, theirs))
        assert mine == pytest.approx(his, rel=1e-15)
        assert ours.optimizer.param_groups[0]["lr"] is held
        assert all(rate is not held for s in ours.schedulers for rate in s.get_last_lr())


# -- texts -------------------------------------------------------------------------------------------------------------


def optimizer(T: ModuleType) -> Any:
    return T.optim.SGD(
        [{"params": [T.ones(1, requires_grad=True)]}, {"params": [T.ones(1, requires_grad=True)]}], lr=0.5
    )


class Keeps:
    """A schedule with a state of its own."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, epoch: int) -> float:
        self.calls += 1
        return 0.5**epoch


def functions_with_state(T: ModuleType) -> Any:
    o = optimizer(T)
    scheduler = T.optim.lr_scheduler.LambdaLR(o, [Keeps(), lambda t: 1.0])
    o.step()
    scheduler.step()
    saved = scheduler.state_dict()
    other = T.optim.lr_scheduler.LambdaLR(optimizer(T), (Keeps(), lambda t: 1.0))
    other.load_state_dict(saved)
    return saved, other.lr_lambdas[0].calls, other.last_epoch


def overridden(T: ModuleType) -> None:
    o = optimizer(T)
    scheduler = T.optim.lr_scheduler.ExponentialLR(o, 0.5)
    o.step = lambda: None
    scheduler.step()


def resumed(T: ModuleType) -> Any:
    o = optimizer(T)
    for group in o.param_groups:
        group["initial_lr"] = 1.0
    S = T.optim.lr_scheduler
    return [
        s.get_last_lr()
        for s in (S.StepLR(o, 2, last_epoch=3), S.LinearLR(o, last_epoch=1), S.CosineAnnealingLR(o, 5, last_epoch=2))
    ]


def own_class(T: ModuleType) -> Any:
    class Halving(T.optim.lr_scheduler._LRScheduler):
        def get_lr(self) -> list[float]:
            return [base / 2**self.last_epoch for base in self.base_lrs]

    o = optimizer(T)
    scheduler = Halving(o)
    o.step()
    scheduler.step()
    return scheduler.get_last_lr(), scheduler.state_dict(), isinstance(scheduler, T.optim.lr_scheduler.LRScheduler)


def of_two_optimizers(combine: Callable[[ModuleType, Any, list[Any]], Any]) -> Callable[[ModuleType], Any]:
    def script(T: ModuleType) -> Any:
        S, o = T.optim.lr_scheduler, optimizer(T)
        return combine(S, o, [S.StepLR(o, 1), S.StepLR(optimizer(T), 1)])

    return script


def equal_metrics(mode: str) -> Callable[[ModuleType], Any]:
    def script(T: ModuleType) -> Any:
        scheduler = T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T), mode, patience=1, threshold=0)
        for _ in range(6):
            scheduler.step(1.0)
        return scheduler.get_last_lr(), scheduler.state_dict()

    return script


def plateau_with_a_new_group(min_lr: Any) -> Callable[[ModuleType], Any]:
    def script(T: ModuleType) -> Any:
        o = optimizer(T)
        scheduler = T.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=min_lr)
        o.add_param_group({"params": [T.ones(1, requires_grad=True)]})
        scheduler.step(1.0)
        scheduler.step(1.0)
        return [group["lr"] for group in o.param_groups]

    return script


def cycled_betas(make: Callable[[ModuleType, Any], Any]) -> Callable[[ModuleType], Any]:
    """Rates, first betas and parameters of an Adam whose scheduler moves both."""

    def script(T: ModuleType) -> Any:
        parts = [T.tensor([1.0], requires_grad=True), T.tensor([2.0], requires_grad=True)]
        o = T.optim.Adam([{"params": [p]} for p in parts], betas=(0.5, 0.75))
        scheduler, seen = make(T.optim.lr_scheduler, o), []
        for _ in range(9):
            o.zero_grad()
            sum((p * p).sum() for p in parts).backward()
            o.step()
            scheduler.step()
            seen.append([(g["lr"], g["betas"], g["base_momentum"], g["max_momentum"]) for g in o.param_groups])
        return seen, [round(p.item(), 5) for p in parts], scheduler.state_dict()

    return script


def scale_with_state(T: ModuleType) -> Any:
    o = optimizer(T)
    scheduler = T.optim.lr_scheduler.CyclicLR(o, 0.1, 0.2, 2, scale_fn=Keeps(), cycle_momentum=False)
    o.step()
    scheduler.step()
    saved = scheduler.state_dict()
    other = T.optim.lr_scheduler.CyclicLR(optimizer(T), 0.1, 0.2, 2, scale_fn=Keeps(), cycle_momentum=False)
    seen = dict(saved)  # torch takes the entry out of the dict that it loads
    other.load_state_dict(saved)
    return seen, other._scale_fn_custom.calls, other.last_epoch, other.scale_fn(3)


def fractions_of_epochs(T: ModuleType) -> Any:
    scheduler = T.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer(T), 2, 2)
    seen = []
    for epoch in (0.5, 1.75, 2, 5.5, 6.0, 13.5, 14, None, 3, None, 0, None, 1.5):
        scheduler.step(epoch)
        seen.append((scheduler.get_last_lr(), scheduler.last_epoch, scheduler.T_cur, scheduler.T_i))
    return seen


def a_step_too_many(T: ModuleType) -> Any:
    o = optimizer(T)
    scheduler = T.optim.lr_scheduler.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=2)
    for _ in range(6):
        o.step()
        scheduler.step()


def resumed_cycles(T: ModuleType) -> Any:
    """Made at epoch 3 over groups that other schedulers have left."""
    S, o = T.optim.lr_scheduler, T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.5, momentum=0.5)
    S.OneCycleLR(o, 0.1, 10)
    makers = [lambda: S.OneCycleLR(o, 0.3, 10, last_epoch=2), lambda: S.CyclicLR(o, 0.1, 0.3, 2, last_epoch=2)]
    makers.append(lambda: S.CosineAnnealingWarmRestarts(o, 4, last_epoch=2))
    return [(make().get_last_lr(), o.param_groups[0]["momentum"]) for make in makers]


def one_cycle(**options: Any) -> Callable[[ModuleType], Any]:
    return lambda T: T.optim.lr_scheduler.OneCycleLR(optimizer(T), **({"max_lr": 0.1, "total_steps": 9} | options))


def restarts(**options: Any) -> Callable[[ModuleType], Any]:
    return lambda T: T.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer(T), **({"T_0": 2} | options))


def loaded(parts: int, into: int) -> Callable[[ModuleType], Any]:
    """A chain that takes over the state of a longer or shorter one, or a function's schedule that of a chain."""

    def script(T: ModuleType) -> Any:
        S, o, other = T.optim.lr_scheduler, optimizer(T), optimizer(T)
        chain = S.ChainedScheduler([S.ExponentialLR(o, 0.5) for _ in range(parts)])
        o.step()
        chain.step()
        if into:
            scheduler = S.ChainedScheduler([S.ExponentialLR(other, 0.25) for _ in range(into)])
        else:
            scheduler = S.LambdaLR(other, lambda t: 0.25)
        try:
            scheduler.load_state_dict(chain.state_dict())
        except (KeyError, IndexError) as error:
            return repr(error), scheduler.state_dict()
        return scheduler.state_dict()

    return script


def whole_rates(T: ModuleType) -> Any:
    """Rates given as whole numbers stay such, and print so, until a schedule changes them."""
    S, seen = T.optim.lr_scheduler, []
    for make in (lambda o: S.MultiStepLR(o, [2]), lambda o: S.StepLR(o, 2), lambda o: S.ConstantLR(o, 1.0)):
        o = T.optim.SGD([T.ones(1, requires_grad=True)], lr=1)
        scheduler = make(o)
        for _ in range(3):
            seen.append(repr(scheduler.get_last_lr()))
            o.step()
            scheduler.step()
    return seen


def cycles_on_the_plateau(T: ModuleType) -> None:
    o = optimizer(T)
    cycles = T.optim.lr_scheduler.CyclicLR(o, 0.1, 0.2, mode="exp_range", cycle_momentum=False)
    T.optim.lr_scheduler.ReduceLROnPlateau(o).load_state_dict(cycles.state_dict())


def without_momentum(make: Callable[[ModuleType, Any], Any]) -> Callable[[ModuleType], Any]:
    return lambda T: make(T.optim.lr_scheduler, T.optim.Adagrad([T.ones(1, requires_grad=True)]))


SCRIPTS: dict[str, Callable[[ModuleType], Any]] = {
    "no optimizer": lambda T: T.optim.lr_scheduler.StepLR("sgd", 1),
    "no optimizer on the plateau": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(None),
    "base class": lambda T: T.optim.lr_scheduler.LRScheduler(optimizer(T)),
    "nothing to resume": lambda T: T.optim.lr_scheduler.StepLR(optimizer(T), 1, last_epoch=0),
    "resumed": resumed,
    "overridden step": overridden,
    "own class": own_class,
    "functions with state": functions_with_state,
    "too few functions": lambda T: T.optim.lr_scheduler.LambdaLR(optimizer(T), [len]),
    "too many functions": lambda T: T.optim.lr_scheduler.MultiplicativeLR(optimizer(T), [len, len, len]),
    "no function": lambda T: T.optim.lr_scheduler.MultiplicativeLR(optimizer(T), 0.5),
    "step size 0": lambda T: T.optim.lr_scheduler.StepLR(optimizer(T), 0).step(),
    "factor 2": lambda T: T.optim.lr_scheduler.ConstantLR(optimizer(T), factor=2),
    "factor -1": lambda T: T.optim.lr_scheduler.ConstantLR(optimizer(T), factor=-1),
    "start 0": lambda T: T.optim.lr_scheduler.LinearLR(optimizer(T), start_factor=0),
    "end 2": lambda T: T.optim.lr_scheduler.LinearLR(optimizer(T), end_factor=2),
    "plateau factor 1": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T), factor=1.0),
    "plateau mode": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T), mode="best"),
    "plateau threshold": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T), threshold_mode="big"),
    "plateau min_lr": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T), min_lr=[0.1]),
    "plateau metric": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T)).step("low"),
    "plateau without a metric": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T)).step(),
    "plateau epoch": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T)).step(1.0, epoch=3),
    "plateau with another's state": cycles_on_the_plateau,
    "plateau tensor": lambda T: T.optim.lr_scheduler.ReduceLROnPlateau(optimizer(T)).step(T.tensor(1.0)),
    "equal metrics, min": equal_metrics("min"),
    "equal metrics, max": equal_metrics("max"),
    "plateau and a new group": plateau_with_a_new_group(0.2),
    "plateau and a group without min_lr": plateau_with_a_new_group([0.2, 0.1]),
    "no parts": lambda T: T.optim.lr_scheduler.SequentialLR(optimizer(T), [], []),
    "no chain": lambda T: T.optim.lr_scheduler.ChainedScheduler([]),
    "parts and milestones": of_two_optimizers(lambda S, o, parts: S.SequentialLR(o, parts[:1], [1])),
    "parts of two": of_two_optimizers(lambda S, o, parts: S.SequentialLR(o, parts, [1])),
    "chain of two": of_two_optimizers(lambda S, o, parts: S.ChainedScheduler(parts)),
    "no scheduler among the parts": of_two_optimizers(lambda S, o, parts: S.ChainedScheduler([*parts[:1], 5])),
    "cyclic betas": cycled_betas(lambda S, o: S.CyclicLR(o, 0.1, 0.3, 3, 2, max_momentum=[0.9, 0.8])),
    "betas of one cycle": cycled_betas(lambda S, o: S.OneCycleLR(o, [0.1, 0.3], 9, three_phase=True)),
    "cyclic without momentum": without_momentum(lambda S, o: S.CyclicLR(o, 0.1, 0.2)),
    "one cycle without momentum": without_momentum(lambda S, o: S.OneCycleLR(o, 0.1, 5)),
    "scale with state": scale_with_state,
    "a longer chain's state": loaded(3, 2),
    "a shorter chain's state": loaded(1, 2),
    "a chain's state for a function": loaded(1, 0),
    "whole rates": whole_rates,
    "fractions of epochs": fractions_of_epochs,
    "a step too many": a_step_too_many,
    "resumed cycles": resumed_cycles,
    "cyclic on nothing": lambda T: T.optim.lr_scheduler.CyclicLR("sgd", 0.1, 0.2),
    "cyclic mode": lambda T: T.optim.lr_scheduler.CyclicLR(optimizer(T), 0.1, 0.2, mode="square"),
    "cyclic base_lr": lambda T: T.optim.lr_scheduler.CyclicLR(optimizer(T), [0.1], 0.2),
    "cyclic max_lr": lambda T: T.optim.lr_scheduler.CyclicLR(optimizer(T), 0.1, (0.2, 0.3, 0.4)),
    "cyclic max_momentum": lambda T: T.optim.lr_scheduler.CyclicLR(optimizer(T), 0.1, 0.2, max_momentum=[0.9]),
    "one cycle on nothing": lambda T: T.optim.lr_scheduler.OneCycleLR("sgd", 0.1, 5),
    "one cycle of no steps": one_cycle(total_steps=0),
    "one cycle of half steps": one_cycle(total_steps=2.5),
    "one cycle of unknown length": one_cycle(total_steps=None, epochs=3),
    "one cycle of no epochs": one_cycle(total_steps=None, epochs=0, steps_per_epoch=2),
    "one cycle of empty epochs": one_cycle(total_steps=None, epochs=2, steps_per_epoch=0.5),
    "one cycle pct_start": one_cycle(pct_start=1),
    "one cycle strategy": one_cycle(anneal_strategy="sine"),
    "one cycle max_lr": one_cycle(max_lr=[0.1]),
    "one cycle without a way up": one_cycle(total_steps=10, pct_start=0.1),
    "restarts T_0": restarts(T_0=0),
    "restarts T_mult": restarts(T_mult=1.5),
    "restarts eta_min": restarts(eta_min="low"),
    "restarts at a negative epoch": lambda T: restarts()(T).step(-1),
    "a plateau among the parts": of_two_optimizers(lambda S, o, parts: S.ChainedScheduler([S.ReduceLROnPlateau(o)])),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_give_what_torch_gives(script: Callable[[ModuleType], Any]) -> None:
    assert_same_outcome(script)
