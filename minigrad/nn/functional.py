"""torch.nn.functional: the operations of neural networks as functions. Most are those of `minigrad.ops`.

Here are added: the activations with torch's `inplace=`, and functions composed of several operations.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from minigrad.ops.arithmetic import div
from minigrad.ops.elementwise import sigmoid, tanh
from minigrad.ops.extrema import clamp_min
from minigrad.ops.inplace import in_place
from minigrad.ops.layers import activation
from minigrad.ops.layers.activation import (
    gelu,
    hardshrink,
    logsigmoid,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
)
from minigrad.ops.layers.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    fractional_max_pool2d,
    fractional_max_pool3d,
)
from minigrad.ops.layers.attention import scaled_dot_product_attention
from minigrad.ops.layers.batch_norm import batch_norm, instance_norm
from minigrad.ops.layers.columns import fold, unfold
from minigrad.ops.layers.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from minigrad.ops.layers.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from minigrad.ops.layers.embedding import embedding, one_hot
from minigrad.ops.layers.embedding_bag import embedding_bag
from minigrad.ops.layers.gated import glu, prelu, rrelu
from minigrad.ops.layers.grid import affine_grid, grid_sample
from minigrad.ops.layers.interpolate import interpolate, upsample, upsample_bilinear, upsample_nearest
from minigrad.ops.layers.multihead import multi_head_attention_forward
from minigrad.ops.layers.native_norm import local_response_norm
from minigrad.ops.layers.normalization import group_norm, layer_norm, rms_norm
from minigrad.ops.layers.pixels import channel_shuffle, pixel_shuffle, pixel_unshuffle
from minigrad.ops.layers.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from minigrad.ops.layers.softmax import log_softmax, softmax, softmin
from minigrad.ops.layers.unpool import max_unpool1d, max_unpool2d, max_unpool3d
from minigrad.ops.linalg.affine import linear
from minigrad.ops.linalg.distance import cosine_similarity, pairwise_distance, pdist
from minigrad.ops.linalg.einsum import einsum
from minigrad.ops.linalg.norms import norm
from minigrad.ops.losses.classification import cross_entropy, nll_loss
from minigrad.ops.losses.ctc import ctc_loss
from minigrad.ops.losses.elementwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from minigrad.ops.losses.likelihood import gaussian_nll_loss, poisson_nll_loss
from minigrad.ops.losses.linear_cross_entropy import linear_cross_entropy
from minigrad.ops.losses.margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from minigrad.ops.pad import pad

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu",
    "rrelu_", "selu", "selu_", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "threshold_", "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d",
    "feature_alpha_dropout", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "fold", "unfold", "max_pool1d", "max_pool2d", "max_pool3d", "bilinear",
    "cosine_similarity", "normalize", "embedding", "one_hot", "pairwise_distance", "linear", "pad", "batch_norm",
    "group_norm", "instance_norm", "layer_norm", "rms_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "cross_entropy", "huber_loss", "kl_div", "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss",
    "scaled_dot_product_attention", "pdist", "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss", "gaussian_nll_loss", "poisson_nll_loss",
    "local_response_norm", "multi_head_attention_forward", "ctc_loss", "embedding_bag",
    "linear_cross_entropy",
    "affine_grid", "channel_shuffle", "grid_sample", "interpolate", "pixel_shuffle", "pixel_unshuffle", "upsample",
    "upsample_bilinear", "upsample_nearest", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "fractional_max_pool2d", "fractional_max_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_unpool1d",
    "max_unpool2d", "max_unpool3d", "gumbel_softmax", "conv_tbc", "native_channel_shuffle",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices",
    "fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices", "max_pool1d_with_indices",
    "max_pool2d_with_indices", "max_pool3d_with_indices",
]  # fmt: skip


# -- activations that may overwrite their input -----------------------------------------------------------------------


relu_ = in_place(activation.relu, "relu_")
leaky_relu_ = in_place(activation.leaky_relu, "leaky_relu_")
threshold_ = in_place(activation.threshold, "threshold_")
hardtanh_ = in_place(activation.hardtanh, "hardtanh_")
elu_ = in_place(activation.elu, "elu_")
selu_ = in_place(activation.selu, "selu_")
celu_ = in_place(activation.celu, "celu_")
_hardsigmoid_ = in_place(activation.hardsigmoid, "hardsigmoid_")
_hardswish_ = in_place(activation.hardswish, "hardswish_")
_silu_ = in_place(activation.silu, "silu_")
_mish_ = in_place(activation.mish, "mish_")


def relu(input: Any, inplace: bool = False) -> Any:
    """max(input, 0); slope 0 at 0."""
    return relu_(input) if inplace else activation.relu(input)


def relu6(input: Any, inplace: bool = False) -> Any:
    """input moved into [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """input where it is positive, else negative_slope * input."""
    return (leaky_relu_ if inplace else activation.leaky_relu)(input, negative_slope)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """input where it is greater than `threshold`, else `value`."""
    return (threshold_ if inplace else activation.threshold)(input, threshold, value)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """input moved into [min_val, max_val]."""
    return (hardtanh_ if inplace else activation.hardtanh)(input, min_val, max_val)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """input / 6 + 1/2 moved into [0, 1]."""
    return (_hardsigmoid_ if inplace else activation.hardsigmoid)(input)


def hardswish(input: Any, inplace: bool = False) -> Any:
    """input * hardsigmoid(input)."""
    return (_hardswish_ if inplace else activation.hardswish)(input)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    return (elu_ if inplace else activation.elu)(input, alpha)


def selu(input: Any, inplace: bool = False) -> Any:
    """elu with the two constants that keep mean 0 and variance 1."""
    return (selu_ if inplace else activation.selu)(input)


def rrelu_(input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Any:
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """input where it is positive, else alpha * (exp(input / alpha) - 1)."""
    return (celu_ if inplace else activation.celu)(input, alpha)


def silu(input: Any, inplace: bool = False) -> Any:
    """input * sigmoid(input)."""
    return (_silu_ if inplace else activation.silu)(input)


def mish(input: Any, inplace: bool = False) -> Any:
    """input * tanh(softplus(input))."""
    return (_mish_ if inplace else activation.mish)(input)


# -- pools that also say where the maxima are --------------------------------------------------------------------------


def _with_indices(pool: Callable[..., Any]) -> Callable[..., Any]:
    """`pool` that also gives the places of the maxima, whatever its argument `return_indices` says."""
    signature = inspect.signature(pool)

    @functools.wraps(pool)
    def pool_with_indices(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        return pool(**(given | {"return_indices": True}))

    return pool_with_indices


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)
fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d)


# -- composed of several operations -----------------------------------------------------------------------------------


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """out[..., k] = sum over i, j of input1[..., i] * weight[k, i, j] * input2[..., j], plus bias[k].

    RuntimeError for shapes that do not fit and for several dtypes.
    """
    given = {"input1": input1, "input2": input2, "weight": weight} | ({} if bias is None else {"bias": bias})
    if any(t.array.dtype != weight.array.dtype for t in given.values()):
        listed = ", ".join(f"{name}: {t.dtype.c_name}" for name, t in given.items())
        raise RuntimeError(f"All tensors must have the same dtype, got {listed}")
    a, b, w = input1.array.shape, input2.array.shape, weight.array.shape
    if len(a) != len(b):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(a)} and {len(b)}")
    for i, (n, m) in enumerate(zip(a[:-1], b[:-1])):
        if n != m:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {i}: got {n} and {m}")
    for i, size in enumerate((a[-1], b[-1]), start=1):
        if size != w[i]:
            raise RuntimeError(f"bilinear(): input{i} size does not match weight size: got {size} but expected {w[i]}")
    if bias is not None and bias.size(0) != w[0]:
        raise RuntimeError(f"bilinear(): bias size does not match weight size: got {bias.size(0)} but expected {w[0]}")
    out = einsum("...i,kij,...j->...k", input1, weight, input2)
    return out if bias is None else out + bias


def conv_tbc(input: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
    """conv1d of (time, batch, channels) with a weight (width, channels, channels out), padded by `pad` on both sides.

    RuntimeError for shapes that do not fit.
    """
    x, w, b = input.array.shape, weight.array.shape, bias.array.shape
    for wrong, text in (
        (len(x) != 3, "Input must have 3 dims: time, batch, in_channel"),
        (len(w) != 3, "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels."),
        (len(b) != 1, "Bias must be 1-D"),
        (x[-1:] != w[-2:-1], "Input dim 2 (input channels) is not == dim 1 in the weight tensor"),
        (b != w[-1:], "Bias size must equal dim 2 in the weight tensor (output channels)."),
    ):
        if wrong:
            raise RuntimeError(f"{text.rstrip('.')}: got an input {list(x)}, a weight {list(w)} and a bias {list(b)}")
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


def native_channel_shuffle(input: Any, groups: int) -> Any:
    """`channel_shuffle`; unlike torch's, it may be differentiated."""
    return channel_shuffle(input, groups)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """input / max(its p-norm along `dim`, eps)."""
    norms = clamp_min(norm(input, p, dim, keepdim=True), eps)
    return input / norms if out is None else div(input, norms, out=out)  # type: ignore[call-arg]


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """softmax((logits + noise) / tau) with Gumbel noise: near 0, `tau` makes it a draw from softmax(logits).

    With `hard` the value is one-hot, and the gradient that of the soft one. (Jang et al. 2017, Maddison et al. 2017.)
    `eps` has no effect.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", UserWarning, stacklevel=2)
    noise = -logits.new_empty(logits.shape).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    largest = soft.detach().argmax(dim, keepdim=True)
    return logits.new_zeros(logits.shape).scatter_(dim, largest, 1.0) - soft.detach() + soft
