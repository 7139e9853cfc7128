"""Activations with a learned slope, a random slope, or a gate taken from the input itself."""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import wrap
from minigrad.kernels import draws
from minigrad.kernels.select import select
from minigrad.ops.arithmetic import mul
from minigrad.ops.checks import need_float
from minigrad.ops.compare import where
from minigrad.ops.dims import normalize_dim
from minigrad.ops.elementwise import sigmoid
from minigrad.ops.forms import forms
from minigrad.ops.inplace import in_place
from minigrad.ops.layers.activation import leaky_relu
from minigrad.ops.parts import chunk
from minigrad.ops.shape import reshape
from minigrad.random import CpuGenerator, generator_for

__all__ = ["glu", "prelu", "rrelu"]

leaky_relu_, mul_ = in_place(leaky_relu, "leaky_relu_"), in_place(mul, "mul_")


@Op
def prelu_kernel(input, weight, *, xp):
    """input where it is positive, else weight * input; the slope `weight` at 0."""
    need_float(input, "prelu_cpu")
    return select(input > 0, input, weight * input, xp)


prelu_kernel.derivative(
    input=lambda g, input, weight: where(input > 0, g, g * weight),
    weight=lambda g, input: where(input > 0, 0, g * input),
)


@forms(out=False)
def prelu(input: Any, weight: Any) -> Any:
    """input where it is positive, else weight * input, with one weight or one for each channel (dim 1).

    RuntimeError for another number of weights, and for two dtypes. (He et al. 2015)
    """
    x, w = input.array, weight.array
    if x.dtype != w.dtype:
        a, b = backend.dtype_of(x).type_name, backend.dtype_of(w).type_name
        raise RuntimeError(f"prelu: Type promoting not supported. Got {a} and {b}\nconvert one of them with .to(dtype)")
    if w.size != 1:
        if not x.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if channels != w.size:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.size} and channel "
                f"size = {channels}."
            )
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    if x.ndim > 1 and w.ndim:
        weight = reshape(weight, (1, w.size, *(1,) * (x.ndim - 2)))
    elif w.ndim and not x.ndim:
        weight = reshape(weight, ())
    return prelu_kernel(input, weight)


def rrelu(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """input where it is positive, else a * input: with `training` a is drawn for each such element, uniform on
    [lower, upper), otherwise it is their mean. (Xu et al. 2015)"""
    for which, bound in (("lower", lower), ("upper", upper)):
        if not math.isfinite(bound):
            raise RuntimeError(f"rrelu: {which} bound must be finite, got {bound}")
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound: got {lower} and {upper}")
    if not training:
        return (leaky_relu_ if inplace else leaky_relu)(input, (lower + upper) / 2)
    array = input.array
    need_float(array, "rrelu_with_noise_out_cpu")
    engine, negative = generator_for(array), array <= 0
    if isinstance(engine, CpuGenerator):
        slopes = backend.np.ones_like(array)
        slopes[negative] = engine.uniform64(int(negative.sum())) * (upper - lower) + lower
    else:  # for all elements, of which the host need not know how many are negative
        slopes = draws.uniform_(engine, backend.module_of(array).empty_like(array), lower, upper)
        slopes[...] = backend.module_of(array).where(negative, slopes, 1)
    return (mul_ if inplace else mul)(input, wrap(slopes))


def glu(input: Any, dim: int = -1) -> Any:
    """a * sigmoid(b), a and b the halves of `input` along `dim` (Dauphin et al. 2016). RuntimeError for an odd size."""
    if not input.array.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    dim = normalize_dim(dim, input.array.ndim)
    size = input.array.shape[dim]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    need_float(input.array, "glu_cpu")
    a, b = chunk(input, 2, dim)
    return a * sigmoid(b)
