"""Node: one recorded operation, as the backward walk sees it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from minigrad.autograd.variable import Variable

next_sequence = itertools.count().__next__

# Where a gradient goes: (the node that computed the operand, which of its outputs), or (the leaf itself, 0).
Edge = tuple[Any, int]

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)


class Node:
    """An operation of the graph; each operation has its own subclass, named as torch names it (`MulBackward0`).

    sequence   creation order: the walk takes the newest first
    edges      one per differentiable operand; None where no gradient is wanted
    hooks      per output number, the Meta (and a weak reference) of tensors with hooks; None for almost all nodes
    """

    __slots__ = ("__weakref__", "edges", "hooks", "sequence")

    sequence: int
    edges: tuple[Edge | None, ...]
    hooks: dict[int, Any] | None
    outputs = 1  # how many tensors the operation returned

    def apply(self, grads: Any) -> Sequence[Any]:
        """Gradients of the operands, as arrays, from the gradient array of the output (a list if there are several)."""
        raise NotImplementedError

    def apply_graph(self, grads: Any) -> Sequence[Any]:
        """The same on tensors, recorded, so that the gradients can themselves be differentiated."""
        raise NotImplementedError

    def release(self) -> None:
        """Forget the saved values: the graph has been walked and is not to be walked again."""

    def name(self) -> str:
        """The operation's name, such as "MulBackward0"."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The graph's next nodes, one (node, output number) per operand, as torch shows it."""
        return tuple((None, 0) if e is None else (as_node(e[0]), e[1]) for e in self.edges)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class AccumulateGrad(Node):
    """Stands, in `next_functions`, for the accumulation into the leaf `variable`."""

    __slots__ = ("variable",)

    def __init__(self, variable: Variable) -> None:
        self.variable, self.edges, self.hooks, self.sequence = variable, (), None, -1

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash(self.variable)


def as_node(target: Any) -> Node:
    """An edge's target as a node: a leaf is shown as its AccumulateGrad."""
    return AccumulateGrad(target) if isinstance(target, Variable) else target


def edge_of(variable: Variable) -> Edge | None:
    """Where the gradient of `variable` goes."""
    if not variable.needs_grad:
        return None
    return (variable, 0) if variable.node is None else (variable.node, variable.output_nr)
