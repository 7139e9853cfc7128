"""Levels: how the derivatives that one transform takes are kept apart from those taken around it.

A transform such as `grad` calls its function with copies of the inputs, on the same memory, and differentiates with
respect to the copies. So a tensor that the function also reaches by another way is a constant there, and nothing is
ever added to a `.grad`. If somebody outside differentiates with respect to an input (an outer transform, or the caller
whose tensor requires a gradient) its copy is a view, through which the result keeps its history. Otherwise the copy is
a new leaf that belongs to this level; once the level is closed nobody can ask for its gradient, so a history that leads
to such leaves only is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from minigrad import autograd, backend
from minigrad.autograd.mode import enable_grad, inference_mode, is_grad_enabled
from minigrad.autograd.node import edge_of
from minigrad.autograd.variable import Variable, wrap


class Level:
    """One call of a transform: open while the function runs. It records, even in `no_grad()` or `inference_mode()`."""

    def __init__(self) -> None:
        self.open = True
        self._modes = ExitStack()

    def __enter__(self) -> Level:
        self._modes.enter_context(inference_mode(False))
        self._modes.enter_context(enable_grad())
        return self

    def __exit__(self, *exc: object) -> None:
        self.open = False
        self._modes.close()

    def leaf(self, t: Any) -> Any:
        """A tensor on the memory of `t` with respect to which this level alone differentiates."""
        result = (wrap(t.array) if t.is_inference() else t.detach()).requires_grad_()
        result.level = self
        return result

    def copy(self, t: Any) -> Any:
        """`t` as the function is to see it."""
        if not isinstance(t, Variable):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(t)}")
        tensor: Any = t
        return tensor.view_as(tensor) if tensor.requires_grad else self.leaf(tensor)


def wanted(tensors: Sequence[Any]) -> bool:
    """True if the history of one of `tensors` leads to a leaf whose gradient somebody may yet ask for."""
    edges = [edge_of(t) for t in tensors if t is not None]
    seen = set()
    while edges:
        edge = edges.pop()
        if edge is None or edge[0] in seen:
            continue
        target = edge[0]
        seen.add(target)
        if not isinstance(target, Variable):
            edges += target.edges
        elif (level := getattr(target, "level", None)) is None or level.open:
            return True
    return False


def outward(t: Any) -> Any:
    """A result as those outside a closed level see it: with its history if that is of use to them."""
    if not isinstance(t, Variable):
        raise RuntimeError(f"Expected tensors, got unsupported type {type(t)}")
    tensor: Any = t
    return tensor if not tensor.requires_grad or (is_grad_enabled() and wanted([t])) else tensor.detach()


def pull(outputs: Sequence[Any], inputs: Sequence[Any], weights: Sequence[Any], graph: bool) -> list[Any]:
    """The gradients of the sum of `outputs` times `weights` (1 for None): zeros for an input that plays no part.

    They are recorded only with `graph`. What the outputs have saved stays, for further pulls.
    """
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    sources, given = [o for o, _ in pairs], [w for _, w in pairs]
    grads = autograd.grad(sources, inputs, given, retain_graph=True, create_graph=graph, materialize_grads=True)
    return list(grads)


def zeros_like(t: Any) -> Any:
    """Zeros of the shape and dtype of the tensor `t`."""
    return wrap(backend.module_of(t.array).zeros_like(t.array))
