"""Cross entropy of a linear layer's output, which need not be there as a whole.

With many classes the logits are the largest array of a step. In chunks of some rows they are made, used and forgotten:
for a mean or a sum the gradients are computed along with the loss, for single losses the logits are made a second time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import is_grad_enabled
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import wrap
from minigrad.kernels.joining import concatenate
from minigrad.kernels.products import add_product, product
from minigrad.ops.join import joined
from minigrad.ops.layers.softmax import softmax
from minigrad.ops.linalg.affine import linear
from minigrad.ops.linalg.matmul import mm
from minigrad.ops.losses.classification import cross_entropy, off_target, samples_of, with_probabilities
from minigrad.ops.reduce import sum_dim
from minigrad.ops.shape import reshape, transpose, unsqueeze

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """How many rows at once: `batch_chunk_size`, or by `chunking_method` "aspect_ratio:n".

    That is so many that their logits are about an n-th of the input in size ("auto": half of it). The other options are
    torch's, and need no attention here: gradients are kept, and sums have the input's dtype. ValueError for values that
    torch does not know.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method not in (None, "auto"):
            name, _, factor = str(self.chunking_method).partition(":")
            if name != "aspect_ratio" or not (factor or "1").isdigit() or int(factor or "1") < 1:
                raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")


def _rows_at_once(options: Any, rows: int, features: int, classes: int) -> int:
    """The size of chunks of an input (rows, features)."""
    size, method = options.batch_chunk_size, options.chunking_method
    if method is None or (method == "auto" and size is not None):
        return min(rows if size is None else size, rows) or 1
    factor = 2 if method == "auto" else int(method.partition(":")[2] or 1)
    wanted = -(-rows // -(-classes // features))
    fitting = max(min((1 << (wanted - 1).bit_length()) // factor, rows), 1)
    if size is not None and size != fitting:
        raise ValueError(
            f"batch_chunk_size (={size}) and chunking_method ('{method}') give different chunk sizes ({size} vs "
            f"{fitting}); pass only one."
        )
    return fitting


def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Any:
    """cross_entropy(linear(input, linear_weight, linear_bias), target): (N, E) or (E,) and (C, E), or (C, ..., E).

    With `options` in chunks, for class numbers without smoothing; a mean or sum has no second derivative then, as in
    torch. RuntimeError for shapes that do not fit.
    """
    a, b = input.array.shape, linear_weight.array.shape
    logits = _checked_shape(a, b, linear_bias)
    if target.array.shape == logits and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignore_index = -100 if ignore_index is None else ignore_index
    if options is not None:
        if (
            len(b) == 2
            and reduction in ("mean", "sum", "none")
            and not label_smoothing
            and target.array.dtype == "int64"
        ):
            rows, targets = (input, target) if len(a) == 2 else (unsqueeze(input, 0), unsqueeze(target, 0))
            size = _rows_at_once(options, rows.array.shape[0], a[-1], b[0])
            given = (rows, linear_weight, linear_bias, targets, weight, ignore_index, size)
            losses = chunked_losses(*given) if reduction == "none" else _chunked_total(*given, reduction == "mean")
            return reshape(losses, logits[:-1]) if reduction == "none" else losses
        warn(
            f"linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {{'mean','sum','none'}}, "
            f"label_smoothing == 0, target.dtype == int64, out_features == (). Got reduction={reduction!r}, "
            f"label_smoothing={label_smoothing}, target.dtype={target.dtype}, out_features={b[1:-1]}, tracing=False, "
            f"linear_bias.shape={None if linear_bias is None else linear_bias.array.shape}."
        )
    if len(b) > 2:
        linear_weight = reshape(linear_weight, (math.prod(b[:-1]), b[-1]))
        linear_bias = None if linear_bias is None else reshape(linear_bias, (math.prod(b[:-1]),))
    return cross_entropy(
        reshape(linear(input, linear_weight, linear_bias), logits),
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
    )


def _checked_shape(a: tuple[int, ...], b: tuple[int, ...], bias: Any) -> tuple[int, ...]:
    """The shape of the logits; torch's errors for shapes that do not fit."""
    if not 1 <= len(a) <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {len(a)}")
    if len(b) < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {len(b)}")
    if a[-1] != b[-1]:
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {a[-1]} and {b[-1]}, "
            f"respectively"
        )
    if bias is not None and bias.array.shape != b[:-1]:
        raise RuntimeError(f"expected linear_bias shape {b[:-1]}, got {bias.array.shape}")
    if len(b) > 2 and len(a) == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {b} requires batched input, (N, {a[-1]}), got "
            f"unbatched input with shape {a}"
        )
    return (*a[:-1], *b[:-1])


def _chunks(n: int, size: int) -> Iterator[slice]:
    return (slice(i, i + size) for i in range(0, max(n, 1), size))  # one of nothing, if there is nothing


def _of_chunk(x: Any, w: Any, b: Any, target: Any, weight: Any, ignore_index: int, xp: Any) -> Any:
    """The losses of some rows, and what their slopes are made of."""
    logits = product(x, w.T)
    if b is not None:
        logits += b
    return with_probabilities(logits, target, weight, ignore_index, "none", xp)


# -- single losses -----------------------------------------------------------------------------------------------------


@Op(node="LinearCrossEntropyBackward0")
def chunked_losses(input, linear_weight, linear_bias, target, weight, ignore_index: int, size: int, *, xp):
    """The loss of each row, `size` rows at once."""
    given = (linear_weight, linear_bias)
    parts = [
        _of_chunk(input[rows], *given, target[rows], weight, ignore_index, xp)[0] for rows in _chunks(len(input), size)
    ]
    return concatenate(xp, parts)


@chunked_losses.joint_derivative("input", "linear_weight", "linear_bias")
def _chunked_losses_rule(g, input, linear_weight, linear_bias, target, weight, ignore_index, size, needs):
    g_inputs, g_weight, g_bias = [], 0, 0
    for rows in _chunks(input.shape[0], size):
        x = input[rows]
        logits = mm(x, transpose(linear_weight, 0, 1))
        p = softmax(logits if linear_bias is None else logits + linear_bias, 1)
        places, _, share = samples_of(p, target[rows], weight, ignore_index, "none")
        slopes = off_target(p, g[rows] * share, places)
        g_inputs.append(mm(slopes, linear_weight))
        if needs[1]:
            g_weight = mm(transpose(slopes, 0, 1), x) + g_weight
        if needs[2]:
            g_bias = sum_dim(slopes, (0,), False) + g_bias
    return joined(*g_inputs, dim=0) if needs[0] else None, g_weight if needs[1] else None, g_bias if needs[2] else None


# -- their mean or sum -------------------------------------------------------------------------------------------------


@Op(node="LinearCrossEntropyBackward0")
def sloped(input, linear_weight, linear_bias, loss, g_input, g_weight, g_bias):
    """`loss`, whose derivatives by the first three are known."""
    return loss


sloped.derivative(
    input=lambda g, g_input: g * g_input,
    linear_weight=lambda g, g_weight: g * g_weight,
    linear_bias=lambda g, g_bias: g * g_bias,
)


def _chunked_total(
    input: Any, linear_weight: Any, linear_bias: Any, target: Any, weight: Any, ignore_index: int, size: int, mean: bool
) -> Any:
    """The sum of the losses, or their mean by the weights of their classes, with its slopes."""
    x, w = input.array, linear_weight.array
    b, of_classes = (None if t is None else t.array for t in (linear_bias, weight))
    xp, total, divisor = backend.module_of(x), 0.0, 0.0
    wanted = [is_grad_enabled() and t is not None and t.needs_grad for t in (input, linear_weight, linear_bias)]
    slopes: Any = [xp.zeros_like(t) if want else None for t, want in zip((x, w, b), wanted)]
    for rows in _chunks(len(x), size):
        losses, (p, places, share) = _of_chunk(x[rows], w, b, target.array[rows], of_classes, ignore_index, xp)
        total = total + losses.sum()
        divisor = divisor + (len(losses) if isinstance(share, float) else share.sum())
        if any(wanted):
            slope = off_target.forward(p, xp.asarray(share, p.dtype), places, xp=xp)
        if wanted[0]:
            slopes[0][rows] = product(slope, w)
        if wanted[1]:
            add_product(slope.T, x[rows], slopes[1])
        if wanted[2]:
            slopes[2] += slope.sum(axis=0)
    total = xp.asarray(total, x.dtype)
    if mean:
        total = total / xp.asarray(divisor, x.dtype)
        for slope in slopes:
            if slope is not None:
                slope /= divisor
    return sloped(input, linear_weight, linear_bias, wrap(total), *[None if s is None else wrap(s) for s in slopes])
