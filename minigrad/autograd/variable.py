"""Variable: an array with a history. Tensor, one layer up, adds torch's methods to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.autograd.node import Node

new = object.__new__


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
    """

    __slots__ = ("__weakref__", "array", "base", "counter", "gradient", "meta", "needs_grad", "node", "output_nr")

    array: Any
    node: Node | None
    output_nr: int
    needs_grad: bool
    gradient: Any
    counter: list[int] | None
    base: Variable | None
    meta: Meta | None

    concrete: type[Variable]  # the class that results are instances of: the last subclass that says it is

    __hash__ = object.__hash__  # a Tensor's == is elementwise; identity is what dicts of tensors go by


class Meta:
    """Hooks of one tensor, and whether a non-leaf keeps its gradient."""

    __slots__ = ("hooks", "post_accumulate_hooks", "retains_grad")

    def __init__(self) -> None:
        self.hooks: dict[int, Any] = {}
        self.post_accumulate_hooks: dict[int, Any] = {}
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
    for slot in Variable.__slots__:
        if slot != "__weakref__":
            setattr(holder, slot, getattr(source, slot))
    return holder


def unwrap(value: Any) -> Any:
    """The array of a tensor; anything else unchanged."""
    return value.array if isinstance(value, Variable) else value
