"""In-place operations: `x.mul_(y)` is `x * y`, written into x's memory, with x's history moved on to the new value.

For a view the history of its base moves on as well: the base becomes "itself, with the view's region replaced by the
new value", and the view that region of it. Both derivatives read off: what was overwritten gets no gradient, the rest
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.hooks import keep_gradient
from minigrad.autograd.mode import mode
from minigrad.autograd.op import Op
from minigrad.autograd.op_node import OpNode
from minigrad.autograd.variable import wrap

__all__: list[str] = []


class Region(NamedTuple):
    """Where a view lies in its base, in elements of the base's memory, and how the base itself lies there."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    base_strides: tuple[int, ...]


def _strided(array: Any, shape: tuple[int, ...], strides: tuple[int, ...], xp: Any) -> Any:
    return xp.lib.stride_tricks.as_strided(array, shape, tuple(s * array.itemsize for s in strides))


def _like_base(array: Any, where: Region, xp: Any) -> Any:
    """A flat copy of `array`, laid out in memory as the base is, which may have gaps between its elements."""
    span = sum((n - 1) * s for n, s in zip(array.shape, where.base_strides, strict=True)) + 1 if array.size else 0
    flat = xp.empty(span, array.dtype)
    _strided(flat, array.shape, where.base_strides, xp)[...] = array
    return flat


@Op(node="AsStridedBackward0")
def region(input, where: Region, *, xp):
    """The elements of `input` that the view shows."""
    return _strided(_like_base(input, where, xp)[where.offset :], where.shape, where.strides, xp)


@Op
def put_region(input, value, where: Region, *, xp):
    """`input` with the region replaced by `value`."""
    flat = _like_base(input, where, xp)
    _strided(flat[where.offset :], where.shape, where.strides, xp)[...] = value
    return _strided(flat, input.shape, where.base_strides, xp)


@Op
def scatter_region(input, where: Region, shape: tuple, *, xp):
    """Zeros of `shape` with `input` in the region: the adjoint of `region`."""
    return put_region(xp.zeros(shape, input.dtype), input, where)


@Op(node="CopySlices")
def rewritten(input, value, where: Region):
    """`input`, whose region has been overwritten by `value` in memory already."""
    return input


region.derivative(input=lambda g, where, input_shape: scatter_region(g, where, input_shape))
scatter_region.derivative(input=lambda g, where: region(g, where))
for _op in (put_region, rewritten):
    _op.derivative(input=lambda g, where: put_region(g, 0.0, where), value=lambda g, where: region(g, where))


def in_place(op: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The in-place twin of `op`, named `name`: computes, writes into the first operand, and returns it."""

    def twin(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(self)
        return write(self, op(_before(self), *args, **kwargs), name)

    twin.__name__ = twin.__qualname__ = name
    twin.__doc__ = f"In-place `{op.__name__}`."
    return twin


def in_place_view(op: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The in-place twin of an op that shows the same memory in another shape: the tensor itself takes on that shape."""

    def twin(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(self)
        value = op(self, *args, **kwargs)
        self.array = value.array
        bump(self)
        if mode.grad:
            _take_history(self, value)
        return self

    twin.__name__ = twin.__qualname__ = name
    twin.__doc__ = f"In-place `{op.__name__}`."
    return twin


def _before(target: Any) -> Any:
    """`target` as it is now, for a graph that may save its values; itself where nothing is recorded."""
    if not mode.grad:
        return target
    return wrap(target.array.copy(), target.needs_grad, target.node, target.output_nr)


def check_writable(target: Any, part: Any = None) -> None:
    """RuntimeError, in torch's words, if the tensor (of it only the array `part`, if given) must not be written to."""
    if target.counter is None and not mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    array = target.array if part is None else part
    if 0 in array.strides and array.size and any(s == 0 and n > 1 for n, s in zip(array.shape, array.strides)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if not mode.grad:
        return
    base = target if target.base is None else target.base
    for leaf in (target, base):
        if leaf.needs_grad and leaf.node is None:
            view = "a view of " if part is not None or leaf.base is not None or leaf is not target else ""
            raise RuntimeError(
                f"{view}a leaf Variable that requires grad is being used in an in-place operation. Its old value would "
                f"be lost to the gradient: work on a clone, or update it under no_grad()."
            )
    node = target.node
    if target is not base and isinstance(node, OpNode) and node.declaration.many:
        raise RuntimeError(
            f"Output {target.output_nr} of {node.name().removesuffix('Backward0')} is a view and is being modified "
            f"inplace. This view is the output of a function that returns multiple views. Such functions do not allow "
            f"the output views to be modified inplace. You should replace the inplace operation by an out-of-place one."
        )


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
        move_history(target, value if have is need else value.to(need))
    return target


def bump(target: Any) -> None:
    """Count a change of `target`'s values."""
    if target.counter is not None:
        target.counter[0] += 1


def move_history(target: Any, value: Any) -> None:
    """Give `target`, whose memory now holds `value`, the history of `value`; and its base accordingly."""
    base = target.base
    if base is None:
        _take_history(target, value)
    elif value.needs_grad or base.needs_grad:
        where = _region_of(target.array, base.array)
        _take_history(base, rewritten(base, value, where))
        _take_history(target, region(base, where))


def follow_base(view: Any) -> None:
    """Give a view the history of its region in the base, after the base's history has moved on through another view."""
    base = view.base
    if base is not None and base.needs_grad:
        _take_history(view, region(base, _region_of(view.array, base.array)))


def _take_history(target: Any, source: Any) -> None:
    """Let `target` be what `source` is in the graph; its hooks stay with the old value, `retain_grad` goes along."""
    target.node, target.output_nr, target.needs_grad = source.node, source.output_nr, source.needs_grad
    if (before := target.meta) is not None:
        target.meta = None
        if before.retains_grad:
            before.retains_grad = False
            keep_gradient(target)


def _region_of(view: Any, base: Any) -> Region:
    if min(base.strides, default=0) < 0:
        raise RuntimeError("a tensor on a reversed array cannot be written through its views: make a copy of the array")
    size = view.itemsize
    offset = (backend.address(view) - backend.address(base)) // size
    return Region(view.shape, tuple(s // size for s in view.strides), offset, tuple(s // size for s in base.strides))
