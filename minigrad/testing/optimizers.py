"""`assert_same_optimizer`: an optimizer's steps and its state compared with those of torch's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from minigrad.backend import np
from minigrad.testing.engines import MINIGRAD, Engine, array_of, torch_engine
from minigrad.testing.lockstep import Comparison, Raised, Values, attempt, both_engines, hold
from minigrad.testing.samples import tensor_code
from minigrad.testing.strategies import Strategy, composite, hypothesis, tensors

SCALES = (1.0, 1e-4, 1e-8)  # of gradients: small ones show where an epsilon is added


class Step(NamedTuple):
    """What happens before one step, and its gradients."""

    reload: bool  # a new optimizer loads the state of the one before
    lr_factor: float  # by which the learning rate of the last group is multiplied
    gradients: list[np.ndarray | None]


class Program(NamedTuple):
    """Parameters, how many of them form a first group of their own (0: there is one group), and the steps."""

    parameters: list[np.ndarray]
    first_group: int
    steps: list[Step]


def assert_same_optimizer(
    ours: Callable[[list[dict[str, Any]]], Any],
    theirs: Callable[[list[dict[str, Any]]], Any],
    *,
    shapes: Sequence[tuple[int, ...]] = ((2, 3), (4,)),
    steps: int = 4,
    examples: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """AssertionError unless the optimizer that `ours(params)` makes steps as the one that `theirs(params)` makes.

    ours, theirs  functions of a list of parameter groups, `[{"params": [...]}, ...]`, such as
                  `lambda params: MyAdam(params, lr=0.1)`
    shapes        of the parameters
    steps         how many steps are taken
    examples, rtol, atol  as for `assert_same_function`

    Parameters and gradients are random, in float64 and in float32. Some gradients are None, some tiny; there are one or
    two groups, learning rates change between steps, and a new optimizer takes over through state dicts. Compared are
    the parameters after each step, and the optimizers' state: its keys and its values.

    >>> import minigrad, torch
    >>> from minigrad.testing import assert_same_optimizer
    >>> class Momentum(minigrad.optim.Optimizer):
    ...     def __init__(self, params, lr, momentum):
    ...         super().__init__(params, {"lr": lr, "momentum": momentum})
    ...
    ...     def update(self, p, g, state, *, lr, momentum):
    ...         if "momentum_buffer" not in state:
    ...             state["momentum_buffer"] = 0 * p
    ...         b = state["momentum_buffer"]
    ...         b *= momentum
    ...         b += g
    ...         p -= lr * b
    >>> assert_same_optimizer(
    ...     lambda params: Momentum(params, lr=0.1, momentum=0.9),
    ...     lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    ... )
    """
    __tracebackhide__ = True
    torch = torch_engine()
    hold(programs(shapes, steps), lambda program: OptimizerTrial(program, ours, theirs, torch), examples, rtol, atol)


def programs(shapes: Sequence[tuple[int, ...]], steps: int) -> Strategy:
    """`Program`s on parameters of these shapes."""
    st = hypothesis().strategies
    of_each_shape = st.tuples(*[tensors(shape) for shape in shapes])

    def draw_one(draw: Callable[[Strategy], Any]) -> Program:
        dtype = draw(st.sampled_from(["float64", "float32"]))

        def arrays() -> list[np.ndarray]:
            return [array_of(tensor).astype(dtype) for tensor in draw(of_each_shape)]

        def gradients() -> list[np.ndarray | None]:
            scale = draw(st.sampled_from(SCALES))
            return [None if draw(st.integers(0, 4)) == 4 else np.asarray(g * scale, dtype) for g in arrays()]

        return Program(
            arrays(),
            draw(st.integers(0, len(shapes) - 1)),
            [
                Step(draw(st.integers(0, 4)) == 4, draw(st.sampled_from([1.0, 1.0, 0.5, 3.0])), gradients())
                for _ in range(steps)
            ],
        )

    return composite(draw_one)


class Run:
    """An optimizer on one engine."""

    def __init__(self, engine: Engine, make: Callable[[list[dict[str, Any]]], Any], program: Program) -> None:
        self.engine, self.make, self.first_group = engine, make, program.first_group
        self.params = [engine.leaf(a, requires_grad=True) for a in program.parameters]
        self.optimizer = make(self.groups())

    def groups(self) -> list[dict[str, Any]]:
        parts = [self.params[: self.first_group], self.params[self.first_group :]]
        return [{"params": part} for part in parts if part]

    def step(self, step: Step) -> None:
        if step.reload:
            state = copy.deepcopy(self.optimizer.state_dict())
            self.optimizer = self.make(self.groups())
            self.optimizer.load_state_dict(state)
        if step.lr_factor != 1:
            self.optimizer.param_groups[-1]["lr"] *= step.lr_factor
        for p, g in zip(self.params, step.gradients, strict=True):
            p.grad = None if g is None else self.engine.leaf(g)
        self.optimizer.step()


class OptimizerTrial(Comparison):
    """Both optimizers through one program."""

    def __init__(self, program: Program, ours: Any, theirs: Any, torch: Engine) -> None:
        self.program, self.makers, self.engines = program, (ours, theirs), (MINIGRAD, torch)
        self.done = 0  # steps

    def values(self) -> Iterator[Values]:
        runs = [attempt(Run, e, m, self.program) for e, m in zip(self.engines, self.makers, strict=True)]
        if any(isinstance(r, Raised) for r in runs):
            yield "the optimizer", *runs
            return
        for step in self.program.steps:
            self.done += 1
            errors = [attempt(run.step, step) for run in runs]
            yield f"step {self.done}", *errors
            if isinstance(errors[1], Raised):
                return
            for i, (p, q) in enumerate(zip(runs[0].params, runs[1].params, strict=True)):
                yield f"parameter {i} after step {self.done}", p.detach(), q.detach()
            ours, theirs = (_numbers(run.optimizer.state_dict()["state"]) for run in runs)
            yield f"which parameters have state after step {self.done}", dict.fromkeys(ours), dict.fromkeys(theirs)
            for i, state in theirs.items():
                yield f"the state of parameter {i} after step {self.done}", ours[i], state

    def code(self) -> list[str]:
        names = [f"p{i}" for i in range(len(self.program.parameters))]
        body = [f"{n} = {tensor_code(a, ', requires_grad=True')}" for n, a in zip(names, self.program.parameters)]
        parts = [names[: self.program.first_group], names[self.program.first_group :]]
        groups = ", ".join(f'{{"params": [{", ".join(part)}]}}' for part in parts if part)
        make = f"optimizer = make([{groups}])"
        body.append(make)
        for step in self.program.steps[: self.done]:
            if step.reload:
                body += ["state = copy.deepcopy(optimizer.state_dict())", make, "optimizer.load_state_dict(state)"]
            if step.lr_factor != 1:
                body.append(f'optimizer.param_groups[-1]["lr"] *= {step.lr_factor}')
            body += [
                f"{n}.grad = {'None' if g is None else tensor_code(g)}"
                for n, g in zip(names, step.gradients, strict=True)
            ]
            body.append("optimizer.step()")
        body.append(f'print({", ".join(names)}, optimizer.state_dict()["state"])')
        copying = ["import copy"] if any(step.reload for step in self.program.steps[: self.done]) else []
        return copying + both_engines("make", body)


def _numbers(state: Any) -> Any:
    """State with plain numbers, such as a count of steps, as torch keeps that: 0-dim and float32."""
    if isinstance(state, dict):
        return {name: _numbers(value) for name, value in state.items()}
    return np.array(state, np.float32) if isinstance(state, (int, float)) else state
