"""In-place operations: `x.mul_(y)` is `x * y`, written into x's memory, with x's history moved on to the new value.

What a write through a view does to the histories of the base and of other views is in `autograd.views`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.node import wants_grad
from minigrad.autograd.op_node import OpNode
from minigrad.autograd.variable import Variable, wrap
from minigrad.autograd.views import bump, move_history, refusal, take_history

__all__: list[str] = []

SEVERAL = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
OVERLAP = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
    "location. Please clone() the tensor before performing the operation."
)


def in_place(op: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The in-place twin of `op`, named `name`: computes, writes into the first operand, and returns it."""

    def twin(input: Any, *args: Any, **kwargs: Any) -> Any:
        others = [a for a in (*args, *kwargs.values()) if isinstance(a, Variable)]
        check_writable(input, others)
        check_memory(input.array, input, others)
        return write(input, op(_before(input), *args, **kwargs), name)

    twin.__name__ = twin.__qualname__ = name
    twin.__doc__ = f"In-place `{op.__name__}`."
    return twin


def in_place_view(op: Callable[..., Any], name: str, node: str) -> Callable[..., Any]:
    """The in-place twin of an op that shows the same memory in another shape: the tensor itself takes on that shape.

    `node` is torch's name for its node, which counts on from those of `op`.
    """

    def twin(input: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(input)
        value = op(input, *args, **kwargs)
        input.array = value.array
        bump(input)
        if mode.grad:
            if value.node is not None:
                value.node.__class__ = _renamed(value.node.__class__, node)
            input.seen = None if input.counter is None else input.counter[0]
            take_history(input, value)
        return input

    twin.__name__ = twin.__qualname__ = name
    twin.__doc__ = f"In-place `{op.__name__}`."
    return twin


@functools.cache
def _renamed(node_class: type, name: str) -> type:
    return type(name, (node_class,), {"__slots__": ()})


def _before(target: Any) -> Any:
    """`target` as it is now, for a graph that may save its values; itself where nothing is recorded."""
    if not mode.grad:
        return target
    return wrap(target.array.copy(), target.needs_grad, target.node, target.output_nr)


def check_writable(target: Any, others: Sequence[Any] = (), part: str | None = None) -> None:
    """RuntimeError, in torch's words, if the tensor must not be written to, for its mode or its history.

    `others` are the tensors that the new values are made of; `part` is the operation that shows what is written, if it
    is only a part.
    """
    if target.counter is None and not mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if mode.grad:
        _check_history(target, others, part)


def check_memory(array: Any, target: Any, others: Sequence[Any] = (), expanded: bool = False) -> None:
    """RuntimeError if writing to `array`, of the tensor `target`, would write an element twice, or what is yet to be
    read of `others`; these count as having the dims of `array` if `expanded`.
    """
    if 0 in array.strides and array.size and any(s == 0 and n > 1 for n, s in zip(array.shape, array.strides)):
        raise RuntimeError(SEVERAL)
    for other in others:
        if expanded and other.array.size != array.size:
            continue  # several places read one: torch does not look closer, and here the result is right
        if other.counter is target.counter and other is not target and array.size:
            _check_overlap(array, other.array, expanded)


def _check_history(target: Any, others: Sequence[Any], part: str | None) -> None:
    """RuntimeError for leaves that want a gradient, their views, and views whose history cannot follow."""
    base = target.base
    wanted = target.needs_grad or (base is not None and base.needs_grad)
    if not (wanted or any(wants_grad(t) for t in others)):
        return
    if base is not None:
        if target.origin is not None:
            raise refusal(target, part=part)
        target.follow()
    leaf = target if base is None else base
    if wanted and leaf.node is None:
        view = "a view of " if part is not None or base is not None else ""
        raise RuntimeError(
            f"{view}a leaf Variable that requires grad is being used in an in-place operation. Its old value would "
            f"be lost to the gradient: work on a clone, or update it under no_grad()."
        )


def _check_overlap(target: Any, source: Any, expanded: bool) -> None:
    """RuntimeError if two arrays share some of their memory, but not all of it in the same layout."""
    if not (_is_dense(target) and _is_dense(source)):
        return  # as torch, which does not look closer: here the result is right in any case
    start, other = backend.address(target), backend.address(source)
    if start == other and target.nbytes == source.nbytes:
        if _steps(target) == _steps(source) and (expanded or target.ndim == source.ndim):
            return
    elif start >= other + source.nbytes or other >= start + target.nbytes:
        return
    raise RuntimeError(OVERLAP)


def _steps(array: Any) -> list[int]:
    """The strides that matter."""
    return [s for s, n in zip(array.strides, array.shape) if n != 1]


def _is_dense(array: Any) -> bool:
    """True if the elements fill a stretch of memory, each in a place of its own."""
    expected = array.itemsize
    for stride, n in sorted((s, n) for s, n in zip(array.strides, array.shape) if n != 1):
        if stride != expected:
            return False
        expected *= n
    return True


def write(target: Any, value: Any, name: str) -> Any:
    """Put `value` (a tensor) into `target`'s memory, and let its history be `target`'s."""
    array, new = target.array, value.array
    if new.shape != array.shape:
        raise RuntimeError(
            f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(new.shape)}: {name} cannot "
            f"enlarge the tensor it writes into"
        )
    have, need = backend.dtype_of(new), backend.dtype_of(array)
    if have.category > need.category:
        raise RuntimeError(
            f"result type {have.type_name} can't be cast to the desired output type {need.type_name}: use the "
            f"operation that is not in place, or .to() first"
        )
    array[...] = new
    bump(target)
    if mode.grad:
        if have is need:
            _share_result(target, value)
        else:
            value = value.to(need)
        move_history(target, value)
    return target


def _share_result(target: Any, value: Any) -> None:
    """Let the node of `value` keep, where it saved that, the memory of `target`, which holds the same now."""
    node = value.node
    if not (isinstance(node, OpNode) and node.saved_names and isinstance(node.saved, tuple)):
        return
    if any(s is value.array for s in node.saved):
        node.saved = tuple([target.array if s is value.array else s for s in node.saved])
        stamp = target.counter, target.counter[0]
        node.versions = tuple([stamp if v[0] is value.counter else v for v in node.versions])
