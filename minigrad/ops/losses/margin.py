"""Losses with a margin: nothing is lost where the right answer leads by enough.

Most are composed of other operations. `target` is 1 or -1 where pairs or single numbers are judged, else class numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.ops.arithmetic import square
from minigrad.ops.checks import need_float, refuse_gradient
from minigrad.ops.compare import where
from minigrad.ops.elementwise import sigmoid, sqrt
from minigrad.ops.expand import broadcast_shape
from minigrad.ops.extrema import clamp_min, minimum
from minigrad.ops.gather import gather
from minigrad.ops.layers.activation import logsigmoid
from minigrad.ops.linalg.distance import pairwise_distance
from minigrad.ops.losses.elementwise import reduced, reduced_tensor, reduction_by, weight_of_each
from minigrad.ops.reduce import sum
from minigrad.ops.shape import reshape, unsqueeze
from minigrad.ops.slices import index_select

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip

EPSILON = 1e-12  # added to squared lengths


# -- of 1 or -1 --------------------------------------------------------------------------------------------------------


@Op(node="SoftMarginLossBackward0")
def _soft_margin(input, target, reduction: str, *, xp):
    """log(1 + exp(-target input)), reduced."""
    return reduced(xp.log1p(xp.exp(-target * input)), reduction)


_soft_margin.derivative(
    input=lambda g, input, target, reduction: (
        -target * sigmoid(-target * input) * (g * weight_of_each(reduction, input.shape))
    )
)


def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """log(1 + exp(-target input)): its mean, its sum, or each.

    RuntimeError for a target that wants a gradient, for one that is larger than the input, and for integer inputs.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    refuse_gradient("soft_margin_loss", target=target)
    shape, kind = input.array.shape, input.dtype.type_name
    if (wide := broadcast_shape(shape, target.array.shape)) != shape:
        raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(wide)}")
    if input.array.dtype.kind != "f":
        raise RuntimeError(f"result type Float can't be cast to the desired output type {kind}\ncast with .float()")
    return _soft_margin(input, target.to(input.dtype), reduction)


def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """The input where the target is 1, and max(0, margin - input) where it is -1; elsewhere both."""
    reduction = reduction_by(size_average, reduce, reduction)
    short = (margin - input).to(input.dtype)
    losses = where(target == 1, 0, clamp_min(short, 0)) + where(target == -1, 0, input)
    return reduced_tensor(losses, reduction)


def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """max(0, margin - target (input1 - input2)): which of two is to be the larger one.

    RuntimeError for different numbers of dims.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"{input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced_tensor(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where it is -1.

    Vectors (N, D) and targets (N,); or one of each. RuntimeError for other shapes.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    lengths = sqrt((sum(input1 * input1, -1) + EPSILON) * (sum(input2 * input2, -1) + EPSILON))
    cosine = sum(input1 * input2, -1) / lengths
    losses = where(target == 1, 1 - cosine, 0) + where(target == -1, clamp_min(cosine - margin, 0), 0)
    return reduced_tensor(losses, reduction)


# -- of classes --------------------------------------------------------------------------------------------------------


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """With y for the target, the sum over all other classes j of weight[y] max(0, margin - input[y] + input[j])**p / C.

    Inputs (N, C) and targets (N,); or one of each. p is 1 or 2.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows, classes = _rows_of_classes(input, "multi_margin_loss")
    n, shape = rows.shape[0], target.array.shape
    if target.ndim > 1 or target.array.size != n:
        raise RuntimeError(
            f"inconsistent target size, expected {n} but got {list(target.shape)}\nthe input has {list(input.shape)}"
        )
    if weight is not None and weight.array.size != classes:
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    target = reshape(target, (n, 1))
    _check_classes(target, classes)
    losses = clamp_min(margin - gather(rows, 1, target) + rows, 0)
    if p == 2:
        losses = square(losses)
    if weight is not None:
        losses = losses * reshape(index_select(weight, 0, reshape(target, (n,))), (n, 1))
    xp = backend.module_of(rows.array)
    losses = where(wrap(xp.arange(classes) == target.array), 0, losses)
    return reduced_tensor(reshape(sum(losses, 1) / classes, shape), reduction)


def multilabel_margin_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """The sum over target classes y and all other classes j of max(0, 1 - input[y] + input[j]) / C.

    `target` has the shape of the input, (N, C) or (C,): class numbers, of which those before the first -1 count.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    rows, classes = _rows_of_classes(input, "multilabel_margin_loss")
    if target.shape != input.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    xp = backend.module_of(rows.array)
    labels = target.array.reshape(rows.array.shape)
    counts = (labels >= 0).cumprod(axis=1).astype(bool)
    width = int(counts.sum(axis=1).max()) if counts.size else 0  # pairs cost no more than there are labels
    labels, counts = labels[:, :width], counts[:, :width]
    labels = xp.where(counts, labels, 0)
    _check_classes(wrap(labels), classes)
    is_target = ((labels[:, :, None] == xp.arange(classes)) & counts[:, :, None]).any(axis=1)
    pairs = counts[:, :, None] & ~is_target[:, None, :]
    leads = unsqueeze(gather(rows, 1, wrap(labels)), 2) - unsqueeze(rows, 1)
    losses = sum(where(wrap(pairs), clamp_min(1 - leads, 0), 0), (1, 2)) / classes
    return reduced_tensor(losses if input.ndim > 1 else reshape(losses, ()), reduction)


def _rows_of_classes(input: Any, name: str) -> tuple[Any, int]:
    """The input as (N, C), and C."""
    shape = input.array.shape
    if len(shape) > 2 or (len(shape) and not shape[-1]):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}\n"
            f"{name} takes (N, C) or (C,)"
        )
    need_float(input.array, name)
    rows = reshape(input, (1,) * (2 - len(shape)) + shape)
    return rows, rows.shape[1]


def _check_classes(target: Any, classes: int) -> None:
    """RuntimeError for a class out of range. On a GPU nobody looks."""
    labels = target.array
    if not target.is_cuda and labels.size and not ((labels >= 0) & (labels < classes)).all():
        raise RuntimeError(f"target out of range\nclasses are 0 to {classes - 1}")


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """Binary cross entropy of sigmoid(input), the mean over the classes, which are the last dim; then reduced."""
    reduction = reduction_by(size_average, reduce, reduction)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced_tensor(sum(losses, -1) / input.size(-1), reduction)


# -- of triplets -------------------------------------------------------------------------------------------------------


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d being `pairwise_distance`.

    With `swap` d(positive, negative) counts for the second where it is smaller. (Balntas et al. 2016)
    """
    reduction = reduction_by(size_average, reduce, reduction)

    def distance(a: Any, b: Any) -> Any:
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """`triplet_margin_loss` by any distance. ValueError unless the margin is positive."""
    reduction = reduction_by(None, None, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced_tensor(clamp_min(margin + near - far, 0), reduction)
