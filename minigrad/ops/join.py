"""Joining tensors. The derivative takes the gradient apart again, in views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import Variable
from minigrad.kernels.joining import concatenate as concatenate_arrays
from minigrad.ops.dims import normalize_dim
from minigrad.ops.expand import expand
from minigrad.ops.forms import forms
from minigrad.ops.index import select_at, slice_at
from minigrad.ops.parts import along
from minigrad.ops.shape import reshape, unsqueeze

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "cat", "column_stack", "concat", "concatenate", "dstack", "hstack",
    "meshgrid", "row_stack", "stack", "vstack",
]  # fmt: skip

EMPTY = (0,)  # tensors of this shape fit to any others, as they always did in torch


@Op(promote="common", node="CatBackward0")
def joined(*tensors, dim: int = 0, xp):
    """`tensors` one after the other along `dim`, in row-major order; those of shape (0,) do not count."""
    try:
        return xp.asarray(concatenate_arrays(xp, tensors, dim), order="C")
    except (TypeError, ValueError):  # CuPy's, and NumPy's, of arrays without dims
        dim = _check_fit(tensors, dim)
        return xp.asarray(concatenate_arrays(xp, [a for a in tensors if a.shape != EMPTY], dim), order="C")


@Op(promote="common", node="StackBackward0")
def stacked(*tensors, dim: int = 0, xp):
    """`tensors`, all of one shape, along a new dim `dim`, in row-major order."""
    new = (*(slice(None),) * normalize_dim(dim, tensors[0].ndim + 1), None)
    try:
        return xp.asarray(concatenate_arrays(xp, [a[new] for a in tensors], len(new) - 1), order="C")
    except (ValueError, IndexError):
        shape = tensors[0].shape
        i, odd = next((i, a.shape) for i, a in enumerate(tensors) if a.shape != shape)
        raise RuntimeError(
            f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(odd)} at entry {i}"
        ) from None


def _check_fit(arrays: Sequence[Any], dim: int) -> int:
    """`dim` counted from the front; torch's errors for arrays that differ in other dims."""
    first = next((a for a in arrays if a.shape != EMPTY), arrays[0])
    for i, a in enumerate(arrays):
        if not a.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated\nstack joins numbers")
    dim = normalize_dim(dim, first.ndim)
    for i, a in enumerate(arrays):
        if a.shape == EMPTY:
            continue
        if a.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {a.ndim}")
        for d in range(a.ndim):
            if d != dim and a.shape[d] != first.shape[d]:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {first.shape[d]} but got "
                    f"size {a.shape[d]} for tensor number {i} in the list."
                )
    return dim


def _take_apart(g: Any, shapes: tuple[tuple[int, ...], ...], dim: int) -> list[Any]:
    """The parts of `g` that lie where tensors of `shapes` were put."""
    dim, start, parts = normalize_dim(dim, g.ndim), 0, []
    for shape in shapes:
        stop = start + (0 if shape == EMPTY else shape[dim])
        part = slice_at(g, along(dim, slice(start, stop)))
        parts.append(part if part.shape == shape else reshape(part, shape))
        start = stop
    return parts


def _unstack(g: Any, count: int, dim: int) -> list[Any]:
    return [select_at(g, along(normalize_dim(dim, g.ndim), i)) for i in range(count)]


joined.derivative(tensors=lambda g, tensors_shape, dim: _take_apart(g, tensors_shape, dim))
stacked.derivative(tensors=lambda g, tensors_shape, dim: _unstack(g, len(tensors_shape), dim))


def _tensors(name: str, tensors: Any) -> tuple[Any, ...]:
    """A list of tensors as a tuple; torch's errors for anything else."""
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {_kind(tensors)}")
    if not tensors:
        kind, text = (ValueError, "torch.cat(): expected a non-empty list of Tensors") if name == "cat" else (
            RuntimeError, f"{name} expects a non-empty TensorList"
        )  # fmt: skip
        raise kind(text)
    for i, t in enumerate(tensors):
        if not isinstance(t, Variable):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {_kind(t)}")
    return tuple(tensors)


def _kind(value: Any) -> str:
    return "Tensor" if isinstance(value, Variable) else type(value).__name__


@forms(method=False)
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """The tensors one after the other along `dim`, in their common dtype. They differ in size there at most."""
    return joined(*_tensors("cat", tensors), dim=dim)


@forms(method=False)
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """The tensors, all of one shape, along a new dim `dim`, in their common dtype."""
    return stacked(*_tensors("stack", tensors), dim=dim)


@forms(method=False)
def hstack(tensors: Sequence[Any]) -> Any:
    """Joined along the second dim (the first one of 1-D tensors)."""
    parts = [atleast_1d(t) for t in _tensors("hstack", tensors)]
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@forms(method=False)
def vstack(tensors: Sequence[Any]) -> Any:
    """Joined along the first dim; 1-D tensors are rows."""
    return cat([atleast_2d(t) for t in _tensors("vstack", tensors)], 0)


@forms(method=False)
def dstack(tensors: Sequence[Any]) -> Any:
    """Joined along the third dim."""
    return cat([atleast_3d(t) for t in _tensors("dstack", tensors)], 2)


@forms(method=False)
def column_stack(tensors: Sequence[Any]) -> Any:
    """Joined along the second dim; tensors of fewer dims are columns."""
    parts = [t if t.ndim > 1 else reshape(t, (t.numel(), 1)) for t in _tensors("column_stack", tensors)]
    return cat(parts, 1)


concat = concatenate = cat
row_stack = vstack


# -- as many dims as needed --------------------------------------------------------------------------------------------


def _for_each(one: Any, tensors: tuple[Any, ...]) -> Any:
    """`one` of a tensor, or of each of several."""
    if len(tensors) == 1 and isinstance(tensors[0], Variable):
        return one(tensors[0])
    return tuple([one(t) for t in (tensors[0] if len(tensors) == 1 else tensors)])


def atleast_1d(*tensors: Any) -> Any:
    """0-dim tensors as ones of shape (1,)."""
    return _for_each(lambda t: t if t.ndim else reshape(t, (1,)), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Tensors of fewer than two dims as one row."""
    return _for_each(lambda t: t if t.ndim > 1 else unsqueeze(t, 0) if t.ndim else reshape(t, (1, 1)), tensors)


def _atleast_3d(t: Any) -> Any:
    if t.ndim == 0:
        return reshape(t, (1, 1, 1))
    if t.ndim == 1:
        return unsqueeze(unsqueeze(t, 0), -1)
    return unsqueeze(t, -1) if t.ndim == 2 else t


def atleast_3d(*tensors: Any) -> Any:
    """(n,) as (1, n, 1) and (n, m) as (n, m, 1)."""
    return _for_each(_atleast_3d, tensors)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """1-D tensors, each expanded along the dims of the others. "xy" exchanges the first two dims, as for pictures."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warn("torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.")
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    dtype = backend.dtype_of(tensors[0].array)
    for t in tensors:
        if backend.dtype_of(t.array) is not dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
        if t.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(t.shape)}")
    if indexing == "xy" and len(tensors) > 1:
        first, second, *others = meshgrid(tensors[1], tensors[0], *tensors[2:], indexing="ij")
        return second, first, *others
    shape = tuple([t.array.size for t in tensors])
    n = len(shape)
    return tuple([expand(reshape(t, (1,) * i + (-1,) + (1,) * (n - i - 1)), shape) for i, t in enumerate(tensors)])
