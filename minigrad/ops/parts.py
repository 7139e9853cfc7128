"""Parts of a tensor along its dims, all of them views: narrow, select, split, unbind, windows, and any strides at all.

A part's derivative puts the gradient back in its place among zeros; several parts of one tensor put theirs together.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms
from minigrad.ops.index import select_at, slice_at
from minigrad.ops.keys import ALL, Key
from minigrad.ops.shape import numbers

__all__ = [
    "as_strided", "chunk", "dsplit", "hsplit", "narrow", "select", "split", "split_with_sizes", "tensor_split",
    "unbind", "unfold", "vsplit",
]  # fmt: skip


def along(dim: int, item: int | slice) -> Key:
    """The key that applies `item` to dim `dim`."""
    return (*(ALL,) * dim, item, ...)


# -- one part ----------------------------------------------------------------------------------------------------------


@forms(out=False)
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """The `length` elements from `start`, an int or a 0-dim tensor, on along `dim`."""
    shape = input.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Variable) and (start.array.ndim or start.array.dtype.kind not in "iu"):
        raise RuntimeError(
            f"start must be an 0-dim integral Tensor.\ngot {list(start.array.shape)}, {start.array.dtype}"
        )
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative.\nGot {length}.")
    dim, start = normalize_dim(dim, len(shape)), operator.index(start)
    n = shape[dim]
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start = start + n if start < 0 else start
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return slice_at(input, along(dim, slice(start, start + length)))


@forms(out=False)
def select(input: Any, dim: int, index: int) -> Any:
    """The part at `index` along `dim`, without that dim."""
    shape = input.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, index = normalize_dim(dim, len(shape)), operator.index(index)
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {dim}")
    return select_at(input, along(dim, index))


# -- several parts -----------------------------------------------------------------------------------------------------


@Op
def placed(*parts, keys: tuple, shape: tuple, xp):
    """Zeros of `shape` with each part at its key: the adjoint of taking parts."""
    out = xp.zeros(shape, parts[0].dtype)
    for key, part in zip(keys, parts, strict=True):
        out[key] = part
    return out


placed.derivative(parts=lambda g, keys: [slice_at(g, key) for key in keys])


@Op(view=True, many=True, node="SplitBackward0")
def split_evenly(input, keys: tuple):
    """The parts at `keys`, all of one size but for the last."""
    return [input[key] for key in keys]


@Op(view=True, many=True, node="SplitWithSizesBackward0")
def split_at(input, keys: tuple):
    """The parts at `keys`, of any sizes."""
    return [input[key] for key in keys]


@Op(view=True, many=True, node="UnbindBackward0")
def unbind_at(input, keys: tuple):
    """The parts at `keys`, each of one element along a dim."""
    return [input[key] for key in keys]


def _put_back(g: Sequence[Any], keys: tuple[Key, ...], shape: tuple[int, ...]) -> Any:
    """The gradients that came (None for the others), each at its key."""
    came = [(part, key) for part, key in zip(g, keys, strict=True) if part is not None]
    return placed(*[part for part, _ in came], keys=tuple([key for _, key in came]), shape=shape)


for _op in (split_evenly, split_at, unbind_at):
    _op.derivative(input=lambda g, keys, input_shape: _put_back(g, keys, input_shape))


def _pieces(dim: int, sizes: Sequence[int]) -> tuple[Key, ...]:
    """Keys for consecutive parts of `sizes` along `dim`."""
    keys, start = [], 0
    for size in sizes:
        keys.append(along(dim, slice(start, start + size)))
        start += size
    return tuple(keys)


def _need_dims(name: str, input: Any) -> None:
    if not input.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")


@forms(method=False, out=False)
def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Parts of `split_size` along `dim`, the last one smaller if need be; or parts of the sizes in a list."""
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    _need_dims("split", tensor)
    size, dim = split_size_or_sections, normalize_dim(dim, tensor.ndim)
    n = tensor.shape[dim]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    count = max(-(-n // size), 1) if size else 1
    sizes = [size] * (count - 1) + [n - size * (count - 1)]
    return tuple(split_evenly(tensor, _pieces(dim, sizes)))


@forms(out=False)
def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Parts of `split_sizes` along `dim`, which they fill."""
    _need_dims("split", input)
    sizes, dim = numbers("split_with_sizes", "split_sizes", (split_sizes,)), normalize_dim(dim, input.ndim)
    if min(sizes, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={list(sizes)}"
        )
    if sum(sizes) != input.shape[dim]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {input.shape[dim]} (input tensor's size at "
            f"dimension {dim}), but got split_sizes={list(sizes)}"
        )
    return tuple(split_at(input, _pieces(dim, sizes)))


@forms(out=False)
def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most `chunks` parts of one size along `dim`, the last one smaller if need be."""
    _need_dims("chunk", input)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = normalize_dim(dim, input.ndim)
    n = input.shape[dim]
    if n == 0:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, -(-n // chunks), dim)


@forms(out=False)
def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The parts along `dim`, without it."""
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = normalize_dim(dim, input.ndim)
    return tuple(unbind_at(input, tuple([along(dim, i) for i in range(input.shape[dim])])))


@forms(out=False)
def tensor_split(
    input: Any,
    sections: Any = None,
    dim: int = 0,
    *,
    indices: Any = None,
    tensor_indices_or_sections: Any = None,
) -> tuple[Any, ...]:
    """Parts along `dim`: `sections` of them, the first ones one longer if need be, or cut at `indices`."""
    how = next(given for given in (sections, indices, tensor_indices_or_sections) if given is not None)
    if not input.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = normalize_dim(dim, input.ndim)
    n = input.shape[dim]
    if isinstance(how, Variable):
        how = how.array.tolist()
    if isinstance(how, int):
        if how <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {how}")
        short, longer = divmod(n, how)
        how = [i * short + min(i, longer) for i in range(1, how)]
    cuts = [0, *how, n]
    return tuple([slice_at(input, along(dim, slice(a, b))) for a, b in pairwise(cuts)])


def _split_along(name: str, least: int, dim: int) -> Any:
    def cut(input: Any, sections: int | Sequence[int] | None = None, *, indices: Any = None) -> tuple[Any, ...]:
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a "
                f"tensor with {input.ndim} dimensions!"
            )
        axis = 0 if input.ndim == 1 else dim
        if isinstance(sections, int) and (sections <= 0 or input.shape[axis] % sections):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension "
                f"{input.shape[axis]} is not divisible by the split_size {sections}!"
            )
        return tensor_split(input, sections, axis, indices=indices)

    cut.__name__ = cut.__qualname__ = name
    cut.__doc__ = f"`tensor_split` along dim {dim}; equal parts, if a number of them is given."
    return forms(out=False)(cut)


hsplit, vsplit, dsplit = _split_along("hsplit", 1, 1), _split_along("vsplit", 2, 0), _split_along("dsplit", 3, 2)


# -- windows, and their adjoint ----------------------------------------------------------------------------------------


@Op(view=True, node="UnfoldBackward0")
def windows(input, dim: int, size: int, step: int, *, xp):
    """Windows of `size` along `dim`, one every `step`; what is inside them is a new last dim."""
    stride = input.strides[dim] if input.ndim else input.itemsize
    n = input.shape[dim] if input.ndim else 1
    shape, strides = list(input.shape or (1,)), list(input.strides or (stride,))
    shape[dim], strides[dim] = (n - size) // step + 1, stride * step
    if not input.ndim:
        shape, strides = [], []
    return xp.lib.stride_tricks.as_strided(input, (*shape, size), (*strides, stride))


@Op
def overlap_add(input, dim: int, step: int, shape: tuple, *, xp):
    """Zeros of `shape` with the windows in `input` added at their places: the adjoint of `windows`."""
    out = xp.zeros(shape or (1,), input.dtype)
    count = input.shape[dim] if shape else 1
    for i in range(input.shape[-1]):
        out[along(dim, slice(i, i + (count - 1) * step + 1, step))] += input[..., i]
    return out.reshape(shape)


windows.derivative(input=lambda g, dim, step, input_shape: overlap_add(g, dim, step, input_shape))
overlap_add.derivative(
    input=lambda g, dim, step, input_shape: windows(g, dim, input_shape[-1], step),
)


@forms(out=False)
def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """Windows of `size` along `dimension`, one every `step`; what is inside them is a new last dim."""
    dim = normalize_dim(dimension, input.ndim)
    n = input.shape[dim] if input.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return windows(input, dim, size, step)


# -- any strides at all ------------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """Where elements lie in memory: shape, and strides and offset counted in elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def places(self, xp: Any) -> Any:
        """The position in memory of every element."""
        places = xp.full(self.shape, self.offset, xp.int64)
        for dim, (n, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            places += (xp.arange(n) * stride).reshape([-1 if i == dim else 1 for i in range(len(self.shape))])
        return places


@Op(view=True, node="AsStridedBackward0")
def strided(input, have: Layout, want: Layout, memory: int, *, xp):
    """The elements that lie as `want` in the memory where those of `input` lie as `have`."""
    as_strided, size = xp.lib.stride_tricks.as_strided, input.itemsize
    move = want.offset - have.offset
    first = as_strided(input, (abs(move) + 1,), (size if move >= 0 else -size,))[abs(move) :]
    return as_strided(first, want.shape, tuple([stride * size for stride in want.strides]))


@Op
def restrided(input, have: Layout, want: Layout, shared: Layout, memory: int, *, xp):
    """`input` added to zeros in a memory of `memory` elements as `have` says, and read from it as `want` says.

    What several elements of `shared` lie on is divided among them: an expanded input is one number many times.
    """
    flat = xp.zeros(memory, input.dtype)
    backend.add_at(flat, have.places(xp), input)
    flat /= xp.maximum(xp.bincount(shared.places(xp).reshape(-1), minlength=memory), 1)
    return flat[want.places(xp)]


strided.derivative(input=lambda g, have, want, memory: restrided(g, want, have, have, memory))
restrided.derivative(input=lambda g, have, want, shared, memory: restrided(g, want, have, shared, memory))


@forms(in_place="AsStridedBackward1", out=False)
def as_strided(input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Any:
    """A view of the memory of `input` with any shape, strides and offset, counted in elements from the base's first.

    RuntimeError for what lies outside that memory. Elements that the view shows twice get both gradients.
    """
    return strided(input, *layouts(input, size, stride, storage_offset))


def layouts(
    input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None
) -> tuple[Layout, Layout, int]:
    """How the elements of `input` lie, how those of the view shall, and the size of the memory, in elements."""
    array, base = input.array, input.array if input.base is None else input.base.array
    here = (backend.address(array) - backend.address(base)) // array.itemsize
    have = Layout(array.shape, tuple([n // array.itemsize for n in array.strides]), here)
    shape, strides = numbers("as_strided", "size", (size,)), numbers("as_strided", "stride", (stride,))
    want = Layout(shape, strides, here if storage_offset is None else storage_offset)
    if len(want.shape) != len(want.strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if min(want.shape, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(want.shape)}: {list(want.shape)}")
    if min(want.strides, default=0) < 0:
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(want.strides)}"
        )
    if want.offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {want.offset}")
    last = want.offset + sum([(n - 1) * step for n, step in zip(want.shape, want.strides, strict=True)])
    memory = 1 + sum([(n - 1) * abs(s) // array.itemsize for n, s in zip(base.shape, base.strides, strict=True)])
    if 0 not in want.shape and last >= memory:
        raise RuntimeError(
            f"setStorage: sizes {list(want.shape)}, strides {list(want.strides)}, storage offset {want.offset}, and "
            f"itemsize {array.itemsize} requiring a storage size of {(last + 1) * array.itemsize} are out of bounds "
            f"for storage of size {memory * array.itemsize}"
        )
    return have, want, memory
