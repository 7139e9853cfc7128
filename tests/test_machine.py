"""The engine's proof: random programs of operations, views, writes in place, hooks, modes and walks, beside torch.

`pytest -m deep` runs 10,000 of them. A failure prints the shortest script that shows it.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings

import minigrad
from tests.machine import NOT_YET, check, difference, shortest
from tests.machine_programs import Program, programs

COUNT = 200 if settings.default.max_examples < 1000 else 10_000


# The same 200 each time, others each time in the deep run. No shrinking by Hypothesis: `check` cuts a program down by
# lines, which is faster and leaves what can be read.
@settings(max_examples=COUNT, derandomize=COUNT == 200, phases=(Phase.explicit, Phase.generate))
@given(programs())
def test_random_programs(program: Program) -> None:
    check(program)


# The shortest forms of what random programs once found, beside what they still draw: layouts of new tensors,
# as_strided of what is expanded, siblings of what is differentiated, detached bases, shared memory in other ranks.
ONCE = [
    """\
t0 = T.arange(6.0).view(2, 3).t()
t1 = T.cat([t0, t0]).view(-1)
t2 = T.stack([t0, t0], 1).view(-1)
t3 = t0.roll(1, 0).view(-1)
t4 = t0.flip(0)[...]""",
    """\
t0 = T.tensor([1.0, 2.0], requires_grad=True)
t1 = t0.expand(2, 2).as_strided((2, 2), (0, 1))
t2, = T.autograd.grad((t1 ** 3 * T.arange(4.0).view(2, 2)).sum(), [t0], create_graph=True)
t3, = T.autograd.grad((t2 ** 2).sum(), [t0])""",
    """\
t0 = T.ones(3, 2, requires_grad=True)
t1, t2, t3 = t0.unbind(0)
(t1 * t1).sum().backward(inputs=[t1])
t4, = T.autograd.grad((t1 * t2).sum(), [t2])""",
    """\
t0 = T.ones(3, requires_grad=True)
t1 = t0[:2]
t0.detach_()
t0.mul_(2)
t2, = T.autograd.grad((t1 * t1).sum(), [t1])""",
    """\
t0 = T.ones(4, requires_grad=True).abs().squeeze(-1)
t0.retain_grad()
t0.squeeze_()
t1 = t0[1:]
t1.retain_grad()
t0.mul_(2)
(t1 * t1).sum().backward()""",
    """\
t0 = T.ones(2, requires_grad=True)
h0 = t0.register_post_accumulate_grad_hook(lambda t: log.append(2))
t1 = t0 + 3
t0.requires_grad_(False)
t0.mul_(2)
t1.sum().backward()""",
    """\
t0 = T.ones(1, 1, 2, requires_grad=True) * 2
t1, t2 = t0.unbind(-1)
t0[:, 0, :] = t1
(t0 * t0).sum().backward()""",
    """\
t0 = T.ones(1, 1, 3, requires_grad=True).sum(0, keepdim=True)
t1 = t0.expand(2, 2, 3).flip(1).view(-1)
t2 = T.arange(6.0).view(2, 3)
t2[None] = t2[1]""",
    """\
t0 = T.ones(1, 3)
t0.add_(t0.squeeze(0))""",
]


@pytest.mark.parametrize("program", ONCE)
def test_programs_that_once_failed(program: str) -> None:
    check(program.splitlines())


def test_a_mistake_is_found_and_cut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    program = [
        "t0 = T.tensor([-1.0, 2.0], requires_grad=True)",
        "t1 = T.ones(2)",
        "with T.no_grad():",
        "    t2 = t0 * t1",
        "    with T.enable_grad():",
        "        t3 = t0.abs()",
        "t4 = t3 * t1",
    ]
    assert difference(program) is None
    monkeypatch.setattr(minigrad.Tensor, "abs", minigrad.Tensor.relu)
    mismatch = difference(program)
    assert mismatch is not None
    assert mismatch.kind == ".grad_fn"
    assert shortest(program, mismatch) == [program[0], "t3 = t0.abs()"]


def test_every_excuse_has_a_reason() -> None:
    assert all(NOT_YET.values())
