"""Values without repeats, how often they occur, and where they would go in a sorted sequence. No derivatives."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, unwrap, wrap
from minigrad.backend import np
from minigrad.kernels import places
from minigrad.ops.checks import not_implemented, refuse_bool
from minigrad.ops.dims import normalize_dim
from minigrad.ops.forms import forms

__all__ = ["bincount", "bucketize", "isin", "searchsorted", "unique", "unique_consecutive", "unravel_index"]


@forms(out=False)
def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The different elements (along `dim`, the different slices) in order; every nan is different.

    With return_inverse also where each element is among them, with return_counts how often each occurs: then a tuple.
    Their number is not known before: a GPU is waited for.
    """
    array = input.array
    axis = None if dim is None else normalize_dim(dim, array.ndim)
    results = backend.module_of(array).unique(
        array, return_inverse=return_inverse, return_counts=return_counts, axis=axis, equal_nan=False
    )
    if not (return_inverse or return_counts):
        return wrap(results)
    values, *others = results
    if return_inverse:
        others[0] = others[0].reshape(array.shape if axis is None else -1)
    return tuple([wrap(part) for part in (values, *others)])


@forms(out=False)
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (along `dim`, the slices) that differ from the one before; with what `unique` can tell besides."""
    array = input.array
    xp = backend.module_of(array)
    if dim is not None and not array.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    axis = None if dim is None else normalize_dim(dim, array.ndim)
    if axis is not None and not array.size and array.shape[axis]:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    rows = array.reshape(-1) if axis is None else xp.moveaxis(array, axis, 0)
    n = rows.shape[0] if rows.ndim else 1
    flat = rows.reshape(n, rows.size // n if n else 0)
    new = xp.concatenate([xp.ones(min(n, 1), bool), (flat[1:] != flat[:-1]).any(axis=1)])
    values = rows[new] if axis is None else xp.moveaxis(rows[new], 0, axis)
    parts = [values]
    if return_inverse:
        parts.append((xp.cumsum(new) - 1).reshape(array.shape if axis is None else -1))
    if return_counts:
        parts.append(xp.diff(xp.append(xp.flatnonzero(new), n)))
    return wrap(values) if len(parts) == 1 else tuple([wrap(part) for part in parts])


@forms(method=False, out="exact")
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Which of `elements` are among `test_elements`, or with `invert` are not; one of the two may be a number."""
    arrays = [x.array for x in (elements, test_elements) if isinstance(x, Variable)]
    if not arrays:
        got = ", ".join(type(x).__name__ for x in (elements, test_elements))
        raise TypeError(f"isin() received an invalid combination of arguments - got ({got}), but expected a tensor")
    for array in arrays:
        if array.dtype.kind == "b":
            raise RuntimeError("Unsupported input type encountered for isin(): Bool\nconvert it first, as with .int()")
    xp = backend.module_of(*arrays)
    a, b = (xp.asarray(unwrap(x)) for x in (elements, test_elements))
    found = xp.isin(a, b, assume_unique=assume_unique, invert=invert)
    return wrap(backend.as_array(found))


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """The index along each dim of a tensor of `shape`, of elements numbered in its flattened form."""
    if indices.array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for n in sizes:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
        if n < 0:
            raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    if 0 in sizes:
        raise RuntimeError("ZeroDivisionError: a tensor without elements has no indices")
    steps = [math.prod(sizes[dim + 1 :]) for dim in range(len(sizes))]
    rest = indices.array
    return tuple([wrap(backend.as_array(rest // step % n)) for n, step in zip(sizes, steps, strict=True)])


@forms(out=False)
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often (or with what sum of `weights`) each of 0, 1, 2, ... occurs in a 1-D tensor of integers.

    RuntimeError for negative ones. At least `minlength` counts.
    """
    array = input.array
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0\ngot {minlength}")
    if array.dtype.kind not in "iu":
        not_implemented("bincount_cpu", array)
    if array.ndim != 1 or (array.size and type(array) is np.ndarray and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    xp = backend.module_of(array)
    if weights is None:
        return wrap(xp.bincount(array, minlength=minlength).astype(xp.int64, copy=False))
    if weights.array.shape != array.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input\ngot the shapes {list(weights.shape)} and "
            f"{list(array.shape)}"
        )
    if not array.size:
        return wrap(xp.zeros(minlength, xp.int64))  # whatever the weights, as in torch
    sums = xp.bincount(array, weights=weights.array, minlength=minlength)
    return wrap(sums.astype(weights.array.dtype if weights.array.dtype == np.float32 else np.float64, copy=False))


def _sorted_by(sequence: Any, sorter: Any, xp: Any) -> Any:
    if sorter.shape != sequence.shape:
        raise RuntimeError(
            f"torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
            f"{list(sequence.shape)}and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype != xp.int64:
        raise RuntimeError(
            f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
            f"{backend.dtype_of(sorter).type_name}"
        )
    if places.first_outside(sorter, 0, sequence.shape[-1]) is not None:
        raise RuntimeError("torch.searchsorted(): sorter index out of range")
    return xp.take_along_axis(sequence, sorter, -1)


@forms(method=False, out="exact")
def searchsorted(
    sorted_sequence: Any, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> Any:  # fmt: skip
    """Where `input` (a tensor or a number) would go in `sorted_sequence`, which is sorted along its last dim.

    The first place that keeps the order, with `right` (or side="right") the last one. If the sequence has more than one
    dim, `input` has the same ones but the last. A `sorter` holds the indices that sort a sequence which is not sorted.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    sequence = sorted_sequence.array
    xp = backend.module_of(sequence)
    values = input.array if isinstance(input, Variable) else xp.asarray(input)
    if values.ndim == 0 and sequence.ndim != 1:
        raise RuntimeError(
            f"torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
            f"boundaries tensor dim({sequence.ndim}) and input value's dim(0) numel(1)"
        )
    if sequence.ndim != 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor {list(sequence.shape)} and input "
            f"value tensor {list(values.shape)}"
        )
    refuse_bool(sequence, "searchsorted_out_cpu")
    if sorter is not None:
        sequence = _sorted_by(sequence, sorter.array, xp)
    where = "right" if right or side == "right" else "left"
    if sequence.ndim == 1:
        places = xp.searchsorted(sequence, values, where)
    else:
        count = math.prod(sequence.shape[:-1])
        rows = zip(sequence.reshape(count, sequence.shape[-1]), values.reshape(count, values.shape[-1]), strict=True)
        found = [xp.searchsorted(row, wanted, where) for row, wanted in rows]
        places = xp.stack(found).reshape(values.shape) if found else xp.zeros(values.shape)
    return wrap(backend.as_array(places).astype(xp.int32 if out_int32 else xp.int64, copy=False))


@forms(method=False, out="exact")
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """Between which of the sorted 1-D `boundaries` each element of `input` lies: 0 below the first.

    An element that equals a boundary lies below it, with `right` above it.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
