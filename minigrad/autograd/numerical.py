"""Finite differences, and the little that a gradient checker must know of the engine whose tensors it is handed.

The checkers also take torch's tensors. They use methods that tensors of both engines have, and `Engine` for the rest;
torch itself is never imported: whoever passes one of its tensors has it loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.autograd.backward import grad
from minigrad.autograd.function import Function
from minigrad.autograd.variable import Variable

# -- the engine --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """What the checkers need of minigrad, or of torch, beyond the methods of its tensors."""

    grad: Callable[..., Any]
    Function: Any

    def without_gradient(self, tensor: Any) -> Any:
        """A copy of `tensor` that sends no gradient back, not even zeros: torch's undefined gradient."""
        rules = {"forward": staticmethod(lambda ctx, x: x.clone()), "backward": staticmethod(lambda ctx, g: None)}
        function: Any = type("UndefinedGrad", (self.Function,), rules)
        return function.apply(tensor)


def engine_of(values: Sequence[Any]) -> Engine:
    """torch if one of `values` is its tensor, else minigrad."""
    if any(_is_torch_tensor(value) for value in values):
        autograd = sys.modules["torch"].autograd
        return Engine(autograd.grad, autograd.Function)
    return Engine(grad, Function)


def _is_torch_tensor(value: Any) -> bool:
    return any(base.__name__ == "Tensor" and base.__module__ == "torch" for base in type(value).__mro__)


def is_tensor(value: Any) -> bool:
    """True for a tensor of minigrad or of torch."""
    return isinstance(value, Variable) or _is_torch_tensor(value)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """A tuple or list as a tuple; anything else as a tuple of one."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def needing_grad(values: Sequence[Any]) -> list[int]:
    """Where in `values` the tensors that require grad stand."""
    return [i for i, x in enumerate(values) if is_tensor(x) and x.requires_grad]


def numbers(tensor: Any) -> np.ndarray:
    """A copy of the values on the CPU, in float64."""
    return np.array(tensor.detach().double().cpu().numpy())


# -- differences -------------------------------------------------------------------------------------------------------


@contextmanager
def moved(tensor: Any, place: Any, step: Any) -> Iterator[None]:
    """While entered, `tensor[place]` is larger by `step`: in place, so that functions that hold the tensor see it."""
    data = tensor.data  # does not count versions
    before = data[place].clone()
    data[place] = before + step
    try:
        yield
    finally:
        data[place] = before


def on_both_sides(func: Callable, inputs: Sequence[Any], index: int, place: Any, step: Any, eps: Any) -> list[Any]:
    """(f(x - step), f(x + step)) of each floating point output, flat, where x is `inputs[index][place]`.

    AssertionError if they differ in shape or dtype; `eps` is the size of `step` that its text names.
    """
    sides = []
    for signed in (-step, step):
        with moved(inputs[index], place, signed):
            sides.append([out.detach().clone() for out in as_tuple(func(*inputs))])
    where = f"on index {place} " if isinstance(place, tuple) else ""
    for a, b in zip(*sides, strict=True):
        for what, of_a, of_b in (("shape", a.shape, b.shape), ("dtype", a.dtype, b.dtype)):
            if of_a != of_b:
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {what} when inputs are perturbed {where}by "
                    f"{eps}, but got: {what}s {of_a} and {of_b}."
                )
    return [(numbers(a).ravel(), numbers(b).ravel()) for a, b in zip(*sides) if a.is_floating_point()]


def jacobian(
    func: Callable, inputs: Sequence[Any], index: int, sizes: Sequence[int], steps: float | np.ndarray
) -> list[np.ndarray]:
    """The Jacobian of each floating point output by `inputs[index]`: (f(x + h) - f(x - h)) / 2h.

    One row for every element of the input and, as `sizes` tells, one column for every element of the output. `steps`
    is h, one number or one for every element of the input.
    """
    shape = tuple(inputs[index].shape)
    steps = np.broadcast_to(steps, shape)
    rows = [np.zeros((steps.size, size)) for size in sizes]
    for i, place in enumerate(np.ndindex(shape)):
        h = float(steps[place])
        for row, (a, b) in zip(rows, on_both_sides(func, inputs, index, place, h, h), strict=True):
            row[i] = (b - a) / (2 * h)
    return rows


def along(func: Callable, inputs: Sequence[Any], index: int, direction: np.ndarray, eps: float) -> list[np.ndarray]:
    """The derivative of each floating point output along a `direction` of `inputs[index]`: two calls at any size."""
    step = inputs[index].new_tensor(direction * eps)
    return [(b - a) / (2 * eps) for a, b in on_both_sides(func, inputs, index, ..., step, eps)]


def direction(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """A random vector of length 1, in the shape of a tensor; none of its elements is near 0."""
    u = np.asarray(rng.uniform(0.5, 1, tuple(shape)) * rng.choice([-1.0, 1.0], tuple(shape)))
    return u / max(float(np.linalg.norm(u)), 1e-300)


def drawn_like(output: Any, with_gaps: bool) -> Any:
    """A leaf shaped like `output`, uniform in [-1, 1); torch draws the same numbers from the same seed."""
    shape = tuple(output.shape)
    if with_gaps and output.numel() > 1:
        drawn = output.detach().new_empty((*shape[:-1], 2 * shape[-1])).uniform_(-1, 1)[..., 1::2]
    else:
        drawn = output.detach().new_empty(shape).uniform_(-1, 1)
    return drawn.requires_grad_()
