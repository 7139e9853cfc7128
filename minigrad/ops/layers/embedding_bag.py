"""Sums, means and maxima of bags of embeddings."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import wrap
from minigrad.kernels import places
from minigrad.ops.compare import where
from minigrad.ops.gather import gather
from minigrad.ops.layers.embedding import renormalize, rows
from minigrad.ops.shape import reshape, squeeze
from minigrad.ops.slices import add_slices

__all__: list[str] = []


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """The sum, mean or maximum of the rows of `weight` in each bag of indices; 0 for an empty one.

    input                the bags: a matrix of one bag a row; or all in a row, bag i beginning at offsets[i]
    per_sample_weights   factors of the rows, for sums
    include_last_offset  the last offset is the end of the last bag, not the beginning of one more
    padding_idx          a row that counts for nothing; the other options are those of `embedding`, also where torch
                         divides a row's gradient by how often another one was used

    ValueError for shapes that do not fit.
    """
    if weight.array.dtype == "int64" and input.array.dtype.kind == "f":
        warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` is "
            "deprecated, and should now be `embedding_bag(input, weight, ...)`."
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the "
            f"same shape as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    starts = _starts(input, offsets)
    _check_mode(mode, scale_grad_by_freq, sparse, per_sample_weights)
    if max_norm is not None:
        renormalize(weight, input.array, max_norm, norm_type)
    if padding_idx is not None:
        padding_idx = _checked_padding(padding_idx, weight.shape[0])
    indices = input.array.reshape(-1)
    factors = None if per_sample_weights is None else reshape(per_sample_weights, (-1, 1))
    if include_last_offset and offsets is not None:
        if not starts.size:
            raise RuntimeError("include_last_offset: number of offset should be at least 1")
        end = int(starts[-1])
        indices, starts, factors = indices[:end], starts[:-1], None if factors is None else factors[:end]
    _check_indices(indices, weight.array.shape[0])
    if mode == "max":
        longest = input.shape[1] if input.ndim == 2 else None
        return _maxima(weight, indices, starts, longest, padding_idx)
    return _sums(weight, indices, starts, factors, padding_idx, scale_grad_by_freq, mode == "mean")


def _sums(
    weight: Any, indices: Any, starts: Any, factors: Any, padding_idx: int | None, by_frequency: bool, mean: bool
) -> Any:
    """The sums or means of the bags, with or without factors of the rows."""
    xp, bags = backend.module_of(indices), len(starts)
    bag = xp.searchsorted(starts, xp.arange(indices.size), side="right") - 1
    terms = rows(weight, wrap(indices), -1, by_frequency)
    counted = None
    if padding_idx is not None:
        counted = (indices != padding_idx).astype(terms.array.dtype)[:, None]
        factors = wrap(counted) if factors is None else factors * wrap(counted)
    if factors is not None:
        terms = terms * factors
    total = add_slices(terms, 0, wrap(bag), (bags, weight.shape[1]))
    if not mean:
        return total
    ones = xp.ones(bag.shape, "float32") if counted is None else counted[:, 0].astype("float32")
    counts = places.added(ones, (bag,), (bags,), xp)  # bincount would wait for a GPU
    return total / wrap(xp.maximum(counts, 1).astype(total.array.dtype)[:, None])


def _maxima(weight: Any, indices: Any, starts: Any, longest: int | None, padding_idx: int | None) -> Any:
    """The largest number of each feature in each bag, the first one where several are; None: ask for the longest."""
    xp, bags, features = backend.module_of(indices), len(starts), weight.shape[1]
    lengths = xp.concatenate([starts[1:], xp.full(1, indices.size, starts.dtype)]) - starts
    if longest is None:
        longest = int(lengths.max()) if bags else 0
    column = xp.arange(longest if bags else 0)
    if not column.size:
        return weight[:0].sum(0).expand(bags, features)
    members = indices[xp.minimum(starts[:, None] + column, indices.size - 1)]
    counted = column < lengths[:, None]
    if padding_idx is not None:
        counted &= members != padding_idx
    terms = rows(weight, wrap(members), -1, False)
    best = xp.where(counted[:, :, None], terms.array, -math.inf).argmax(axis=1)
    chosen = squeeze(gather(terms, 1, wrap(best[:, None])), 1)
    return where(wrap(counted.any(axis=1)[:, None]), chosen, 0)


def _starts(input: Any, offsets: Any) -> Any:
    """Where each bag begins in the flattened input, an array."""
    xp = backend.module_of(input.array)
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                f"if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        return xp.arange(input.shape[0]) * input.shape[1]
    if input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor" + (" but got None" if offsets is None else ""))
    starts = offsets.array
    if type(starts) is backend.np.ndarray and starts.size:  # on a GPU nobody looks
        if starts[0]:
            raise RuntimeError(
                f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
                f"However, got {starts[0]}"
            )
        if starts[-1] > input.array.size:
            raise RuntimeError(
                f"offsets[-1] can not be greater than input's length {input.array.size} but got offsets[-1] of "
                f"{starts[-1]}"
            )
    return starts


def _check_mode(mode: str, by_frequency: bool, sparse: bool, per_sample_weights: Any) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max\ngot {mode!r}")
    if mode == "max" and by_frequency:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if mode != "sum" and per_sample_weights is not None:
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got "
            f"mode='{mode}'). Please open a feature request on GitHub."
        )


def _check_indices(indices: Any, n: int) -> None:
    """RuntimeError unless they are integers and, on the CPU, rows that there are."""
    if indices.dtype not in ("int64", "int32"):
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{backend.dtype_of(indices).type_name}Tensor instead (while checking arguments for embedding_bag)"
        )
    if (outside := places.first_outside(indices, 0, n)) is not None:
        at = int((indices == outside).argmax())
        raise RuntimeError(f"Index {at} of input takes value {outside} which is not in the valid range [0, {n})")


def _checked_padding(padding_idx: int, n: int) -> int:
    if not -n <= padding_idx < n:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, {-n} through {n - 1}, but got {padding_idx}"
        )
    return padding_idx % n
