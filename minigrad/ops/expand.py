"""Repeating along dims without copying, as broadcasting does, and its adjoint, the sum over those dims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.kernels.sums import sum_to
from minigrad.ops.forms import forms
from minigrad.ops.shape import Shape, numbers

__all__ = ["broadcast_tensors", "broadcast_to", "expand", "expand_as", "sum_to_size"]


@Op(view=True, node="ExpandBackward0")
def expanded(input, shape: tuple, *, xp):
    """`input` seen in `shape`: leading dims and dims of size 1 are repeated with stride 0."""
    try:
        out = xp.broadcast_to(input, shape)
    except ValueError:
        raise _not_expandable(input, shape) from None
    if xp is backend.np:
        out.flags.writeable = input.flags.writeable  # NumPy protects it, torch looks when it is written to
    return out


@Op
def summed_to_size(input, shape: tuple):
    """`input` summed over the dims along which `shape` would be expanded to it; integers as int64."""
    return sum_to(input if input.dtype.kind == "f" else input.astype("int64"), shape)


def _not_expandable(input: Any, shape: Shape) -> RuntimeError:
    have, missing = input.shape, len(shape) - input.ndim
    for i in reversed(range(len(shape))):
        if i >= missing and have[i - missing] not in (1, shape[i]):
            return RuntimeError(
                f"The expanded size of the tensor ({shape[i]}) must match the existing size ({have[i - missing]}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
            )
    return RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")


@forms(out=False)
def expand(input: Any, *args: Any, size: Any = None, implicit: bool = False) -> Any:
    """A view in a larger shape: dims of size 1 are repeated, new ones put in front; -1 keeps a size.

    RuntimeError for a shape to which `input` cannot be broadcast. All repeats of an element share its memory.
    """
    shape, have = numbers("expand", "size", args, size), input.shape
    if (missing := len(shape) - len(have)) < 0:
        raise RuntimeError(
            f"expand(torch.{backend.dtype_of(input.array).type_name}Tensor{{{list(have)}}}, size={list(shape)}): the "
            f"number of sizes provided ({len(shape)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(have)})"
        )
    if -1 in shape:
        if -1 in shape[:missing]:
            raise RuntimeError(
                f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension "
                f"{shape.index(-1)}\nTarget sizes: {list(shape)}; tensor sizes: {list(have)}"
            )
        shape = tuple([have[i - missing] if n == -1 else n for i, n in enumerate(shape)])
    return expanded(input, shape)


@forms(out=False)
def broadcast_to(input: Any, *args: Any, size: Any = None) -> Any:
    """`expand`, as torch's function of that name."""
    return expand(input, *args, size=size)


@forms(out=False)
def expand_as(input: Any, other: Any) -> Any:
    """`input` expanded to the shape of `other`."""
    return expand(input, other.shape)


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """All `tensors` expanded to the one shape to which they broadcast."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shape = broadcast_shape(*[t.shape for t in tensors])
    return tuple([t if t.shape == shape else expanded(t, shape) for t in tensors])


def broadcast_shape(*shapes: Sequence[int]) -> Shape:
    """The shape to which arrays of `shapes` broadcast together; RuntimeError if they do not."""
    result: list[int] = []
    for shape in shapes:
        result[:0] = [1] * (len(shape) - len(result))
        for i in range(1, len(shape) + 1):
            if result[-i] == 1:
                result[-i] = shape[-i]
            elif shape[-i] not in (1, result[-i]):
                raise RuntimeError(
                    f"The size of tensor a ({result[-i]}) must match the size of tensor b ({shape[-i]}) at "
                    f"non-singleton dimension {len(result) - i}\nThe shapes are "
                    f"{', '.join(str(list(s)) for s in shapes)}."
                )
    return tuple(result)


@forms(out=False)
def sum_to_size(input: Any, *args: Any, size: Any = None) -> Any:
    """`input` summed to `size`, from which it could have been expanded: the adjoint of `expand`."""
    shape, have = numbers("sum_to_size", "size", args, size), tuple(input.shape)
    if shape == have and shape:
        return input
    if len(shape) > len(have) or any(n not in (1, m) for n, m in zip(shape[::-1], have[::-1], strict=False)):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(have)}}}.")
    return summed_to_size(input, shape)


expanded.derivative(input=lambda g, input_shape: sum_to_size(g, input_shape))
summed_to_size.derivative(input=lambda g, input_shape: expanded(g, input_shape))
