"""Running a case on either engine: arrays to tensors and back, and gradients, all through torch's API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch

import minigrad
from reference.case import Case, Fixed, Sample


@dataclass(frozen=True)
class Engine:
    """One of the two libraries, on one device."""

    module: ModuleType
    device: str = "cpu"

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> Any:
        """A leaf on a copy of `array`, with its strides where the engine can have them (torch: not below 0)."""
        copy = array.copy() if self.module is torch and any(s < 0 for s in array.strides) else same_layout(array)
        tensor = self.module.from_numpy(copy)
        if self.device != "cpu":
            tensor = tensor.to(self.device)
        return tensor.requires_grad_(requires_grad)

    def run(self, case: Case, sample: Sample) -> Trial:
        """Call the case's operation on tensors made of the sample's arrays."""
        inputs, arguments = [], []

        def tensor(value: Any) -> Any:
            fixed = isinstance(value, Fixed)
            array = value.array if fixed else value
            differentiable = not fixed and array.dtype.kind == "f"
            made = self.tensor(array, requires_grad=differentiable)
            arguments.append(made)
            if differentiable:
                inputs.append(made)
            return made

        result = case.run(self.module, sample.map(tensor))
        return Trial(self, inputs, arguments, flatten(result))


@dataclass
class Trial:
    """One call: the tensors given (`inputs` are those that want a gradient) and all that came back."""

    engine: Engine
    inputs: list[Any]
    arguments: list[Any]
    outputs: list[Any]

    def values(self) -> list[Any]:
        """The outputs as NumPy arrays; what is no tensor unchanged."""
        return [to_numpy(out) for out in self.outputs]

    def differentiable(self) -> list[Any]:
        return [out for out in self.outputs if is_tensor(out) and out.requires_grad]

    def incoming(self, rng: np.random.Generator) -> list[np.ndarray]:
        """A random gradient for each differentiable output."""
        return [rng.uniform(-2, 2, t.shape).astype(to_numpy(t).dtype) for t in self.differentiable()]

    def gradients(self, incoming: Sequence[Any], create_graph: bool = False) -> list[Any]:
        """The gradients of all inputs as tensors, from arrays or tensors; None for an input that has no influence."""
        gs = [g if is_tensor(g) else self.engine.tensor(g) for g in incoming]
        return self._grad(self.differentiable(), self.inputs, gs, create_graph)

    def second_gradients(self, incoming: Sequence[np.ndarray], directions: Sequence[np.ndarray]) -> list[Any]:
        """Gradients of sum(gradient * direction), with respect to the inputs and to the incoming gradients."""
        gs = [self.engine.tensor(g, requires_grad=True) for g in incoming]
        grads = self._grad(self.differentiable(), self.inputs, gs, create_graph=True)
        pairs = [(g, self.engine.tensor(v)) for g, v in zip(grads, directions) if g is not None and g.requires_grad]
        return self._grad([g for g, _ in pairs], self.inputs + gs, [v for _, v in pairs], create_graph=False)

    def _grad(self, outputs: list[Any], inputs: list[Any], gs: list[Any], create_graph: bool) -> list[Any]:
        if not outputs or not inputs:
            return [None] * len(inputs)
        return list(self.engine.module.autograd.grad(outputs, inputs, gs, create_graph=create_graph, allow_unused=True))


TORCH, MINIGRAD = Engine(torch), Engine(minigrad)


def is_tensor(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, minigrad.Tensor))


def flatten(result: Any) -> list[Any]:
    """The tensors of a result that may be a tuple or list of them."""
    return [t for part in result for t in flatten(part)] if isinstance(result, (tuple, list)) else [result]


def to_numpy(value: Any) -> Any:
    """A tensor's values as a NumPy array; anything else unchanged."""
    return value.numpy(force=True) if is_tensor(value) else value


def same_layout(array: np.ndarray) -> np.ndarray:
    """A copy with the same strides, negative ones and gaps included."""
    if array.flags.forc:
        return array.copy(order="K")
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    memory = base.copy(order="K")
    offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return np.ndarray(array.shape, array.dtype, memory, offset, array.strides)
