"""Reading and writing single elements along one dim, by an index tensor of as many dims.

Reading and adding are each other's adjoint, so places that are named twice get both gradients; what is overwritten gets
none. On the CPU indices are checked; on a GPU, where looking would mean waiting for it, they wrap around.
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable, unwrap, wrap
from minigrad.backend import np
from minigrad.kernels import places
from minigrad.kernels.places import Where
from minigrad.ops.checks import as_integer, refuse_gradient
from minigrad.ops.dims import normalize_dim
from minigrad.ops.expand import broadcast_shape, expand
from minigrad.ops.forms import forms
from minigrad.ops.index import put_at
from minigrad.ops.shape import reshape

__all__ = ["gather", "put", "scatter", "scatter_add", "take", "take_along_dim"]


def places_along(name: str, input: Any, dim: int, index: Any, src: Any, xp: Any) -> Where:
    """The places in `input` (or in its one element) that `index` names along `dim`; torch's errors if it does not "
    "fit."""
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index\ngot {index.dtype}: convert it with .long()"
        )
    shape, wanted = input.shape or (1,), index.shape or (1,)
    target = "input" if name == "gather" else "self"
    if len(wanted) != len(shape):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {target} tensor")
    if src is not None and len(wanted) != (src.ndim or 1):
        if 0 < src.ndim < len(wanted):
            normalize_dim(src.ndim, src.ndim)  # torch misses the dim itself
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    for d, n in enumerate(wanted):
        if (n > shape[d] and d != dim) or (src is not None and n > (src.shape or (1,))[d]):
            raise RuntimeError(_misfit(name, list(index.shape), list(input.shape), d, dim, src))
    if (outside := places.first_outside(index, 0, shape[dim])) is not None:
        raise RuntimeError(f"index {outside} is out of bounds for dimension {dim} with size {shape[dim]}")
    return places.along(index.astype(np.int64, copy=False).reshape(wanted), dim, xp)


def _misfit(name: str, index: list[int], shape: list[int], d: int, dim: int, src: Any) -> str:
    if name == "gather":
        return (
            f"Size does not match at dimension {d} expected index {index} to be no larger than self {shape} apart from "
            f"dimension {dim}"
        )
    text = f"Expected index {index} to be no larger than self {shape} apart from dimension {dim}"
    return text if src is None else f"{text} and to be no larger size than src {list(src.shape)}"


def _whole(array: Any) -> Any:
    """A 0-dim array as its one element in a dim; others as they are."""
    return array if array.ndim else array.reshape(1)


def _part(src: Any, index: Any) -> Any:
    """The elements of `src` to which indices belong: it may be larger than `index`."""
    src = _whole(src)
    return src if src.shape == index.shape else src[tuple([slice(n) for n in index.shape or (1,)])]


# -- gather, and its adjoint -------------------------------------------------------------------------------------------


@forms(out="apart")
@Op
def gather(input, dim: int, index, *, sparse_grad: bool = False, xp):
    """out[i, j] = input[index[i, j], j] for dim 0, input[i, index[i, j]] for dim 1, and likewise for more dims.

    `index` has as many dims as `input` and is no larger, except along `dim`. RuntimeError for an index out of range.
    """
    dim = normalize_dim(dim, input.ndim)
    if not index.size:
        return xp.zeros(index.shape, input.dtype)
    where = places_along("gather", input, dim, index, None, xp)
    return places.read(_whole(input), where, xp).reshape(index.shape)


@Op
def add_along(input, dim: int, index, shape: tuple, *, xp):
    """Zeros of `shape` with the elements of `input` added where `gather` reads them: its adjoint."""
    if not index.size:
        return xp.zeros(shape, input.dtype)
    where = places.along(index.reshape(index.shape or (1,)), normalize_dim(dim, len(shape)), xp)
    return places.added(_whole(input), where, shape or (1,), xp).reshape(shape)


gather.derivative(input=lambda g, dim, index, input_shape: add_along(g, dim, index, input_shape))
add_along.derivative(input=lambda g, dim, index: gather(g, dim, index))


# -- scatter -----------------------------------------------------------------------------------------------------------


@Op(node="ScatterBackward0")
def scatter_elements(input, dim: int, index, src, *, xp):
    """`input` with the elements of `src` at the places that `index` names."""
    return _written(input, dim, index, src, None, xp)


@Op(node="ScatterBackward1")
def scatter_number(input, dim: int, index, value: float, *, xp):
    """`input` with a number at the places that `index` names."""
    return _written(input, dim, index, None, value, xp)


@forms(in_place=True, out="exact")
@Op
def scatter_add(input, dim: int, index, src, *, xp):
    """`input` with the elements of `src` added at the places that `index` names along `dim`; see `scatter`."""
    check_same_dtype(input, src)
    out, dim = input.copy(), normalize_dim(dim, input.ndim)
    if index.size:
        where = places_along("scatter_add", input, dim, index, src, xp)
        places.add(out.reshape(out.shape or (1,)), where, _part(src, index), xp)
    return out


@Op
def scatter_multiply(input, dim: int, index, src, *, xp):
    """`input` multiplied by the elements of `src` at the places that `index` names."""
    check_same_dtype(input, src)
    out, dim = input.copy(), normalize_dim(dim, input.ndim)
    if index.size:
        where = places_along("scatter", input, dim, index, src, xp)
        places.combine(out.reshape(out.shape or (1,)), where, _part(src, index), xp.multiply, xp)
    return out


def _written(input: Any, dim: int, index: Any, src: Any, value: Any, xp: Any) -> Any:
    out, dim = backend.as_array(input).copy(), normalize_dim(dim, input.ndim)  # rules have NumPy scalars, too
    if src is not None:
        check_same_dtype(input, src)
    if index.size:
        where = places_along("scatter", input, dim, index, src, xp)
        out.reshape(out.shape or (1,))[where] = value if src is None else _part(src, index)
    return out


def check_same_dtype(input: Any, src: Any) -> None:
    if input.dtype != src.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype\ngot {input.dtype} and {src.dtype}: convert one "
            f"with .to(dtype)"
        )


def _at_corner(part: Any, shape: tuple[int, ...]) -> Any:
    """`part` at the start of every dim of zeros of `shape`."""
    return part if part.shape == shape else put_at(part, tuple([slice(n) for n in part.shape]), shape)


scatter_number.derivative(input=lambda g, dim, index: scatter_number(g, dim, index, 0.0))
scatter_elements.derivative(
    input=lambda g, dim, index: scatter_number(g, dim, index, 0.0),
    src=lambda g, dim, index, src_shape: _at_corner(gather(g, dim, index), src_shape),
)
scatter_add.derivative(
    input=lambda g: g, src=lambda g, dim, index, src_shape: _at_corner(gather(g, dim, index), src_shape)
)


@forms(in_place=True, out="exact")
def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: float | None = None, reduce: str | None = None
) -> Any:
    """out[index[i, j], j] = src[i, j] for dim 0, and likewise for others; `src` may be a number, then called `value`.

    `index` is no larger than `src`, nor than `input` except along `dim`. Of elements for one place the last one wins,
    on a GPU any; each gets its gradient. reduce="add" and "multiply" combine with what is there, the latter without a
    gradient.
    """
    source: Any = value if src is None else src
    if isinstance(source, Variable) and reduce is None:
        return scatter_elements(input, dim, index, source)
    dtype = input.array.dtype
    if not isinstance(source, Variable):
        source = source if dtype.kind == "f" else as_integer(source, dtype)
        if reduce is None:
            return scatter_number(input, dim, index, source)
        source = wrap(backend.module_of(input.array).full(index.array.shape, source, dtype))
    elif reduce is not None:
        warn(
            "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a future "
            "PyTorch release. Use torch.scatter_reduce instead for more reduction options."
        )
    if reduce not in ("add", "multiply"):
        raise RuntimeError(f"reduce argument must be either add or multiply.\ngot {reduce!r}")
    if reduce == "add":
        return scatter_add(input, dim, index, source)
    refuse_gradient("scatter", input=input, src=source)
    return scatter_multiply(input, dim, index, source)


# -- take and put ------------------------------------------------------------------------------------------------------


@forms(out="apart")
@Op
def take(input, index, *, xp):
    """The elements of the flattened tensor at `index`, in its shape; negative ones count from the end."""
    if index.dtype != np.int64:
        name = backend.dtype_of(index).type_name
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {name}\nconvert it with .long()")
    if index.size and not input.size:
        raise IndexError("take(): tried to take from an empty tensor")
    if (outside := places.first_outside(index, -input.size, input.size)) is not None:
        raise IndexError(f"out of range: tried to access index {outside} on a tensor of {input.size} elements.")
    return places.read(input.reshape(-1), (index,), xp)


@Op
def untake(input, index, shape: tuple, *, xp):
    """Zeros of `shape` with `input` added at `index` in the flattened tensor: the adjoint of `take`."""
    size = int(np.prod(shape))
    return places.added(input, (index,), (size,), xp).reshape(shape)


take.derivative(input=lambda g, index, input_shape: untake(g, index, input_shape))
untake.derivative(input=lambda g, index: take(g, index))


@forms(in_place=True, out=False)
@Op
def put(input, index, source, accumulate: bool = False, *, xp):
    """`input` with the elements of `source` at `index` in the flattened tensor, or added there with `accumulate`.

    Of several for one place the last one wins, on a GPU any; each gets its gradient.
    """
    have, given, named = (backend.dtype_of(array).type_name for array in (input, source, index))
    if index.dtype != np.int64:
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {named}\nconvert it with .long()")
    if have != given:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {have} and source.dtype = "
            f"{given}"
        )
    if index.size != source.size:
        raise IndexError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.size}, index.numel() = {index.size}"
        )
    if index.size and not input.size:
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    if (outside := places.first_outside(index, -input.size, input.size)) is not None:
        raise IndexError(f"out of range: tried to access index {outside} on a tensor of {input.size} elements.")
    out, at, values = input.copy(), (index.reshape(-1),), source.reshape(-1)
    if accumulate:
        places.add(out.reshape(-1), at, values, xp)
    else:
        out.reshape(-1)[at] = values
    return out


@Op
def put_zeros(input, index):
    """`input` with zeros at `index` in the flattened tensor."""
    out = input.copy()
    out.reshape(-1)[index] = 0
    return out


put.derivative(
    input=lambda g, index, accumulate: g if accumulate else put_zeros(g, index),
    source=lambda g, index, source_shape: reshape(take(g, index), source_shape),
)
put_zeros.derivative(input=lambda g, index: put_zeros(g, index))


@forms(out="exact")
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """`gather`, with `input` and `indices` broadcast together except along `dim`; without `dim`, of flattened tensors.

    With `dim`, indices are taken modulo its size, so negative ones count from the end.
    """
    if indices.array.dtype != np.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got "
            f"{backend.dtype_of(indices.array).type_name}\nconvert it with .long()"
        )
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    dim = normalize_dim(dim, input.ndim)
    shapes = [[*t.shape[:dim], 1, *t.shape[dim + 1 :]] for t in (input, indices)]
    common = broadcast_shape(*shapes)
    n = (input.shape[dim] if input.ndim else 1) or 1

    def widened(t: Any) -> Any:
        return expand(t, (*common[:dim], *t.shape[dim : dim + 1], *common[dim + 1 :]))

    return gather(widened(input), dim, widened(wrap(unwrap(indices) % n)))
