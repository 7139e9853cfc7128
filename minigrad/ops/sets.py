"""Values without repeats, how often they occur, and where they would go in a sorted sequence. No derivatives."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.backend import np
from minigrad.kernels import places
from minigrad.ops.checks import not_implemented, refuse_bool
from minigrad.ops.dims import normalize_dim

__all__ = ["bincount", "bucketize", "searchsorted", "unique"]


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


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """Between which of the sorted 1-D `boundaries` each element of `input` lies: 0 below the first.

    An element that equals a boundary lies below it, with `right` above it.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
