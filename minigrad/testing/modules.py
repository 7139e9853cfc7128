"""`assert_same_module`: a layer or a whole model, in training and in evaluation, compared with torch's."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from minigrad.backend import np
from minigrad.testing.engines import MINIGRAD, Engine, array_of, is_tensor, torch_engine
from minigrad.testing.functions import flatten, run, weighted_sum
from minigrad.testing.lockstep import Comparison, Raised, Values, attempt, both_engines, hold
from minigrad.testing.samples import Sample, samples, tensor_code, weights


def assert_same_module(
    ours: Any,
    theirs: Any,
    inputs: Any,
    *,
    train: bool | None = None,
    steps: int = 2,
    examples: int | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """AssertionError unless the module `ours` does on minigrad what the module `theirs` does on torch.

    inputs      as for `assert_same_function`
    train       in training (True), in evaluation (False), or unless given in both
    steps       how often each example is put through, one call after the other: statistics move in between
    examples, rtol, atol  as for `assert_same_function`

    Copies of both are compared, ours with the parameters and buffers of theirs, by name. In float64 and in float32, and
    with random numbers from one seed, compared are the outputs, the gradients of inputs and parameters, and the buffers
    after each call. A gradient that one has as None counts as zeros.

    >>> import minigrad, torch
    >>> from minigrad.testing import assert_same_module
    >>> class RMSNorm(minigrad.nn.Module):
    ...     def __init__(self, features):
    ...         super().__init__()
    ...         self.weight = minigrad.nn.Parameter(minigrad.ones(features))
    ...
    ...     def forward(self, x):
    ...         return x / ((x * x).mean(-1, keepdim=True) + 1e-3).sqrt() * self.weight
    >>> assert_same_module(RMSNorm(3), torch.nn.RMSNorm(3, eps=1e-3), [(2, 3)])
    """
    __tracebackhide__ = True
    torch = torch_engine()
    load(copy.deepcopy(ours), theirs)
    modes = (True, False) if train is None else (train,)
    hold(samples(inputs), lambda sample: ModuleTrial(sample, ours, theirs, modes, steps, torch), examples, rtol, atol)


def load(ours: Any, theirs: Any) -> None:
    """Copy parameters and buffers; AssertionError for names, shapes and dtypes of ours that are not theirs."""
    state = {name: MINIGRAD.leaf(array_of(tensor)) for name, tensor in theirs.state_dict().items()}
    try:
        ours_before = {name: str(tensor.dtype) for name, tensor in ours.state_dict().items()}
        ours.load_state_dict(state)
    except RuntimeError as error:
        raise AssertionError(f"the parameters and buffers of the two modules are not the same. {error}") from None
    for name, tensor in state.items():
        if ours_before[name] != str(tensor.dtype):
            raise AssertionError(f"{name} is of dtype {ours_before[name]} in ours and {tensor.dtype} in torch's module")


class ModuleTrial(Comparison):
    """Copies of both modules, called `steps` times on one sample."""

    def __init__(
        self, sample: Sample, ours: Any, theirs: Any, modes: tuple[bool, ...], steps: int, torch: Engine
    ) -> None:
        self.sample, self.modes, self.steps = sample, modes, steps
        self.engines, self.originals = (MINIGRAD, torch), (ours, theirs)
        self.weights: list[np.ndarray] = []
        self.train, self.step = True, 0  # of the last call

    def values(self) -> Iterator[Values]:
        for train in self.modes:
            self.train = train
            modules = [copy.deepcopy(m) for m in self.originals]
            load(*modules)
            for m in modules:
                m.double() if self.sample.dtype == np.float64 else m.float()
                m.train(train)
            for step in range(1, self.steps + 1):
                self.step, self.weights = step, []
                where = f"in {'training' if train else 'evaluation'}, call {step}"
                for what, ours, theirs in self._call(modules):
                    yield f"{what} ({where})", ours, theirs
                    if isinstance(theirs, Raised):
                        return

    def _call(self, modules: list[Any]) -> Iterator[Values]:
        """One call forwards and one backwards."""
        args = [self.sample.arguments(engine) for engine in self.engines]
        results = [run(*call) for call in zip(self.engines, modules, args, strict=True)]
        yield "the output", *results
        outputs = [flatten(result) for result in results]
        wants, wanted = ([y.requires_grad for y in ys] for ys in outputs)
        yield "requires_grad of the output", wants, wanted
        if any(wanted):
            rng = np.random.default_rng(self.sample.seed)
            self.weights = [weights(rng, y.shape, self.sample.dtype) for y in outputs[1]]
            yield "the backward", *[attempt(self._backward, *each) for each in zip(self.engines, modules, outputs)]
        for i, (a, b) in enumerate(zip(*args, strict=True)):
            if is_tensor(b):
                yield f"the gradient of input {i}", *_gradients(a, b)
        ours, theirs = (dict(m.named_parameters()) for m in modules)
        for name, p in theirs.items():
            yield f"the gradient of {name}", *_gradients(ours[name], p)
        ours, theirs = (dict(m.named_buffers()) for m in modules)
        yield "the buffers", ours, theirs

    def _backward(self, engine: Engine, module: Any, outputs: list[Any]) -> None:
        module.zero_grad()
        weighted_sum(outputs, [engine.leaf(w) for w in self.weights]).backward()

    def code(self) -> list[str]:
        names = self.sample.names()
        wanted = [n for n, a in zip(names, self.sample.args, strict=True) if getattr(a, "requires_grad", False)]
        call = [*self.sample.code(), "T.manual_seed(0)", f"ys = module({', '.join(names)})", "print(ys)"]
        if self.weights:
            call += [
                "ys = ys if isinstance(ys, (tuple, list)) else [ys]",
                f"ws = [{', '.join(map(tensor_code, self.weights))}]",
                "module.zero_grad()",
                "sum((y * w).sum() for y, w in zip(ys, ws)).backward()",
                f"print([x.grad for x in [{', '.join(wanted)}]], [p.grad for p in module.parameters()])",
            ]
        call.append("print(dict(module.named_buffers()))")
        kind = "double" if self.sample.dtype == np.float64 else "float"
        imports, *program = both_engines(
            "module",
            [
                f"module.{kind}().train({self.train})",
                f"for _ in range({self.step}):",
                *[f"    {line}" for line in call],
            ],
        )
        copying = "ours.load_state_dict({name: minigrad.tensor(t.numpy()) for name, t in theirs.state_dict().items()})"
        return [imports, "", copying, *program]


def _gradients(ours: Any, theirs: Any) -> tuple[Any, Any]:
    """The gradients of two leaves, one that is None as zeros if the other is not."""
    pair = ours.grad, theirs.grad
    if all(g is None for g in pair):
        return None, None
    a, b = (t * 0 if g is None else g for t, g in zip((ours.detach(), theirs.detach()), pair, strict=True))
    return a, b
