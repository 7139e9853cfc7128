"""Random programs of optimizers and schedulers, beside torch: steps, edits by hand, saving and loading, in any order.

`pytest -m deep` runs 5,000 of them. A failure prints the shortest script that shows it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.optim import lr_scheduler, optimizer
from minigrad.optim.lr_scheduler import schedules
from tests.optim_machine import NOT_YET, check, difference, excuse, shortest
from tests.optim_machine_programs import write

COUNT = 120 if settings.default.max_examples < 1000 else 5000


# The same each time, others each time in the deep run. `check` cuts a program down by lines.
@settings(max_examples=COUNT, derandomize=COUNT == 120, phases=(Phase.explicit, Phase.generate))
@given(st.integers(0, 2**32 - 1))
def test_random_programs(seed: int) -> None:
    check(write(seed))


# The shortest forms of what random programs once found.
ONCE = [
    """\
p0 = T.ones(2, dtype=T.float64, requires_grad=True)
o0 = T.optim.Adagrad([p0], fused=True)
d0 = copy.deepcopy(o0.state_dict())
d0["state"][0] = {n: v.double() for n, v in d0["state"][0].items()}
o0.load_state_dict(d0)""",
    """\
p0 = T.ones(2, requires_grad=True)
p1 = T.ones(2, requires_grad=True)
o0 = T.optim.Adagrad([p0])
o0.add_param_group({"params": [p1, p1]})
d0 = copy.deepcopy(o0.state_dict())""",
    """\
p0 = T.ones(2, requires_grad=True)
o0 = T.optim.LBFGS([p0])
o1 = copy.deepcopy(o0)
o1.add_param_group({"params": []})""",
    """\
p0 = T.ones(2, requires_grad=True)
o0 = T.optim.SGD([p0], lr=1)
s0 = S.MultiStepLR(o0, milestones=[2])
s0.step()""",
    """\
p0 = T.ones(2, requires_grad=True)
o0 = T.optim.SGD([p0])
s0 = S.ExponentialLR(o0, gamma=0.5)
s1 = S.LambdaLR(o0, lambda t: 0.25)
s1.load_state_dict(s0.state_dict())""",
    """\
p0 = T.ones(2, requires_grad=True)
o0 = T.optim.SGD([{"params": [p0], "initial_lr": 0.5}])
s0 = S.CosineAnnealingLR(o0, T_max=5, last_epoch=2)
log.append(s0.get_lr())""",
    """\
p0 = T.ones(2, requires_grad=True)
o0 = T.optim.SGD([p0])
s0 = S.ChainedScheduler([S.ExponentialLR(o0, gamma=0.5)])
s1 = S.ExponentialLR(o0, gamma=0.5)
s1.load_state_dict(s0.state_dict())
s2 = S.SequentialLR(o0, [s1], milestones=[])""",
    """\
p0 = T.zeros(0, requires_grad=True)
p0.grad = T.ones_like(p0)
o0 = T.optim.Adafactor([p0])
o0.step()""",
    """\
p0 = T.ones(2, 2, requires_grad=True)
p1 = T.ones(2, requires_grad=True)
o0 = T.optim.Muon([p0])
o0.add_param_group({"params": [p1]})
o0.step(closure(o0))""",
]


@pytest.mark.parametrize("program", ONCE)
def test_programs_that_once_failed(program: str) -> None:
    check(program.splitlines())


# -- that it can fail --------------------------------------------------------------------------------------------------


@functools.cache
def some_programs() -> list[list[str]]:
    return [write(seed) for seed in range(150)]


def one_step_ahead(update: Callable[..., None]) -> Callable[..., None]:
    def mistaken(self: Any, p: Any, g: Any, state: dict[str, Any], **options: Any) -> None:
        update(self, p, g, {**state, "step": state["step"] + 1}, **options)

    return mistaken


def counts_from_zero(load: Callable[..., None]) -> Callable[..., None]:
    def mistaken(self: Any, saved: Any) -> None:
        load(self, saved)
        for state in self.state.values():
            if isinstance(state, dict) and "step" in state:
                state["step"] = minigrad.zeros_like(state["step"])

    return mistaken


def rates_late(step: Callable[..., None]) -> Callable[..., None]:
    def mistaken(self: Any, epoch: Any = None) -> None:
        before = self.get_last_lr() if self.last_epoch > 0 else None
        step(self, epoch)
        self._last_lr = before or self._last_lr

    return mistaken


# Where, what is put there, and a word that a program must have to meet it.
MISTAKES: dict[str, tuple[Any, str, Callable[[Any], Any], str]] = {
    "Adam's bias correction": (minigrad.optim.Adam, "update", one_step_ahead, "Adam("),
    "a closed form": (
        schedules._Factors,
        "_get_closed_form_lr",
        lambda right: lambda self: [rate * 0.5 for rate in right(self)],
        "S.",
    ),
    "state that is not cast": (optimizer, "_cast_like", lambda right: lambda p, value, name=None: value, "load_state"),
    "steps counted anew": (minigrad.optim.Optimizer, "load_state_dict", counts_from_zero, "load_state"),
    "rates of the step before": (lr_scheduler.LRScheduler, "step", rates_late, "S."),
    "a default that is another": (
        minigrad.optim.Optimizer,
        "zero_grad",
        lambda right: lambda self, set_to_none=False: right(self, set_to_none),
        "zero_grad()",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, wrong, word = MISTAKES[mistake]
    monkeypatch.setattr(where, name, wrong(getattr(where, name)))
    for program in some_programs():
        if word in "".join(program) and (found := difference(program)) and not excuse(found):
            return
    raise AssertionError("no program found it")


def test_a_program_is_cut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    program = [
        "p0 = T.ones(2, requires_grad=True)",
        "p1 = T.ones(3, requires_grad=True)",
        "o0 = T.optim.SGD([p0])",
        "o1 = T.optim.Adam([p1])",
        "s0 = S.StepLR(o0, step_size=2)",
        "fill(o1, 1)",
        "s0.step()",
        "o1.step()",
        "o1.zero_grad()",
    ]
    assert difference(program) is None
    monkeypatch.setattr(minigrad.optim.Adam, "update", one_step_ahead(minigrad.optim.Adam.update))
    mismatch = difference(program)
    assert mismatch is not None
    assert mismatch.text.startswith("after `o1.step()`: p1 \n    torch: ")
    assert shortest(program, mismatch) == [program[1], program[3], "fill(o1, 1)", "o1.step()"]


def test_every_excuse_has_a_reason() -> None:
    assert all(NOT_YET.values())
