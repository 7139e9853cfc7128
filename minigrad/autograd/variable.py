"""Variable: an array with a history. Tensor, one layer up, adds torch's methods to it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.autograd.node import Node

new = object.__new__
# Why a view must not be written to while that is recorded: the values of `Variable.origin`.
NO_GRAD, INFERENCE, ONE_OF_MANY, OF_FUNCTION = "no_grad", "inference_mode", "one of many", "of a Function"

LEAF_SLOTS = ("array", "base", "counter", "gradient", "meta", "needs_grad", "node", "output_nr")


class Variable:
    """What autograd knows of a tensor.

    array       the NumPy or CuPy array that holds the values
    node        the operation that computed it (torch's grad_fn), None for a leaf
    output_nr   which of the node's outputs it is
    needs_grad  True for results with a history and for leaves that want a gradient
    gradient    a leaf's accumulated gradient
    counter     the version, in a list of one int shared by all views of the memory; None for inference tensors
    base        the tensor whose memory a view shows
    meta        hooks and flags that few tensors have, made on demand

    Of a view also:

    seen        the version at which its node was right: a later write may have given its region another history
    origin      why it must not be written to while that would be recorded; None if it may
    """

    __slots__ = ("__weakref__", *LEAF_SLOTS, "origin", "seen")

    array: Any
    node: Node | None
    output_nr: int
    needs_grad: bool
    gradient: Any
    counter: list[int] | None
    base: Variable | None
    meta: Meta | None
    seen: int | None
    origin: Any

    concrete: type[Variable]  # the class that results are instances of: the last subclass that says it is

    __hash__ = object.__hash__  # a Tensor's == is elementwise; identity is what dicts of tensors go by

    # Tensor's, as they take the operations that read a region of a base:

    def catch_up(self) -> None:
        """Let the history of this view follow the writes to its memory."""
        raise NotImplementedError

    def follow(self) -> bool:
        """Whether this view wants a gradient; where operations are recorded, its history catches up first."""
        raise NotImplementedError


class Meta:
    """Hooks of one tensor, and whether a non-leaf keeps its gradient."""

    __slots__ = ("hooks", "node_hooks", "post_accumulate_hooks", "retains_grad")

    def __init__(self) -> None:
        self.hooks: dict[int, Any] = OrderedDict()
        self.post_accumulate_hooks: dict[int, Any] = OrderedDict()
        self.node_hooks: Any = None  # of a leaf: those of its AccumulateGrad
        self.retains_grad = False


def wrap(array: Any, needs_grad: bool = False, node: Node | None = None, output_nr: int = 0) -> Any:
    """A tensor on `array`, which it does not copy; a leaf unless it has a `node`."""
    result: Any = new(Variable.concrete)
    result.array = array
    result.node = node
    result.output_nr = output_nr
    result.needs_grad = needs_grad
    result.gradient = None
    result.counter = [0]
    result.base = None
    result.meta = None
    return result


def become_leaf(holder: Any, array: Any, needs_grad: bool = False) -> Any:
    """Make `holder`, an instance of a class of its own such as Parameter, a leaf on `array`; returns it."""
    source = wrap(array, needs_grad)
    for slot in LEAF_SLOTS:
        setattr(holder, slot, getattr(source, slot))
    return holder


def unwrap(value: Any) -> Any:
    """The array of a tensor; anything else unchanged."""
    return value.array if isinstance(value, Variable) else value
