"""PyTorch's database of optimizers, `optim_db`: an entry for each class."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch

import minigrad
from reference.adapters import Engine
from reference.ledger.databases import optim_db
from reference.ledger.entry import Call, Entry, attribute
from reference.ledger.levels import Program
from reference.ledger.transport import doubled, named, thaw

STEPS = 8  # RAdam's sixth is the first for which it takes its second moment
SHAPES = [(3, 2), (2, 4), (5,), ()]
CLASSES_OF_MATRICES = {"Muon"}


class OptimizerEntry(Entry):
    """An entry of `optim_db`. A sample is a configuration, with parameters and the gradients of some steps.

    Configurations that need a GPU are among them: torch refuses them here, and so they cannot be measured. Of samples
    that torch refuses, the construction is compared: what it refuses only at a step has complex parameters.
    """

    database = "optimizers"
    levels = ("forward", "errors")

    def __init__(self, info: Any) -> None:
        super().__init__(f"optim.{info.name}", f"optim.{info.name}", "optimizers", twice=False)
        self.info = info

    def is_present(self) -> bool:
        return attribute(minigrad, self.function) is not None

    def samples(self, dtype: str) -> Iterable[Any]:
        shapes = [s for s in SHAPES if len(s) == 2] if self.info.name in CLASSES_OF_MATRICES else SHAPES
        for configuration in self.info.optim_inputs_func(device="cuda"):  # the CPU's, and those of a GPU
            params, *gradients = (
                [torch.randn(shape, dtype=getattr(torch, dtype)) for shape in shapes] for _ in range(STEPS + 1)
            )
            if self.info.only_supports_sparse_grads:
                gradients = [[g.to_sparse() for g in step if g.ndim] for step in gradients]
            yield [p.requires_grad_() for p in params], gradients, configuration.kwargs

    def bad_samples(self) -> Iterable[Any]:
        for bad in self.info.optim_error_inputs_func("cpu", torch.float64):
            given = bad.optimizer_error_input
            params = [torch.ones(1, 1, requires_grad=True)] if given.params is None else given.params
            yield params, [], given.kwargs

    def calls(self, sample: Any) -> list[Call]:
        params, gradients, options = sample
        return [((params, gradients), options)]

    def program(self, sample: Any, frozen: list[Call]) -> Program:
        def run(engine: Engine, exact: bool = False) -> tuple[list[Any], Any, Any]:
            [((params, gradients), options)], _ = thaw(doubled(frozen) if exact else frozen, engine)
            with warnings.catch_warnings():
                if not gradients:  # some of what must not be, torch only warns of
                    warnings.simplefilter("error")
                if self.info.step_requires_closure:  # few iterations: they amplify differences of rounding
                    options = {"max_iter": 2, **options}
                optimizer = named(self.function, engine.module)(params, **options)
            found = []
            for given in gradients:
                step(optimizer, params, given, self.info.step_requires_closure)
                found.append([p.detach().clone() for p in params])
            everything = [found, plain(optimizer.state_dict(), params[0].new_tensor) if gradients else None]
            return [], everything, everything

        return run


def step(optimizer: Any, params: list[Any], gradients: list[Any], with_closure: bool) -> None:
    """A step with these gradients; with a closure, down a loss whose gradients at zero they are."""

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum(((p * p / 2 + p**4 / 4).sum() + (g * p).sum() for p, g in zip(params, gradients)), 0)
        loss.backward()
        return loss

    for p, g in zip(params, gradients):
        p.grad = g
    optimizer.step(closure) if with_closure else optimizer.step()


def plain(value: Any, tensor: Callable[[float], Any]) -> Any:
    """A state dict as lists: dicts as keys and values, and floats, which are compared closely, as tensors."""
    if isinstance(value, dict):
        return [list(value), [plain(v, tensor) for v in value.values()]]
    if isinstance(value, (list, tuple)):
        return [plain(v, tensor) for v in value]
    return tensor(value) if isinstance(value, float) else value


def optimizers() -> list[Entry]:
    """Every entry of optim_db, in its order."""
    return [OptimizerEntry(info) for info in optim_db]
