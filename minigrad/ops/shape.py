"""The same elements in another shape or order: views where memory allows.

All are linear and move no values, so each derivative is the way back: `reshape` to the shape before, the inverse
permutation, and for a diagonal putting it back among zeros.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable, unwrap, wrap
from minigrad.formats import contiguous_format
from minigrad.ops.cast import clone, contiguous
from minigrad.ops.dims import normalize_dim, normalize_dims
from minigrad.ops.forms import forms

__all__ = [
    "adjoint", "diagonal", "flatten", "moveaxis", "movedim", "permute",
    "ravel", "reshape", "reshape_as", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten",
    "unsqueeze", "view", "view_as",
]  # fmt: skip

Shape = tuple[int, ...]


def numbers(name: str, parameter: str, args: tuple[Any, ...], named: Any = None) -> Shape:
    """The ints given as `f(2, 3)`, `f((2, 3))`, `f([2, 3])` or `f(parameter=(2, 3))`. TypeError for anything else."""
    if named is not None:
        args = (named,)
    if not args:
        raise TypeError(f'{name}() missing 1 required positional arguments: "{parameter}"')
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        return tuple(map(operator.index, args))
    except TypeError:
        at, odd = next((i, x) for i, x in enumerate(args) if not hasattr(x, "__index__") or isinstance(x, Variable))
        raise TypeError(
            f"{name}(): argument '{parameter}' (position 1) must be tuple of ints, but found element of type "
            f"{type(odd).__name__} at pos {at}"
        ) from None


# -- another shape -----------------------------------------------------------------------------------------------------


@Op(view=True, node="ViewBackward0")
def view_to(input, shape: tuple):
    """The elements in `shape`, in the same memory. RuntimeError if no strides show them so."""
    out = input.reshape(shape)
    if not input.flags.c_contiguous and out.size and not backend.is_view_of(out, input):
        raise RuntimeError(
            f"view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            f"contiguous subspaces). Use .reshape(...) instead.\nThe tensor has shape {list(input.shape)} and strides "
            f"{[s // input.itemsize for s in input.strides]}; wanted was {list(shape)}."
        )
    return out


@Op(view=True, node="ReshapeAliasBackward0")
def strided_view_to(input, shape: tuple):
    """The elements in `shape`, in the same memory, of a tensor that is not row-major but has strides that show them."""
    return input.reshape(shape)


@Op(view=True)
def alias(input):
    """The tensor as it is, as a view."""
    return input[...]


@Op(node="UnsafeViewBackward0")
def fresh_view_to(input, shape: tuple):
    """The elements of a tensor that nobody else holds in `shape`."""
    return input.reshape(shape)


def view_as_dtype(input: Any, dtype: backend.dtype) -> Any:
    """The bytes of the memory, read as `dtype`: with no history, as a detached tensor.

    RuntimeError unless the last dim is contiguous and holds whole elements of that dtype.
    """
    array, want = input.array, backend.numpy_dtype(dtype)
    size, how = array.itemsize, f"to view {input.dtype.type_name} as {dtype.type_name} (different element sizes)"
    if want.itemsize != size:
        if not array.ndim:
            raise RuntimeError(f"self.dim() cannot be 0 {how}")
        if array.shape[-1] * size % want.itemsize:
            ratio = want.itemsize // size
            raise RuntimeError(f"self.size(-1) must be divisible by {ratio} {how}, but got {array.shape[-1]}")
        if array.strides[-1] != size and array.size:
            raise RuntimeError(f"self.stride(-1) must be 1 {how}, but got {array.strides[-1] // size}")
    result = wrap(array.view(want))
    result.counter = input.counter
    return result


alias.derivative(input=lambda g: g)


def resolved(shape: Shape, count: int) -> Shape:
    """`shape` with its -1, if it has one, replaced by what makes it hold `count` elements. RuntimeError if nothing "
    "does."""
    if math.prod(shape) == count and min(shape, default=0) >= 0:
        return shape
    if shape.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred\nthe shape {list(shape)} has several -1")
    for i, n in enumerate(shape):
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(shape)}")
    rest = -math.prod(shape) if -1 in shape else 0
    if rest == 0 and -1 in shape and count == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
            f"can be any value and is ambiguous"
        )
    if rest == 0 or count % rest:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")
    return tuple([count // rest if n == -1 else n for n in shape])


@forms(out=False)
def view(input: Any, *args: Any, size: Any = None, dtype: Any = None) -> Any:
    """The elements in another shape (one -1 is inferred), sharing the memory; or given a dtype, the bytes read as it.

    RuntimeError if the shape holds another number of elements, or if the strides forbid it: then `reshape` copies.
    """
    if dtype is not None or (len(args) == 1 and isinstance(args[0], backend.dtype)):
        return view_as_dtype(input, args[0] if dtype is None else dtype)
    return view_to(input, resolved(numbers("view", "size", args, size), input.array.size))


@forms(out=False)
def reshape(input: Any, *args: Any, shape: Any = None) -> Any:
    """The elements in another shape (one -1 is inferred): a view where the strides allow it, else a copy."""
    size = numbers("reshape", "shape", args, shape)
    if not isinstance(input, Variable):
        return input.reshape(size)
    array = input.array
    size = resolved(size, array.size)
    if array.flags.c_contiguous:
        return view_to(input, size)
    if backend.is_view_of(array.reshape(size), array):
        return strided_view_to(input, size)
    return fresh_view_to(clone(input, memory_format=contiguous_format), size)


for _op in (view_to, strided_view_to, fresh_view_to):
    _op.derivative(input=lambda g, input_shape: reshape(g, input_shape))


@forms(out=False)
def view_as(input: Any, other: Any) -> Any:
    """`input` viewed in the shape of `other`."""
    return view(input, other.shape)


@forms(out=False)
def reshape_as(input: Any, other: Any) -> Any:
    """`input` in the shape of `other`."""
    return reshape(input, other.shape)


@forms(out=False)
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The dims from `start_dim` to `end_dim`, both included, made one; a 0-dim tensor gets one dim."""
    shape = unwrap(input).shape
    start, end = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if not shape:
        return reshape(input, (1,))
    if start > end:
        raise RuntimeError(
            f"flatten() has invalid args: start_dim cannot come after end_dim\ngot {start_dim} and {end_dim} for "
            f"{len(shape)} dims"
        )
    if start == end:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@forms(out=False)
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """The dim `dim` taken apart into `sizes`, one of which may be -1."""
    shape = unwrap(input).shape
    dim, sizes = normalize_dim(dim, len(shape)), numbers("unflatten", "sizes", (sizes,))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    if not shape or sizes.count(-1) > 1 or min(sizes) < -1:
        raise RuntimeError(
            f"unflatten got an unexpected error:\ncannot take dim {dim} of {list(shape)} apart into {list(sizes)}"
        )
    try:
        sizes = resolved(sizes, shape[dim])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the "
            f"input tensor"
        ) from None
    return view(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


@forms(out=False)
def ravel(input: Any) -> Any:
    """All elements in one dim: a view of contiguous memory, else of a copy."""
    return view(contiguous(input), (-1,))


# -- dims of size 1 ----------------------------------------------------------------------------------------------------


@Op(view=True, node="SqueezeBackward0")
def squeeze_all(input):
    """Without any dims of size 1."""
    return input.reshape([n for n in input.shape if n != 1])


@Op(view=True, node="SqueezeBackward1")
def squeeze_dim(input, dim: int):
    """Without `dim` if its size is 1."""
    return _without(input, (normalize_dim(dim, input.ndim),))


@Op(view=True, node="SqueezeBackward2")
def squeeze_dims(input, dims: tuple):
    """Without those of `dims` whose size is 1."""
    return _without(input, normalize_dims(dims, input.ndim) if dims else ())


def _without(array: Any, dims: Shape) -> Any:
    return array.reshape([n for i, n in enumerate(array.shape) if n != 1 or i not in dims])


for _op in (squeeze_all, squeeze_dim, squeeze_dims):
    _op.derivative(input=lambda g, input_shape: reshape(g, input_shape))


@forms(in_place="SqueezeBackward3", out=False)
def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Without the dims of size 1: all of them, or those named that are."""
    if dim is None:
        return squeeze_all(input)
    return squeeze_dim(input, dim) if isinstance(dim, int) else squeeze_dims(input, tuple(dim))


@forms(in_place="UnsqueezeBackward1", out=False)
@Op(view=True)
def unsqueeze(input, dim: int):
    """With a new dim of size 1 at `dim`."""
    dim = normalize_dim(dim, input.ndim + 1)
    return input.reshape((*input.shape[:dim], 1, *input.shape[dim:]))


unsqueeze.derivative(input=lambda g, dim: squeeze(g, dim))


# -- another order of the dims -----------------------------------------------------------------------------------------


@Op(view=True, node="PermuteBackward0")
def permuted(input, dims: tuple):
    """Dim i of the result is dim `dims[i]` of `input`."""
    return input.transpose(dims)


@forms(in_place="TransposeBackward1", out=False)
@Op(view=True)
def transpose(input, dim0: int, dim1: int):
    """With `dim0` and `dim1` exchanged."""
    dim0, dim1 = normalize_dim(dim0, input.ndim), normalize_dim(dim1, input.ndim)
    return input.swapaxes(dim0, dim1) if input.ndim else input[...]


@forms(in_place="TBackward1", out=False)
@Op(view=True)
def t(input):
    """The transposed matrix; tensors of fewer dims as they are."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D\nuse .mT for a stack of matrices"
        )
    return input.T if input.ndim == 2 else input[...]


permuted.derivative(input=lambda g, dims: permuted(g, tuple(sorted(range(len(dims)), key=dims.__getitem__))))
transpose.derivative(input=lambda g, dim0, dim1: transpose(g, dim0, dim1))
t.derivative(input=lambda g: t(g))


@forms(out=False)
def permute(input: Any, *args: Any, dims: Any = None) -> Any:
    """Dim i of the result is dim `dims[i]` of `input`: permute(1, 0) or permute((1, 0))."""
    order = numbers("permute", "dims", args, dims)
    if len(order) != input.ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
        )
    order = tuple([normalize_dim(d, input.ndim) for d in order])
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed.\nGot {list(order)}.")
    return permuted(input, order)


@forms(out=False)
def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """With the dims `source` at the places `destination`; the others keep their order."""
    ndim = input.ndim
    moved: list[Shape] = []
    given = [(d,) if isinstance(d, int) else tuple(d) for d in (source, destination)]
    if len(given[0]) != len(given[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(given[0])} dims) should contain the same "
            f"number of dims as destination ({list(given[1])} dims)"
        )
    for name, dims in zip(("source", "destination"), given, strict=True):
        places = tuple([normalize_dim(d, ndim) for d in dims])
        if len(set(places)) != len(places):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(dims)})")
        moved.append(places)
    if not ndim:
        return alias(input)
    order = [d for d in range(ndim) if d not in moved[0]]
    for to, d in sorted(zip(moved[1], moved[0], strict=True)):
        order.insert(to, d)
    return permuted(input, tuple(order))


def reversed_dims(input: Any) -> Any:
    """Tensor.T: with the order of the dims reversed. torch deprecates it for other than two."""
    if input.ndim == 0:
        _deprecated("T", IDENTITY)
    elif input.ndim != 2:
        warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will "
            "throw an error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
        )
    return permuted(input, tuple(range(input.ndim))[::-1])


def matrix_transposed(input: Any, attribute: str = "mT") -> Any:
    """Tensor.mT and .mH: with the last two dims exchanged. torch deprecates them for 0-dim tensors."""
    if input.ndim == 1:
        raise RuntimeError(f"tensor.{attribute} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    if input.ndim == 0:
        _deprecated(attribute, IDENTITY if attribute == "mT" else CONJUGATE)
        return input
    return transpose(input, -2, -1)


def conjugate_transposed(input: Any) -> Any:
    """Tensor.H: of a matrix. torch deprecates it for 0-dim tensors."""
    if input.ndim not in (0, 2):
        batches = " For batches of matrices, consider using tensor.mH" if input.ndim > 2 else ""
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {input.ndim}-D tensor.{batches}")
    if input.ndim == 0:
        _deprecated("H", CONJUGATE)
        return input
    return transpose(input, 0, 1)


IDENTITY, CONJUGATE = "This function is the identity in these cases.", "Consider using x.conj()."


def _deprecated(attribute: str, instead: str) -> None:
    warn(f"Tensor.{attribute} is deprecated on 0-D tensors. {instead}")


@forms(out=False)
def adjoint(input: Any) -> Any:
    """The last two dims exchanged (and the conjugate taken, which real tensors are themselves)."""
    return matrix_transposed(input, "adjoint()")


# -- the diagonal, and its adjoint -------------------------------------------------------------------------------------


@forms(out=False)
@Op(view=True)
def diagonal(input, offset: int = 0, dim1: int = 0, dim2: int = 1):
    """The diagonals of the matrices in `dim1` and `dim2`, as a new last dim; `offset` > 0 lies above the main one."""
    first, second = normalize_dim(dim1, input.ndim), normalize_dim(dim2, input.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_of(input, offset, first, second)


@Op
def put_diagonal(input, offset: int, dim1: int, dim2: int, shape: tuple, *, xp):
    """Zeros of `shape` with `input` on the diagonal: the adjoint of `diagonal`."""
    out = xp.zeros(shape, input.dtype)
    diagonal_of(out, offset, dim1, dim2)[...] = input
    return out


def diagonal_of(array: Any, offset: int, dim1: int, dim2: int) -> Any:
    """`diagonal` of an array, which can be written to; `dim1` and `dim2` count from the front."""
    out = array.diagonal(offset, dim1, dim2)
    if type(out) is backend.ndarray:
        out.flags.writeable = array.flags.writeable  # NumPy protects diagonals, torch writes to them
    return out


diagonal.derivative(input=lambda g, offset, dim1, dim2, input_shape: put_diagonal(g, offset, dim1, dim2, input_shape))
put_diagonal.derivative(input=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))


@forms(in_place="TransposeBackward1", out=False)
def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """`transpose`, by NumPy's name."""
    return transpose(input, axis0, axis1)


moveaxis, swapdims = movedim, transpose
