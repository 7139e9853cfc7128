"""A batch norm folded into the layer before it, for evaluation: both are affine, so one layer does the work of two."""

from __future__ import annotations

import copy
from typing import Any

from minigrad.nn.parameter import Parameter
from minigrad.ops.create import ones_like, zeros_like


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A new convolution that gives what `bn` makes of the output of `conv`; `transpose` for a transposed one.

    AssertionError unless both are in evaluation mode and `bn` keeps running statistics.
    """
    _check_for_eval(conv, bn)
    fused = copy.deepcopy(conv)
    _check_statistics(bn)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A new linear layer that gives what `bn` makes of the output of `linear`.

    AssertionError as for `fuse_conv_bn_eval`, and for numbers of features that do not fit.
    """
    _check_for_eval(linear, bn)
    fused = copy.deepcopy(linear)
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            f"To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    _check_statistics(bn)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Any,
    conv_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight w s and bias (b - mean) s + bn_b, with s = bn_w / sqrt(var + eps) along the output channels of w."""
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = zeros_like(bn_rm) if bn_b is None else bn_b
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    bias, bias_dtype = (zeros_like(bn_rm), conv_w.dtype) if conv_b is None else (conv_b, conv_b.dtype)
    shrink = (bn_rv + bn_eps).rsqrt()
    weight = conv_w * (bn_w * shrink).reshape(shape)
    fused_bias = (bias - bn_rm) * shrink * bn_w + bn_b
    return _parameters(weight.to(conv_w.dtype), conv_w, fused_bias.to(bias_dtype), bias)


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """As `fuse_conv_bn_weights`, for a matrix; `bn_w` and `bn_b` must be given."""
    bias, bias_dtype = (zeros_like(bn_rm), linear_w.dtype) if linear_b is None else (linear_b, linear_b.dtype)
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    weight = linear_w * scale.unsqueeze(-1).to(linear_w.dtype)
    return _parameters(weight, linear_w, ((bias - bn_rm) * scale + bn_b).to(bias_dtype), bias)


def _parameters(weight: Any, old_weight: Any, bias: Any, old_bias: Any) -> tuple[Parameter, Parameter]:
    """Two parameters that want gradients where those of the layer did."""
    return Parameter(weight, old_weight.requires_grad), Parameter(bias, old_bias.requires_grad)


def _check_for_eval(layer: Any, bn: Any) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")


def _check_statistics(bn: Any) -> None:
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
