"""`minigrad compare`: the same training run on minigrad and on torch, batch by batch, from one seed.

The one part of the package that uses torch, when it is asked to.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import minigrad
from minigrad.backend import np, to_numpy
from minigrad.training import Data, Run, Settings

__all__ = ["EpochReport", "compare", "import_torch"]


@dataclass
class EpochReport:
    """One epoch on both engines; pairs are (minigrad, torch)."""

    losses: tuple[float, float]
    accuracies: tuple[float, float]
    seconds: tuple[float, float]
    gradient_difference: float  # the largest of any parameter after any step, relative to the largest entry
    parameter_difference: float


def import_torch() -> Any:
    """torch; ModuleNotFoundError that says how to get it."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the same training runs on PyTorch too, which cannot be imported ({error}). Install it "
            f"(pip install torch), or use `minigrad train`, which needs only NumPy."
        ) from None


def compare(settings: Settings, data: Data) -> Iterator[EpochReport | int]:
    """Train on both engines in turn, batch by batch; yields samples seen after each batch, and a report an epoch."""
    torch = import_torch()
    ours, theirs = Run(minigrad, settings, data), Run(torch, settings, data)
    for _ in range(settings.epochs):
        gradients = parameters = 0.0
        # Each epoch's shuffle is drawn from the engine's own generator, and they stay in step.
        for seen, _ in zip(ours.epoch(), theirs.epoch(), strict=True):
            pairs = list(zip(ours.model.parameters(), theirs.model.parameters(), strict=True))
            gradients = max([gradients, *(_difference(p.grad, q.grad) for p, q in pairs)])
            parameters = max([parameters, *(_difference(p.detach(), q.detach()) for p, q in pairs)])
            yield seen
        (_, accuracy), (_, torch_accuracy) = ours.evaluate(), theirs.evaluate()
        yield EpochReport(
            losses=(ours.loss, theirs.loss),
            accuracies=(accuracy, torch_accuracy),
            seconds=(ours.seconds, theirs.seconds),
            gradient_difference=gradients,
            parameter_difference=parameters,
        )


def _difference(ours: Any, theirs: Any) -> float:
    """The largest difference of two tensors' entries, relative to the largest entry."""
    a, b = to_numpy(ours.array), theirs.cpu().numpy()
    scale = np.abs(b).max()
    return float(np.abs(a - b).max() / scale) if scale else float(np.abs(a).max())
