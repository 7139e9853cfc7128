"""Losses that compare a prediction with a target, element by element, and reduce what they find to one number.

Each is one op, so that a training step pays for one. With d = input - target the derivatives by input are 2 d (mse),
sign(d) (l1), and in between (smooth_l1, huber); those by target are their negatives.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.backend import np
from minigrad.kernels.gpu import losses as gpu
from minigrad.ops.arithmetic import abs
from minigrad.ops.checks import need_float, refuse_gradient
from minigrad.ops.compare import where
from minigrad.ops.elementwise import exp, log, log1p, sigmoid, xlogy
from minigrad.ops.expand import broadcast_shape
from minigrad.ops.extrema import clamp_min
from minigrad.ops.layers.activation import logsigmoid
from minigrad.ops.reduce import mean, sum
from minigrad.ops.rounding import sign

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "kl_div", "l1_loss", "mse_loss",
    "smooth_l1_loss",
]  # fmt: skip

EPSILON = 9.999999960041972e-13  # torch's 1e-12, which is a float32


# -- reductions --------------------------------------------------------------------------------------------------------


def reduction_by(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction's name: "none", "mean" or "sum"; torch's two arguments of old times are warned of."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction\nit is 'none', 'mean' or 'sum'")
    return reduction


def reduced(losses: Any, reduction: str) -> Any:
    """An array of losses: itself, its mean (nan if there are none) or its sum."""
    if reduction == "none":
        return losses
    total = backend.module_of(losses).add.reduce(losses, axis=None)  # as .sum(), with less around it
    return total if reduction == "sum" else total / (losses.size or math.nan)


def reduced_tensor(losses: Any, reduction: str) -> Any:
    """The same for a tensor, recorded."""
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


def weight_of_each(reduction: str, shape: tuple[int, ...]) -> float:
    """The derivative of the reduced loss by the loss of one element."""
    return 1 / (math.prod(shape) or 1) if reduction == "mean" else 1.0


def _warn_of_broadcasting(input: Any, target: Any) -> None:
    if input.array.shape != target.array.shape:
        warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            f"likely lead to incorrect results due to broadcasting. Please ensure they have the same size."
        )


def _check_same_shape(weight: Any, input: Any) -> None:
    if weight.array.shape != input.array.shape:
        raise ValueError(
            f"Weights and input must have the same size.\nTheir shapes are {weight.shape} and {input.shape}."
        )


def _weighted(losses: Any, weight: Any, input: Any, reduction: str) -> Any:
    """Losses times weights; their mean is that of all weights."""
    _check_same_shape(weight, input)
    total = reduced_tensor(losses * weight, "none" if reduction == "none" else "sum")
    return total / sum(weight) if reduction == "mean" else total


# -- squares and absolute values ---------------------------------------------------------------------------------------


@Op(node="MseLossBackward0", promote="common", cache=True)
def _mse(input, target, reduction: str, *, xp):
    """(input - target)**2, reduced."""
    need_float(input, "mse_cpu")
    if xp is not np and gpu.fits(input, input, target, reduction):
        return gpu.losses(input, target, reduction, logits=False), None
    difference = input - target
    return reduced(difference * difference, reduction), difference


@Op(node="SmoothL1LossBackward0", promote="common")
def _smooth_l1(input, target, reduction: str, beta: float, *, xp):
    """d**2 / (2 beta) where |d| < beta, else |d| - beta / 2; reduced."""
    need_float(input, "smooth_l1_cpu")
    d = xp.abs(input - target)
    return reduced(xp.where(d < beta, d * d * (0.5 / beta), d - 0.5 * beta), reduction)


@Op(node="HuberLossBackward0", promote="common")
def _huber(input, target, reduction: str, delta: float, *, xp):
    """d**2 / 2 where |d| <= delta, else delta (|d| - delta / 2); reduced."""
    need_float(input, "huber_cpu")
    d = xp.abs(input - target)
    return reduced(xp.where(d <= delta, d * d * 0.5, (d - 0.5 * delta) * delta), reduction)


def _mse_rule(g, input, target, reduction, cache, factor=2):
    if gpu.fits(g, input, target, reduction):
        return gpu.losses_back(g, input, target, factor * weight_of_each(reduction, input.shape), logits=False)
    difference = input - target if cache is None else cache
    return difference * (g * (factor * weight_of_each(reduction, difference.shape)))


def _smooth_l1_rule(g, input, target, reduction, beta):
    d = input - target
    slope = where(abs(d) < beta, d * (1 / beta), sign(d))
    return slope * (g * weight_of_each(reduction, d.shape))


def _huber_rule(g, input, target, reduction, delta):
    d = input - target
    slope = where(abs(d) < delta, d, sign(d) * delta)
    return slope * (g * weight_of_each(reduction, d.shape))


_mse.derivative(
    input=lambda g, input, target, reduction, cache: _mse_rule(g, input, target, reduction, cache),
    target=lambda g, input, target, reduction, cache: _mse_rule(g, input, target, reduction, cache, -2),
)
_smooth_l1.derivative(
    input=_smooth_l1_rule,
    target=lambda g, input, target, reduction, beta: -_smooth_l1_rule(g, input, target, reduction, beta),
)
_huber.derivative(
    input=_huber_rule,
    target=lambda g, input, target, reduction, delta: -_huber_rule(g, input, target, reduction, delta),
)


def mse_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The squared error (input - target)**2: its mean, its sum, or each; times `weight` if given.

    Warns of shapes that differ and are broadcast. ValueError for an unknown reduction.
    """
    if size_average is not None or reduce is not None or reduction != "mean":
        reduction = reduction_by(size_average, reduce, reduction)
    if input.array.shape != target.array.shape:
        _warn_of_broadcasting(input, target)
    if weight is not None:
        difference = input - target
        return _weighted(difference * difference, weight, input, reduction)
    return _mse(input, target, reduction)


def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The absolute error |input - target|: its mean, its sum, or each; times `weight` if given. Where it is 0, the
    gradient is 0.

    Warns of shapes that differ and are broadcast. ValueError for an unknown reduction.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    _warn_of_broadcasting(input, target)
    errors = abs(input - target)
    return reduced_tensor(errors, reduction) if weight is None else _weighted(errors, weight, input, reduction)


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """With d = input - target: d**2 / (2 beta) where |d| < beta, else |d| - beta / 2; its mean, its sum, or each.

    Warns of shapes that differ and are broadcast. RuntimeError for a negative beta; beta = 0 is `l1_loss`.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    _warn_of_broadcasting(input, target)
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta.\nIt is {beta}.")
    if beta == 0:
        return reduced_tensor(abs(input - target), reduction)
    return _smooth_l1(input, target, reduction, float(beta))


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """With d = input - target: d**2 / 2 where |d| <= delta, else delta (|d| - delta / 2); its mean, its sum, or each.

    Warns of shapes that differ and are broadcast. RuntimeError unless delta is positive.
    """
    reduction_by(None, None, reduction)
    _warn_of_broadcasting(input, target)
    if not delta > 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta.\nIt is {delta}.")
    # Unlike its kin, this loss is returned in the dtype of the input.
    common = backend.result_type([input.array, target.array])
    if common.category > input.dtype.category:
        raise RuntimeError(
            f"result type {common.type_name} can't be cast to the desired output type {input.dtype.type_name}\n"
            f"cast the input with .to({common})"
        )
    if weight is None:
        return _huber(input, target, reduction, float(delta)).to(input.dtype)
    losses = _huber(input, target, "none", float(delta)).to(input.dtype)
    _check_same_shape(weight, input)
    return reduced_tensor(losses * weight, reduction)


# -- of probabilities --------------------------------------------------------------------------------------------------


@Op(node="BinaryCrossEntropyBackward0")
def _bce(input, target, weight, reduction: str, *, xp):
    """-(target log(input) + (1 - target) log(1 - input)), the logarithms not below -100; weighted and reduced."""
    losses = (target - 1) * xp.maximum(xp.log1p(-input), -100) - target * xp.maximum(xp.log(input), -100)
    return reduced(losses if weight is None else losses * weight, reduction)


@Op(node="BinaryCrossEntropyWithLogitsBackward0", promote="common", among=("input", "target"))
def _bce_with_logits(input, target, weight, pos_weight, reduction: str, *, xp):
    """`_bce` of sigmoid(input), by log(sigmoid), which neither overflows nor loses digits."""
    if xp is not np and weight is None and pos_weight is None and gpu.fits(input, input, target, reduction):
        return gpu.losses(input, target, reduction, logits=True)
    log_sigmoid = xp.minimum(input, 0) - xp.log1p(xp.exp(-xp.abs(input)))
    if pos_weight is not None:
        log_sigmoid = log_sigmoid * (1 + (pos_weight - 1) * target)
    losses = (1 - target) * input - log_sigmoid
    return reduced(losses if weight is None else losses * weight, reduction)


def _check_weight(shape: tuple[int, ...], weight: Any) -> None:
    """RuntimeError for a weight that would give more losses than there are elements."""
    if weight is not None and (wide := broadcast_shape(weight.shape, shape)) != shape:
        raise RuntimeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape {list(wide)}\n"
            f"the weights have the shape {list(weight.shape)}"
        )


def _scaled(g, weight, reduction, shape):
    g = g * weight_of_each(reduction, shape)
    return g if weight is None else g * weight


_bce.derivative(
    input=lambda g, input, target, weight, reduction: (
        _scaled(g, weight, reduction, input.shape) * (input - target) / clamp_min((1 - input) * input, EPSILON)
    ),
    target=lambda g, input, weight, reduction: (
        _scaled(g, weight, reduction, input.shape) * (log1p(-input) - log(input))
    ),
)


def _bce_with_logits_rule(g, input, target, weight, pos_weight, reduction):
    """sigmoid(x) - t; with p for pos_weight, (1 - t + p t) sigmoid(x) - p t."""
    if weight is None and pos_weight is None and gpu.fits(g, input, target, reduction):
        return gpu.losses_back(g, input, target, weight_of_each(reduction, input.shape), logits=True)
    scale = _scaled(g, weight, reduction, input.shape)
    if pos_weight is None:
        return (sigmoid(input) - target) * scale
    positive = pos_weight * target
    return ((1 - target + positive) * sigmoid(input) - positive) * scale


def _bce_with_logits_target_rule(g, input, weight, pos_weight, reduction):
    """-x; with p for pos_weight, log(sigmoid(-x)) - p log(sigmoid(x))."""
    slope = -input if pos_weight is None else logsigmoid(-input) - pos_weight * logsigmoid(input)
    return slope * _scaled(g, weight, reduction, input.shape)


_bce_with_logits.derivative(input=_bce_with_logits_rule, target=_bce_with_logits_target_rule)


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """-(target log(input) + (1 - target) log(1 - input)) of probabilities: its mean, its sum, or each; times `weight`.

    Logarithms are not let below -100. ValueError for shapes that differ, RuntimeError for values outside [0, 1].
    """
    reduction = reduction_by(size_average, reduce, reduction)
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            f"Please ensure they have the same size."
        )
    if input.dtype is not target.dtype:
        raise RuntimeError(
            f"Found dtype {target.dtype.type_name} but expected {input.dtype.type_name}\ncast the target with "
            f".to({input.dtype})"
        )
    need_float(input.array, "binary_cross_entropy")
    for name, tensor in (("input", input), ("target", target)):
        # On the GPU nobody looks: it would have to wait for the answer.
        if not tensor.is_cuda and not ((tensor.array >= 0) & (tensor.array <= 1)).all():
            raise RuntimeError(
                f"all elements of {name} should be between 0 and 1\nlogits, which may be any numbers, go to "
                f"binary_cross_entropy_with_logits"
            )
    if weight is not None:
        refuse_gradient("binary_cross_entropy", weight=weight)
        _check_weight(input.array.shape, weight)
    return _bce(input, target, weight, reduction)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """`binary_cross_entropy` of sigmoid(input), computed without overflow; `pos_weight` multiplies the positive term.

    ValueError for shapes that differ.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    if input.array.shape != target.array.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    refuse_gradient("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    need_float(input.array, "log_sigmoid_cpu")
    for given in (weight, pos_weight):
        _check_weight(input.array.shape, given)
    if target.array.dtype.kind != "f":
        kind = target.dtype.type_name
        raise RuntimeError(
            f"result type {input.dtype.type_name} can't be cast to the desired output type {kind}\ncast the target "
            f"with .to({input.dtype})"
        )
    loss = _bce_with_logits(input, target, weight, pos_weight, reduction)
    return (
        loss if loss.array.dtype == target.array.dtype else loss.to(target.dtype)
    )  # as torch, which begins with 1 - t


def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """target (log(target) - input), for `input` of log-probabilities; with `log_target` the target is given so too.

    "batchmean" divides the sum by the batch size, as the Kullback-Leibler divergence does; "mean", by the number of
    elements, warns. RuntimeError for integers.
    """
    batchmean = reduction == "batchmean"
    if reduction == "mean" and size_average is None and reduce is None:
        warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release."
        )
    reduction = reduction_by(size_average, reduce, "sum" if batchmean else reduction)
    if input.array.dtype.kind != "f" or target.array.dtype.kind != "f":
        raise RuntimeError(f"kl_div: Integral inputs not supported.\nThe dtypes are {input.dtype} and {target.dtype}.")
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    total = reduced_tensor(losses, reduction)
    return total / input.shape[0] if batchmean and input.array.ndim else total
