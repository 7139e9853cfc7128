"""A tensor with one part of it replaced, as a new tensor: `x[key] = src` without the writing.

The source's gradient is that part of `g`, the input's is `g` with zeros there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minigrad.autograd.op import Op
from minigrad.ops.checks import need_float_for_gradient
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms
from minigrad.ops.index import select_at, slice_at
from minigrad.ops.parts import Layout, along, layouts, restrided, select
from minigrad.ops.shape import diagonal

__all__ = ["as_strided_scatter", "diagonal_scatter", "select_scatter", "slice_scatter"]


# -- a part that a view shows ------------------------------------------------------------------------------------------


def with_part(input, src, part: Callable[[Any], Any]):
    """`input` with `src` in the part that `part` shows of it; `part` is an op with all but its operand given."""
    out = input.copy()
    shown = part(out)
    _check_size(src, shown.shape)
    shown[...] = src
    return out


@Op
def without_part(input, part: Callable[[Any], Any]):
    """`input` with zeros in the part that `part` shows of it."""
    out = input.copy()
    part(out)[...] = 0
    return out


without_part.derivative(input=lambda g, part: without_part(g, part))

with_selected, with_sliced, with_diagonal = (
    Op(with_part, node=f"{name}ScatterBackward0") for name in ("Select", "Slice", "Diagonal")
)
for _op in (with_selected, with_sliced, with_diagonal):
    _op.derivative(input=lambda g, part: without_part(g, part), src=lambda g, part: part(g))


def _check_size(src: Any, shape: tuple[int, ...]) -> None:
    if src.shape != shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(shape)}"
        )


@forms(out=False)
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """`input` with `src` at `index` along `dim`."""
    select(input, dim, index)  # for its errors
    key = along(normalize_dim(dim, input.ndim), index)
    need_float_for_gradient(input.array, src)
    return with_selected(input, src, functools.partial(select_at, key=key))


@forms(out="exact")
def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """`input` with `src` at start:end:step along `dim`."""
    if not input.ndim:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError(f"slice step must be positive\ngot {step}")
    key = along(normalize_dim(dim, input.ndim), slice(start, end, step))
    need_float_for_gradient(input.array, src)
    return with_sliced(input, src, functools.partial(slice_at, key=key))


@forms(out=False)
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """`input` with `src` on the diagonal that `diagonal` would show."""
    need_float_for_gradient(input.array, src)
    return with_diagonal(input, src, functools.partial(diagonal, offset=offset, dim1=dim1, dim2=dim2))


# -- any strides at all ------------------------------------------------------------------------------------------------


@Op(node="AsStridedScatterBackward0")
def with_strided(input, src, have: Layout, want: Layout, memory: int, *, xp):
    """`input`, lying as `have` in a memory of `memory` elements, after `src` was written there as `want` says."""
    return _through_memory(input, src, have, want, memory, xp)


@Op
def without_strided(input, have: Layout, want: Layout, memory: int, *, xp):
    """The same with zeros written."""
    return _through_memory(input, 0, have, want, memory, xp)


def _through_memory(input: Any, values: Any, have: Layout, want: Layout, memory: int, xp: Any) -> Any:
    flat, here = xp.empty(memory, input.dtype), have.places(xp)
    flat[here] = input
    flat[want.places(xp)] = values
    return flat[here]


with_strided.derivative(
    input=lambda g, have, want, memory: without_strided(g, have, want, memory),
    src=lambda g, have, want, memory: restrided(g, have, want, have, memory),
)
without_strided.derivative(input=lambda g, have, want, memory: without_strided(g, have, want, memory))


@forms(out=False)
def as_strided_scatter(
    input: Any, src: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """`input` with `src` where `as_strided` would show its memory.

    RuntimeError if an `input` that wants a gradient is not contiguous. torch 2.13 gives the input the gradient of `src`
    in its place, which no finite difference bears out; here it is `g` with zeros there.
    """
    have, want, memory = layouts(input, size, stride, storage_offset)
    _check_size(src.array, want.shape)
    need_float_for_gradient(input.array, src)
    if input.needs_grad and not input.array.flags.c_contiguous:
        raise RuntimeError("as_strided_scatter is currently only supported for contiguous inputs\ncall .contiguous()")
    return with_strided(input, src, have, want, memory)
