"""Rows of a table by their numbers. The gradient of a row is the sum over all places where it was used."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.kernels import places
from minigrad.kernels.gpu import embedding as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.ops.inplace import bump
from minigrad.ops.shape import reshape
from minigrad.ops.slices import add_slices

__all__ = ["embedding", "one_hot"]


@Op(node="EmbeddingBackward0")
def rows(weight, indices, padding_idx: int, by_frequency: bool):
    """The rows of `weight` at `indices`."""
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D\ngot the shape {list(weight.shape)}")
    if indices.dtype not in (np.int64, np.int32):
        name = backend.dtype_of(indices).type_name
        name = "CPUBoolType" if name == "Bool" else f"torch.{name}Tensor"
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{name} instead (while checking arguments for embedding)"
        )
    if (outside := places.first_outside(indices, 0, len(weight))) is not None:
        raise IndexError(f"index out of range in self\n{outside} is none of the {len(weight)} rows")
    return weight.take(indices, axis=0)


@Op
def share(g, indices, padding_idx: int, by_frequency: bool, rows: int, *, xp):
    """What each place counts in the gradient of its row: 0 for padding, and 1 / how often the row was used."""
    used = (indices != padding_idx).astype(g.dtype)
    if by_frequency:
        flat = indices.reshape(-1)
        if xp is np:
            counts = xp.bincount(flat, minlength=rows).astype(g.dtype)
        else:  # CuPy's bincount looks for the largest index, and the host waits
            counts = places.added(xp.ones(flat.shape, g.dtype), (flat,), (rows,), xp)
        used = used / counts[indices]
    return used.reshape((*indices.shape, 1))


def _gradient(g: Any, indices: Any, padding_idx: int, by_frequency: bool, shape: tuple[int, ...]) -> Any:
    if not by_frequency and takes(g):
        return gpu.add_rows(g, indices, shape, padding_idx)
    if padding_idx >= 0 or by_frequency:
        g = g * share(g, indices, padding_idx, by_frequency, shape[0])
    count = math.prod(indices.shape)
    return add_slices(reshape(g, (count, shape[1])), 0, reshape(indices, (count,)), shape)


rows.derivative(
    weight=lambda g, indices, padding_idx, by_frequency, weight_shape: _gradient(
        g, indices, padding_idx, by_frequency, weight_shape
    )
)


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """The rows of `weight` at the indices in `input`: (*) and (rows, features) give (*, features).

    padding_idx         a row that gets no gradient
    max_norm            rows that are used are first scaled down, in place, to a `norm_type` norm of at most this
    scale_grad_by_freq  a row's gradient is divided by how often it was used
    sparse              is taken and ignored: gradients are dense

    IndexError for an index out of range (on a GPU it wraps around).
    """
    if not isinstance(input, Variable):
        raise TypeError(f"embedding(): argument 'indices' (position 2) must be Tensor, not {type(input).__name__}")
    if padding_idx is not None:
        n = weight.shape[0]
        if not -n <= padding_idx < n:
            raise AssertionError(f"Padding_idx must be within num_embeddings\ngot {padding_idx} for {n} rows")
        padding_idx %= n
    if max_norm is not None:
        renormalize(weight, input.array, max_norm, norm_type)
    return rows(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq)


def renormalize(weight: Any, indices: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are used, in place, to a `norm_type` norm of at most `max_norm`."""
    table = weight.array
    if table.ndim != 2:
        raise RuntimeError(
            f"Expected 2-dimensional tensor, but got {table.ndim}-dimensional tensor for argument #1 'self' (while "
            f"checking arguments for embedding_renorm_)"
        )
    if table.dtype.kind != "f":
        name = backend.dtype_of(table).type_name
        raise RuntimeError(f"norm(): input dtype should be either floating point or complex. Got {name} instead.")
    rows.forward(table, indices, -1, False)  # raises for indices that do not fit
    xp = backend.module_of(indices)
    used = xp.unique(indices) if xp is np else indices  # a GPU would wait; a row written twice gets the same numbers
    table = weight.array[used]
    norms = (abs(table) ** norm_type).sum(axis=-1, keepdims=True) ** (1 / norm_type)
    weight.array[used] = xp.where(norms > max_norm, table * (max_norm / (norms + 1e-7)), table)
    bump(weight)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """A new last dim of `num_classes` zeros with a one at the class; as many as needed if it is -1.

    RuntimeError for classes out of range (on a GPU nobody looks).
    """
    array = tensor.array
    if array.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor.\ngot {array.dtype}")
    if num_classes == -1:
        if not array.size:
            raise RuntimeError("Can not infer total number of classes from empty tensor.\ngive num_classes")
        num_classes = int(array.max()) + 1
    if type(array) is np.ndarray and array.size:
        if array.min() < 0:
            raise RuntimeError(f"Class values must be non-negative.\ngot {array.min()}")
        if array.max() >= num_classes:
            raise RuntimeError(f"Class values must be smaller than num_classes.\ngot {array.max()} of {num_classes}")
    xp = backend.module_of(array)
    return wrap((array.reshape((*array.shape, 1)) == xp.arange(num_classes)).astype(xp.int64))
