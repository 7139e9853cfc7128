"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigrad.autograd.variable import Variable
from minigrad.nn.members import typename
from minigrad.ops.join import cat
from minigrad.ops.shape import reshape


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """The elements of all parameters, one after the other; differentiable."""
    return cat([reshape(p, (-1,)) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Let the parameters show the elements of `vec`, in order, in their own shapes."""
    if not isinstance(vec, Variable):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    start = 0
    for p in parameters:
        end = start + p.array.size
        p.data = vec.data[start:end].reshape(p.array.shape)  # type: ignore[attr-defined]
        start = end
