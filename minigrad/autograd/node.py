"""Node: one recorded operation, as the backward walk sees it."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from minigrad.autograd.handle import RemovableHandle, add
from minigrad.autograd.variable import Meta, Variable

next_sequence = itertools.count().__next__

# Where a gradient goes: (the node that computed the operand, which of its outputs), or (the leaf itself, 0).
Edge = tuple[Any, int]

OF_THE_ENGINE = frozenset(("AccumulateGrad", "CopyBackwards", "CopySlices"))  # torch names them in full

FREED_WHEN = (
    "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)
FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    f"freed). {FREED_WHEN}"
)


class NodeHooks:
    """What is called around a node.

    tensors    by output number, the Meta (and a weak reference) of tensors with hooks, or that keep their gradient
    pre, post  functions of the gradients that come in, and of those that go out and came in, by id
    """

    __slots__ = ("post", "pre", "tensors")

    def __init__(self) -> None:
        self.tensors: dict[int, list[Any]] = {}
        self.pre: dict[int, Any] = OrderedDict()
        self.post: dict[int, Any] = OrderedDict()


class Node:
    """An operation of the graph; each operation has its own subclass, named as torch names it (`MulBackward0`).

    sequence   creation order: the walk takes the newest first
    edges      one per differentiable operand; None where no gradient is wanted
    hooks      None for almost all nodes
    notes      what anomaly detection and users keep on a node (torch's `metadata`); unset for almost all
    """

    __slots__ = ("__weakref__", "edges", "hooks", "notes", "sequence")

    sequence: int
    edges: tuple[Edge | None, ...]
    hooks: NodeHooks | None
    notes: dict[str, Any]
    outputs = 1  # how many tensors the operation returned

    def apply(self, grads: Any) -> Sequence[Any]:
        """Gradients of the operands, as arrays, from the gradient array of the output (a list if there are several)."""
        raise NotImplementedError

    def apply_graph(self, grads: Any) -> Sequence[Any]:
        """The same on tensors, recorded, so that the gradients can themselves be differentiated."""
        raise NotImplementedError

    def pack_saved(self, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        """Keep what `pack` makes of every saved tensor in its place, until `unpack` gives it back."""

    def release(self) -> None:
        """Forget the saved values: the graph has been walked and is not to be walked again."""

    def name(self) -> str:
        """The operation's name, such as "MulBackward0"."""
        name = type(self).__name__
        return f"torch::autograd::{name}" if name in OF_THE_ENGINE else name

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The graph's next nodes, one (node, output number) per operand, as torch shows it."""
        return tuple((None, 0) if e is None else (as_node(e[0]), e[1]) for e in self.edges)

    @property
    def metadata(self) -> dict[str, Any]:
        """A dict for whoever wants to remember something of this node."""
        try:
            return self.notes
        except AttributeError:
            self.notes = {}
            return self.notes

    def _sequence_nr(self) -> int:
        """When the operation was recorded: larger for later ones of a thread."""
        return self.sequence

    def all_hooks(self) -> NodeHooks:
        """The hooks of this node, which may be added to."""
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks

    def register_hook(self, fn: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `fn(grad_inputs, grad_outputs)` when the node has run; a tuple it returns replaces the former.

        "Inputs" are those of the operation: their gradients are what the node computes, None where none is wanted.
        """
        return add(self.all_hooks().post, fn)

    def register_prehook(self, fn: Callable[[tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `fn(grad_outputs)` before the node runs; a tuple it returns replaces them."""
        return add(self.all_hooks().pre, fn)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"


class AccumulateGrad(Node):
    """Stands, in `next_functions`, for the accumulation into the leaf `variable`."""

    __slots__ = ("variable",)

    def __init__(self, variable: Variable) -> None:
        self.variable, self.edges, self.hooks, self.sequence = variable, (), None, -1

    def all_hooks(self) -> NodeHooks:
        """Those of the leaf: this object only shows it."""
        meta = self.variable.meta = self.variable.meta or Meta()
        meta.node_hooks = meta.node_hooks or NodeHooks()
        return meta.node_hooks

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash(self.variable)


def as_node(target: Any) -> Node:
    """An edge's target as a node: a leaf is shown as its AccumulateGrad."""
    return AccumulateGrad(target) if isinstance(target, Variable) else target


def wants_grad(variable: Variable) -> bool:
    """Whether operations on `variable` are recorded; a view's history is brought up to date first."""
    return variable.needs_grad if variable.base is None else variable.follow()


def edge_of(variable: Variable) -> Edge | None:
    """Where the gradient of `variable` goes."""
    if variable.base is not None:
        variable.catch_up()
    if not variable.needs_grad:
        return None
    return (variable, 0) if variable.node is None else (variable.node, variable.output_nr)
