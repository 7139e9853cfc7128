"""Views: tensors on one memory, and what becomes of their histories when it is written to.

A write through a view moves the history of its base on: the base becomes "itself, with the view's region replaced by
the new value" (torch's CopySlices). All other views of the base notice by its version, at their next use, that they
are out of step, and become the region of the base that they show (torch's AsStridedBackward0).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.hooks import keep_gradient
from minigrad.autograd.mode import mode, set_mode
from minigrad.autograd.op import Op
from minigrad.autograd.trace import caller
from minigrad.autograd.variable import INFERENCE, OF_FUNCTION, ONE_OF_MANY, wrap

# -- the region of a base that a view shows ----------------------------------------------------------------------------


class Region(NamedTuple):
    """Where a view lies in its base, in elements of the base's memory, and how the base itself lies there."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    base_strides: tuple[int, ...]


def _region_of(view: Any, base: Any) -> Region:
    if min(base.strides, default=0) < 0:
        raise RuntimeError("a tensor on a reversed array cannot be written through its views: make a copy of the array")
    size = view.itemsize
    offset = (backend.address(view) - backend.address(base)) // size
    return Region(view.shape, tuple(s // size for s in view.strides), offset, tuple(s // size for s in base.strides))


def _strided(array: Any, shape: tuple[int, ...], strides: tuple[int, ...], xp: Any) -> Any:
    return xp.lib.stride_tricks.as_strided(array, shape, tuple(s * array.itemsize for s in strides))


def _in_memory(array: Any, where: Region, xp: Any) -> Any:
    """A flat copy of `array`, laid out in memory as the base is, which may have gaps between its elements."""
    span = sum((n - 1) * s for n, s in zip(array.shape, where.base_strides, strict=True)) + 1 if array.size else 0
    flat = xp.empty(span, array.dtype)
    _strided(flat, array.shape, where.base_strides, xp)[...] = array
    return flat


@Op(node="AsStridedBackward0")
def region(input, where: Region, *, xp):
    """The elements of `input` that the view shows."""
    return _strided(_in_memory(input, where, xp)[where.offset :], where.shape, where.strides, xp)


@Op
def put_region(input, value, where: Region, *, xp):
    """`input` with the region replaced by `value`."""
    flat = _in_memory(input, where, xp)
    _strided(flat[where.offset :], where.shape, where.strides, xp)[...] = value
    return _strided(flat, input.shape, where.base_strides, xp)


@Op
def scatter_region(input, where: Region, shape: tuple, *, xp):
    """Zeros of `shape` with `input` added in the region: the adjoint of `region`."""
    if not _overlaps_itself(where):
        return put_region(xp.zeros(shape, input.dtype), input, where)
    flat = _in_memory(xp.zeros(shape, input.dtype), where, xp)
    places = xp.full(where.shape, where.offset, xp.int64)
    for dim, (n, stride) in enumerate(zip(where.shape, where.strides, strict=True)):
        places += (xp.arange(n) * stride).reshape([-1 if d == dim else 1 for d in range(len(where.shape))])
    backend.add_at(flat, places, input)
    return _strided(flat, shape, where.base_strides, xp)


def _overlaps_itself(where: Region) -> bool:
    """True if the view may show an element twice, as an expanded or unfolded one does."""
    span = 0
    for stride, n in sorted((s, n) for s, n in zip(where.strides, where.shape, strict=True) if n > 1):
        if stride <= span:
            return True
        span += stride * (n - 1)
    return False


@Op(node="CopySlices")
def rewritten(input, value, where: Region):
    """`input`, whose region has been overwritten by `value` in memory already."""
    return input


@Op(node="AsStridedBackward0")
def shown(input, where: Region):
    """What stands for `region` where only the history is wanted."""
    return input


region.derivative(input=lambda g, where, input_shape: scatter_region(g, where, input_shape))
shown.derivative(input=lambda g, where, input_shape: scatter_region(g, where, input_shape))
scatter_region.derivative(input=lambda g, where: region(g, where))
for _op in (put_region, rewritten):
    _op.derivative(input=lambda g, where: put_region(g, 0.0, where), value=lambda g, where: region(g, where))


# -- histories ---------------------------------------------------------------------------------------------------------


def bump(target: Any) -> None:
    """Count a change of the values of `target`, and note where it was made, for the error that may tell of it."""
    if target.counter is not None:
        target.counter[:] = target.counter[0] + 1, caller()


def move_history(target: Any, value: Any) -> None:
    """Give `target`, whose memory now holds `value`, the history of `value`; and its base accordingly."""
    base = target.base
    if base is None:
        take_history(target, value)
    elif value.needs_grad or base.needs_grad:
        take_history(base, rewritten(base, value, _region_of(target.array, base.array)))
        catch_up(target)


def follow(view: Any) -> bool:
    """Whether a view wants a gradient; where operations are recorded, its history catches up first."""
    if mode.grad:
        catch_up(view)
    return view.needs_grad or view.base.needs_grad


def catch_up(view: Any) -> None:
    """Let the history of a view follow the writes to its memory.

    RuntimeError if it is a view whose history cannot follow: made under no_grad, one of several, or of a Function.
    """
    base = view.base
    if view.seen != view.counter[0] and (base.needs_grad or view.node is not None):
        if view.origin is not None:
            raise refusal(view, "its base or another view of its base has been")
        source = base
        if not base.needs_grad:  # any more: it was detached
            source = wrap(base.array)
            source.needs_grad = True
        before = mode.grad, mode.inference
        set_mode(True, False, mode.watcher)
        try:
            now = shown(source, _region_of(view.array, base.array))
        finally:
            set_mode(*before, mode.watcher)
        if source is not base:
            now.node.edges = [None]
        view.seen = view.counter[0]
        take_history(view, now)


def take_history(target: Any, source: Any) -> None:
    """Let `target` be what `source` is in the graph; its hooks stay with the old value, `retain_grad` goes along."""
    if target.node is None and source.node is None:
        return
    target.node, target.output_nr, target.needs_grad = source.node, source.output_nr, source.needs_grad
    if (before := target.meta) is not None:
        target.meta = None
        if before.retains_grad:
            before.retains_grad = False
            keep_gradient(target)


REASONS = {
    ONE_OF_MANY: "This view is the output of a function that returns multiple views. Such functions do not allow the "
    "output views to be modified inplace. You should replace the inplace operation by an out-of-place one.",
    OF_FUNCTION: "This view was created inside a custom Function (or because an input was returned as-is) and the "
    "autograd logic to handle view+inplace would override the custom backward associated with the custom Function, "
    "leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom "
    "Function.",
}


def refusal(view: Any, modified: str = "is being", part: str | None = None) -> RuntimeError:
    """torch's error for a write, through a view (or a `part` of it, named by its operation) or beside it, that its
    history cannot express.
    """
    node, origin = view.node, view.origin
    made = ""
    if node is not None:
        number, name = (0, part) if part else (view.output_nr, re.sub(r"Backward0?(\d*)$", r"\1", node.name()))
        made = f"Output {number} of {name} is a view"
        if origin in REASONS:
            return RuntimeError(f"{made} and {modified} modified inplace. {REASONS[origin]}")
    mode, now = (
        ("inference mode", "in normal mode") if origin == INFERENCE else ("no_grad mode", "with grad mode enabled")
    )
    block = mode.replace("inference mode", "inference_mode").removesuffix(" mode")
    return RuntimeError(
        f"{made + ' of a view which' if made else 'A view'} was created in {mode} and {modified} modified inplace "
        f"{now}. Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by "
        f"moving both the view and the inplace either both inside the {block} block (if you don't want the inplace to "
        f"be tracked) or both outside (if you want the inplace to be tracked)."
    )
