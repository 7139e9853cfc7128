"""Writing constants or another tensor's values into a tensor: `fill_`, `zero_`, `copy_`, `data`-style assignment.

What was there before gets a gradient of zero.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.node import wants_grad
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.autograd.views import bump
from minigrad.ops.checks import need_float_for_gradient
from minigrad.ops.create import size_of
from minigrad.ops.forms import forms
from minigrad.ops.inplace import check_memory, check_writable, write
from minigrad.ops.rounding import no_slope

__all__ = ["copy_", "fill", "fill_", "resize_", "resize_as_", "zero_"]


@Op(node="ZeroBackward0")
def zeroed(input, *, xp):
    """Zeros in the shape of `input`."""
    return xp.zeros_like(input)


def number_everywhere(input, value: float, *, xp):
    """A number in the shape of `input`."""
    return xp.full_like(input, value)


def element_everywhere(input, value, *, xp):
    """`value`, a 0-dim array, in the shape of `input`."""
    return xp.full_like(input, value)


filled, filled_with = Op(number_everywhere, node="FillBackward0"), Op(element_everywhere, node="FillBackward1")
overwritten, overwritten_with = (
    Op(number_everywhere, node="FillBackward2"),
    Op(element_everywhere, node="FillBackward3"),
)


@Op(node="CopyBackwards")
def replaced(input, src, *, xp):
    """`src`, broadcast to the shape of `input`."""
    out = xp.empty_like(input)
    out[...] = src
    return out


for _op in (zeroed, filled, overwritten):
    _op.derivative(input=lambda g: no_slope(g))
for _op in (filled_with, overwritten_with):
    _op.derivative(input=lambda g: no_slope(g), value=lambda g: g)
replaced.derivative(input=lambda g: no_slope(g), src=lambda g: g)


def fill(input: Any, value: Any) -> Any:
    """`value`, a number or a 0-dim tensor, in the shape of `input`."""
    if not isinstance(value, Variable):
        return filled(input, value)
    _need_element(value)
    need_float_for_gradient(input.array, value)
    return filled_with(input, value.to(input))  # type: ignore[attr-defined]  # a Tensor's method


def _need_element(value: Any) -> None:
    if value.array.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions."
        )


@forms(out=False)
def fill_(input: Any, value: Any) -> Any:
    """Set every element to `value`, a number or a 0-dim tensor."""
    is_tensor = isinstance(value, Variable)
    check_writable(input, [value] if is_tensor else [])
    if is_tensor:
        check_memory(input.array, input)
        _need_element(value)
    if mode.grad and (wants_grad(input) or is_tensor):
        new = overwritten_with(input, value.to(input)) if is_tensor else overwritten(input, value)
        return write(input, new, "fill_")
    input.array[...] = value.array if is_tensor else value
    bump(input)
    return input


@forms(out=False)
def zero_(input: Any) -> Any:
    """Set every element to 0."""
    check_writable(input)
    if mode.grad and wants_grad(input):
        return write(input, zeroed(input), "zero_")
    input.array[...] = 0
    bump(input)
    return input


@forms(out=False)
def copy_(self: Any, other: Any, non_blocking: bool = False) -> Any:
    """Take over the values of `other`, broadcast to this shape and cast to this dtype, from any device.

    `non_blocking` as in `Tensor.to`.
    """
    if not isinstance(other, Variable):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}")
    check_writable(self, [other])
    if other is not self:
        check_memory(self.array, self, [other])
    _check_broadcast(other.array.shape, self.array.shape)
    source = other.to(self, non_blocking=non_blocking)
    if mode.grad and (wants_grad(self) or wants_grad(other)):
        return write(self, replaced(self, source), "copy_")
    self.array[...] = source.array
    bump(self)
    return self


def _check_broadcast(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    """RuntimeError unless `shape` can be broadcast to `target`."""
    for i in range(1, len(shape) + 1):
        if i > len(target) or shape[-i] not in (1, target[-i]):
            if i > len(target):
                raise RuntimeError(
                    f"The number of dimensions of the source, {len(shape)}, is greater than that of the target, "
                    f"{len(target)}: copy_ cannot write {list(shape)} into {list(target)}"
                )
            raise RuntimeError(
                f"The size of tensor a ({target[-i]}) must match the size of tensor b ({shape[-i]}) at non-singleton "
                f"dimension {len(target) - i}. copy_ cannot write {list(shape)} into {list(target)}"
            )


@forms(out=False)
def resize_(self: Any, *args: Any, size: Any = None, memory_format: Any = None) -> Any:
    """Give the tensor another shape: the elements in memory order, cut off or followed by whatever memory holds."""
    if self.needs_grad:
        raise RuntimeError("cannot resize variables that require grad")
    shape = size_of(args if size is None else (size,), "resize_")
    flat = self.array.reshape(-1)
    wanted = math.prod(shape)
    if wanted > flat.size:
        larger = backend.module_of(flat).empty(wanted, flat.dtype)
        larger[: flat.size] = flat
        flat = larger
    self.array = flat[:wanted].reshape(shape)
    return self


@forms(out=False)
def resize_as_(input: Any, the_template: Any, *, memory_format: Any = None) -> Any:
    """`resize_` to the shape of `the_template`."""
    return resize_(input, the_template.shape)
