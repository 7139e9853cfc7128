"""The functions beneath those of `nn.functional`, which torch shows too: less is optional, a reduction is a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import ops
from minigrad.ops.losses import ctc

__all__ = [
    "alpha_dropout", "batch_norm", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "ctc_loss", "dropout",
    "dsmm", "embedding", "feature_alpha_dropout", "group_norm", "hinge_embedding_loss", "instance_norm", "kl_div",
    "layer_norm", "margin_ranking_loss", "poisson_nll_loss", "spmm", "triplet_margin_loss",
]  # fmt: skip

spmm = dsmm = ops.mm  # of a sparse matrix and a dense one, or of two dense ones, as here


def dropout(input: Any, p: float, train: bool) -> Any:
    """`nn.functional.dropout`."""
    return ops.dropout(input, p, train)


def alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """`nn.functional.alpha_dropout`."""
    return ops.alpha_dropout(input, p, train)


def feature_alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """`nn.functional.feature_alpha_dropout`."""
    return ops.feature_alpha_dropout(input, p, train)


def embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """`nn.functional.embedding`, a negative `padding_idx` being none."""
    return ops.embedding(indices, weight, padding_idx if padding_idx >= 0 else None, None, 2.0, scale_grad_by_freq)


# -- normalization; cuDNN is not asked, which the last argument is about -----------------------------------------------


def batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """`nn.functional.batch_norm`."""
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """`nn.functional.instance_norm`."""
    return ops.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05, cudnn_enabled: bool = True
) -> Any:
    """`nn.functional.group_norm`."""
    return ops.group_norm(input, num_groups, weight, bias, eps)


def layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Any:
    """`nn.functional.layer_norm`."""
    return ops.layer_norm(input, normalized_shape, weight, bias, eps)


# -- losses ------------------------------------------------------------------------------------------------------------


NONE = 0  # torch declares the mean, 1, as the default, but what its functions do without the argument is this


def _reduced(losses: Any, reduction: int) -> Any:
    """All losses for 0, their mean for 1, their sum for 2."""
    return losses.mean() if reduction == 1 else losses.sum() if reduction == 2 else losses


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = NONE
) -> Any:
    """`nn.functional.binary_cross_entropy_with_logits`."""
    losses = ops.binary_cross_entropy_with_logits(input, target, weight, pos_weight=pos_weight, reduction="none")
    return _reduced(losses, reduction)


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = NONE,
    zero_infinity: bool = False,
) -> Any:
    """`nn.functional.ctc_loss`."""
    how = ("none", "mean", "sum")[reduction]
    return ctc.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, how, zero_infinity)


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: int = NONE) -> Any:
    """`nn.functional.cosine_embedding_loss`."""
    return _reduced(ops.cosine_embedding_loss(input1, input2, target, margin, reduction="none"), reduction)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: int = NONE) -> Any:
    """`nn.functional.hinge_embedding_loss`."""
    return _reduced(ops.hinge_embedding_loss(input, target, margin, reduction="none"), reduction)


def kl_div(input: Any, target: Any, reduction: int = NONE, *, log_target: bool = False) -> Any:
    """`nn.functional.kl_div`, which does not warn."""
    return _reduced(ops.kl_div(input, target, reduction="none", log_target=log_target), reduction)


def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: int = NONE) -> Any:
    """`nn.functional.margin_ranking_loss`."""
    return _reduced(ops.margin_ranking_loss(input1, input2, target, margin, reduction="none"), reduction)


def poisson_nll_loss(input: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: int) -> Any:
    """`nn.functional.poisson_nll_loss`."""
    return _reduced(ops.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction="none"), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-06,
    swap: bool = False,
    reduction: int = NONE,
) -> Any:
    """`nn.functional.triplet_margin_loss`."""
    losses = ops.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction="none")
    return _reduced(losses, reduction)
