"""Reading and writing whole slices along one dim, by an index tensor of one dim.

Reading and adding are each other's adjoint; what is overwritten gets no gradient. On the CPU indices are checked; on a
GPU, where looking would mean waiting for it, they wrap around.
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.kernels import places
from minigrad.kernels.places import Where
from minigrad.ops.cast import clone, to
from minigrad.ops.checks import as_integer, need_float_for_gradient, not_implemented
from minigrad.ops.dims import normalize_dim
from minigrad.ops.expand import expand
from minigrad.ops.forms import forms
from minigrad.ops.keys import ALL
from minigrad.ops.shape import flatten, reshape, unsqueeze

__all__ = ["index_add", "index_copy", "index_fill", "index_select", "repeat_interleave"]


def _where(dim: int, index: Any) -> Where:
    return (*(ALL,) * dim, index.reshape(-1))


def _name(array: Any) -> str:
    return backend.dtype_of(array).type_name


def _whole(array: Any) -> Any:
    """A 0-dim array as its one element in a dim; others as they are."""
    return array if array.ndim else array.reshape(1)


# -- index_select, and its adjoint -------------------------------------------------------------------------------------


@forms(out="apart")
@Op
def index_select(input, dim: int, index, *, xp):
    """The slices at `index` along `dim`. IndexError for one out of range."""
    if index.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector\ngot the shape {list(index.shape)}")
    dim = normalize_dim(dim, input.ndim)
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"index_select(): Expected dtype int32 or int64 for index\ngot {index.dtype}")
    if not input.ndim and index.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.size} value(s)")
    n = input.shape[dim] if input.ndim else 1
    if (outside := places.first_outside(index, 0, n)) is not None:
        raise IndexError(f"index out of range in self\n{outside} is none of the {n} slices along dim {dim}")
    out = places.read(_whole(input), _where(dim, index), xp)
    return out if input.ndim else out.reshape(())


@Op
def add_slices(input, dim: int, index, shape: tuple, *, xp):
    """Zeros of `shape` with the slices of `input` added at `index` along `dim`: the adjoint of `index_select`."""
    where = _where(normalize_dim(dim, len(shape)), index)
    out = places.added(_whole(input), where, shape or (1,), xp)
    return out if shape else out.reshape(())


index_select.derivative(input=lambda g, dim, index, input_shape: add_slices(g, dim, index, input_shape))
add_slices.derivative(input=lambda g, dim, index: index_select(g, dim, index))


# -- writing -----------------------------------------------------------------------------------------------------------


@forms(in_place=True, out="exact")
@Op
def index_add(input, dim: int, index, source, *, alpha: float = 1, xp):
    """`input` with `alpha` times the slices of `source` added at `index` along `dim`."""
    dim = normalize_dim(dim, input.ndim)
    check_slices("index_add_", input, dim, index, source)
    size = input.shape[dim] if input.ndim else 1
    if (outside := places.first_outside(index, 0, size)) is not None:
        raise RuntimeError(f"index {outside} is out of bounds for dimension {dim} with size {size}")
    out = input.copy()
    alpha = alpha if input.dtype.kind == "f" else as_integer(alpha, input.dtype)
    values = source if alpha == 1 else source * alpha
    places.add(out.reshape(out.shape or (1,)), _where(dim, index), _whole(values), xp)
    return out


def check_slices(name: str, input: Any, dim: int, index: Any, source: Any) -> None:
    """torch's error, of the operation `name`, unless `source` has a slice for each index that fits into `input`."""
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: {_name(index)} and "
            f"size: {list(index.shape)}"
        )
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {_name(index)}")
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"{name}(): self ({_name(input)}) and source ({_name(source)}) must have the same scalar type"
        )
    if not source.ndim and index.size != 1:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    n = source.shape[dim] if dim < source.ndim else index.size
    if index.size != n:
        raise RuntimeError(
            f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim): ({n}), for dim: {dim}"
        )
    _same_but_along(input, source, dim)


def _same_but_along(input: Any, source: Any, dim: int) -> None:
    ours, theirs = list(input.shape), list(source.shape)
    if ours[:dim] + ours[dim + 1 :] != theirs[:dim] + theirs[dim + 1 :] or len(ours) != len(theirs):
        raise RuntimeError(
            f"source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{ours} source.shape = {theirs}"
        )


@forms(in_place=True, out="exact")
@Op
def index_copy(input, dim: int, index, source):
    """`input` with the slices of `source` at `index` along `dim`; of several for one place the last one wins."""
    dim = normalize_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if not source.ndim and index.size != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.size})")
    if source.ndim != input.ndim and source.ndim and input.ndim:
        raise IndexError(
            f"index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    if index.dtype != np.int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {_name(index)}")
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {_name(input)} and "
            f"(source) {_name(source)}"
        )
    n = source.shape[dim] if source.ndim else 1
    if input.shape[:dim] + input.shape[dim + 1 :] != source.shape[:dim] + source.shape[dim + 1 :]:
        raise RuntimeError(
            f"index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{_sizes(input, dim)} at dimension {dim} and source slice shape: {_sizes(source, dim)} at dimension "
            f"{dim if source.ndim else 0}."
        )
    if index.size != n:
        raise IndexError(f"index_copy_(): Number of indices ({index.size}) should be equal to source.size(dim) ({n})")
    size = input.shape[dim] if input.ndim else 1
    if (outside := places.first_outside(index, 0, size)) is not None:
        raise IndexError(f"index_copy_(): index {outside} is out of bounds for dimension {dim} with size {size}")
    out = input.copy()
    out.reshape(out.shape or (1,))[_where(dim, index)] = _whole(source)
    return out


def _sizes(array: Any, dim: int) -> str:
    return " ".join([str(n) for d, n in enumerate(array.shape) if d != dim])


@Op(node="IndexFillBackward0")
def fill_slices(input, dim: int, index, value: float):
    """`input` with a number in the slices at `index` along `dim`."""
    return _filled(input, dim, index, value)


@Op(node="IndexFillBackward1")
def fill_slices_with(input, dim: int, index, value):
    """`input` with a 0-dim tensor in the slices at `index` along `dim`."""
    if value.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    return _filled(input, dim, index, value)


def _filled(input: Any, dim: int, index: Any, value: Any) -> Any:
    dim = normalize_dim(dim, input.ndim)
    if index.dtype != np.int64:
        raise IndexError(f"index_fill_(): Expected dtype int64 for index.\ngot {index.dtype}: convert it with .long()")
    if index.ndim > 1:
        raise RuntimeError(f"Index has to be a vector/scalar\ngot the shape {list(index.shape)}")
    size = input.shape[dim] if input.ndim else 1
    if (outside := places.first_outside(index, -size, size)) is not None:
        raise IndexError(f"index {outside} is out of bounds for dimension {dim} with size {size}")
    out = input.copy()
    out.reshape(out.shape or (1,))[_where(dim, index)] = value
    return out


index_add.derivative(
    input=lambda g: g,
    source=lambda g, dim, index, alpha, source_shape: reshape(index_select(g, dim, index) * alpha, source_shape),
)
index_copy.derivative(
    input=lambda g, dim, index: fill_slices(g, dim, index, 0.0),
    source=lambda g, dim, index, source_shape: reshape(index_select(g, dim, index), source_shape),
)
fill_slices.derivative(input=lambda g, dim, index: fill_slices(g, dim, index, 0.0))
fill_slices_with.derivative(  # an index named twice fills once: the value's share is what the fill took away
    input=lambda g, dim, index: fill_slices(g, dim, index, 0.0),
    value=lambda g, dim, index: g - fill_slices(g, dim, index, 0.0),
)


@forms(in_place=True, out=False)
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """`input` with `value`, a number or a 0-dim tensor, in the slices at `index` along `dim`."""
    dtype = input.array.dtype
    if isinstance(value, Variable):
        need_float_for_gradient(input.array, value)
        return fill_slices_with(input, dim, index, to(value, backend.dtype_of(input.array)))
    return fill_slices(input, dim, index, value if dtype.kind == "f" else as_integer(value, dtype))


# -- repeat_interleave -------------------------------------------------------------------------------------------------


@forms(out=False)
def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Every slice along `dim` (every element, without it) `repeats` times: a number, or a tensor with one for each.

    repeat_interleave(repeats) alone gives the index that does it: 0 repeats[0] times, 1 repeats[1] times, ...
    """
    if repeats is None:
        return wrap(_repeated_index(input.array, output_size))
    if dim is None:
        input, dim = flatten(input), 0
    if isinstance(repeats, int):
        return _repeat_evenly(input, repeats, dim, output_size)
    if not isinstance(repeats, Variable):
        raise TypeError(
            f"repeat_interleave() received an invalid combination of arguments - got (Tensor, "
            f"{type(repeats).__name__}), but repeats must be an int or a Tensor"
        )
    if repeats.array.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    dim = normalize_dim(dim, input.ndim)
    if repeats.array.size == 1 and input.ndim:
        repeats = expand(reshape(repeats, (1,)), (input.shape[dim],))
    if repeats.array.size != input.shape[dim]:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {repeats.array.size} and "
            f"input.size({dim}) = {input.shape[dim]}"
        )
    return index_select(input, dim, wrap(_repeated_index(repeats.array, output_size)))


def _repeat_evenly(input: Any, repeats: int, dim: int, output_size: int | None) -> Any:
    if repeats < 0:
        raise RuntimeError(f"Repeats must be non-negative\ngot {repeats}")
    dim = normalize_dim(dim, input.ndim)
    if not input.ndim:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    shape = tuple(input.shape)
    if output_size is not None and output_size != shape[dim] * repeats:
        raise RuntimeError(
            f"repeat_interleave: Invalid output_size, expected {shape[dim] * repeats} but got {output_size}"
        )
    copies = expand(unsqueeze(input, dim + 1), (*shape[: dim + 1], repeats, *shape[dim + 1 :]))
    return flatten(clone(copies), dim, dim + 1)


def _check_repeats(repeats: Any) -> None:
    if repeats.dtype not in (np.int64, np.int32):
        not_implemented("repeat_interleave_cpu", repeats)


def _repeated_index(repeats: Any, output_size: int | None) -> Any:
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    _check_repeats(repeats)
    if type(repeats) is np.ndarray and repeats.size and repeats.min() < 0:
        raise RuntimeError("repeats can not be negative")
    xp = backend.module_of(repeats)
    index = xp.repeat(xp.arange(repeats.size), backend.to_numpy(repeats).tolist())
    if output_size is not None and output_size != index.size:
        raise RuntimeError(f"allocated size does not match required size\nexpected {index.size}, got {output_size}")
    return index
