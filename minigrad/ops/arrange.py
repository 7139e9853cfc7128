"""Elements in other places: turned round, shifted, repeated, or only those of a triangle.

All are linear; the derivative of a shift is the shift back, of repeating the sum over the repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.autograd.op import Op
from minigrad.ops.dims import normalize_dim, normalize_dims
from minigrad.ops.forms import forms
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import numbers, reshape

__all__ = ["flip", "fliplr", "flipud", "repeat", "roll", "rot90", "tile", "tril", "triu"]


# -- turned round and shifted ------------------------------------------------------------------------------------------


@Op(node="FlipBackward0")
def flipped(input, dims: tuple, *, xp):
    """With the order along `dims` reversed, a copy."""
    return xp.flip(input, dims).copy(order="C" if 0 in input.strides else "K")  # what is expanded has no order


@Op(node="RollBackward0")
def rolled(input, shifts: tuple, dims: tuple, *, xp):
    """Shifted along each of `dims` (without dims, in the flattened tensor); what leaves at one end enters at the "
    "other."""
    out = xp.roll(input, shifts, dims) if dims else xp.roll(input, shifts[0])
    return xp.asarray(out, order="C")


@Op(node="Rot90Backward0")
def rotated(input, k: int, dims: tuple, *, xp):
    """Turned `k` times by 90 degrees from the first of `dims` towards the second, a copy."""
    return xp.rot90(input, k, dims).copy()


flipped.derivative(input=lambda g, dims: flipped(g, dims))
rolled.derivative(input=lambda g, shifts, dims: rolled(g, tuple([-n for n in shifts]), dims))
rotated.derivative(input=lambda g, k, dims: rotated(g, -k, dims))


@forms(out=False)
def flip(input: Any, *args: Any, dims: Any = None) -> Any:
    """With the order along `dims` reversed: flip(0, 1) or flip((0, 1)). A copy."""
    order = numbers("flip", "dims", args, dims)
    return flipped(input, normalize_dims(order, input.ndim) if order else ())


@forms(out=False)
def fliplr(input: Any) -> Any:
    """With the columns in reverse order."""
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d.\nfliplr got {input.ndim}-d")
    return flipped(input, (1,))


@forms(out=False)
def flipud(input: Any) -> Any:
    """With the rows in reverse order."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.\nflipud got a 0-dim tensor")
    return flipped(input, (0,))


@forms(out=False)
def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int] | None = ()) -> Any:
    """Shifted along `dims` (without them, in the flattened tensor); what leaves at one end enters at the other."""
    moves = numbers("roll", "shifts", (shifts,))
    axes = () if dims is None else numbers("roll", "dims", (dims,))
    if len(axes) != len(moves) and (axes or len(moves) != 1):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moves)}, dims:{len(axes)}")
    if not moves:
        raise RuntimeError("`shifts` required")
    if axes and not input.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    return rolled(input, moves, tuple([normalize_dim(d, input.ndim) for d in axes]))


@forms(out=False)
def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Turned `k` times by 90 degrees from the first of `dims` towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    first, second = [normalize_dim(d, input.ndim) for d in dims]
    return rotated(input, k % 4, (first, second))


# -- repeated ----------------------------------------------------------------------------------------------------------


@Op(node="RepeatBackward0")
def repeated(input, repeats: tuple, *, xp):
    """`input` laid side by side with itself, `repeats` times along each dim; new dims come first."""
    return xp.tile(input, repeats)


def _sum_of_repeats(g: Any, repeats: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    whole = (1,) * (len(repeats) - len(shape)) + shape
    apart = [n for pair in zip(repeats, whole, strict=True) for n in pair]
    return reshape(sum_dim(reshape(g, apart), tuple(range(0, len(apart), 2)), False), shape)


repeated.derivative(input=lambda g, repeats, input_shape: _sum_of_repeats(g, repeats, input_shape))


@forms(out=False)
def repeat(input: Any, *args: Any, repeats: Any = None) -> Any:
    """Laid side by side with itself, repeat(2, 3) or repeat((2, 3)) times along the dims; new dims come first."""
    times, shape = numbers("repeat", "repeats", args, repeats), tuple(input.shape)
    if len(times) < len(shape):
        raise RuntimeError(
            f"Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor\ngot "
            f"{list(times)} for the shape {list(shape)}"
        )
    if min(times, default=0) < 0:
        whole = (1,) * (len(times) - len(shape)) + shape
        result = [n * m for n, m in zip(times, whole, strict=True)]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(result)}: {result}")
    return repeated(input, times)


@forms(out=False)
def tile(input: Any, *args: Any, dims: Any = None) -> Any:
    """`repeat`, where dims for which no number is given are left as they are."""
    times = numbers("tile", "dims", args, dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


# -- triangles ---------------------------------------------------------------------------------------------------------


@forms(in_place=True, out="exact")
@Op
def tril(input, diagonal: int = 0, *, xp):
    """The lower triangles of matrices, up to `diagonal`; the rest is zero."""
    return xp.tril(_matrices("tril", input), diagonal)


@forms(in_place=True, out="exact")
@Op
def triu(input, diagonal: int = 0, *, xp):
    """The upper triangles of matrices, from `diagonal` on; the rest is zero."""
    return xp.triu(_matrices("triu", input), diagonal)


tril.derivative(input=lambda g, diagonal: tril(g, diagonal))
triu.derivative(input=lambda g, diagonal: triu(g, diagonal))


def _matrices(name: str, array: Any) -> Any:
    if array.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions\ngot the shape {list(array.shape)}")
    return array
