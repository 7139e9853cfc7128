"""Dropout: elements, or whole channels, are zeroed with probability p and the rest scaled up to keep the mean.

The mask is drawn from the default generator, on the CPU as torch draws it, so a seed gives torch's masks. On the GPU it
is never stored: the backward pass draws it again.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.trace import warn
from minigrad.autograd.variable import wrap
from minigrad.kernels import choices
from minigrad.kernels.gpu import random as gpu
from minigrad.kernels.gpu.launch import takes
from minigrad.kernels.gpu.random import Noise
from minigrad.ops.arithmetic import add, mul
from minigrad.ops.inplace import in_place
from minigrad.ops.shape import squeeze, unsqueeze
from minigrad.random import generator_for

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]


@Op(node="NativeDropoutBackward0")
def native_dropout(input, noise: Noise):
    """input * noise in one kernel, for a GPU; linear in `input`, and its own adjoint."""
    return gpu.dropout(input, noise)


native_dropout.derivative(input=lambda g, noise: native_dropout(g, noise))

mul_, add_, native_dropout_ = (in_place(op, f"{op.__name__}_") for op in (mul, add, native_dropout))

SELU_FLOOR = 1.7580993408473766  # selu(-inf) is minus this: scale * alpha of Klambauer et al. 2017


def _check(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if p != p:  # torch says so elsewhere, and of another type
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")


def _noise_like(input: Any, p: float, channels: bool) -> Any:
    """0 with probability p, else 1 / (1 - p): one number an element, or one a channel."""
    array = input.array
    if channels:
        if array.ndim < 2:
            raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
        array = array[(slice(None), slice(None), *(slice(0, 1),) * (array.ndim - 2))]
    return wrap(choices.dropout_noise(generator_for(array), array, p))


def _dropped(input: Any, p: float, training: bool, inplace: bool, channels: bool) -> Any:
    if not training or p == 0 or input.array.size == 0:
        return input
    if not channels and p < 1 and takes(input.array):
        noise = gpu.noise_for(generator_for(input.array), input.array, p, choices.dropout_scale(input.array, p))
        return (native_dropout_ if inplace else native_dropout)(input, noise)
    return (mul_ if inplace else mul)(input, _noise_like(input, p, channels))


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`input` with each element zeroed with probability `p` and the rest times 1 / (1 - p); unchanged without
    `training`.

    ValueError unless 0 <= p <= 1. (Srivastava et al. 2014)
    """
    _check(p)
    return _dropped(input, p, training, inplace, channels=False)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout of whole channels of (N, C, L) or (C, L)."""
    return _channel_dropout(1, input, p, training, inplace)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout of whole channels of (N, C, H, W). Of (N, C, L) too, with a warning, since torch means to change that."""
    return _channel_dropout(2, input, p, training, inplace)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _channel_dropout(3, input, p, training, inplace)


def _channel_dropout(n: int, input: Any, p: float, training: bool, inplace: bool) -> Any:
    _check(p)
    name, ndim = f"dropout{n}d", input.array.ndim
    advice = (
        f"Note that {name} exists to provide channel-wise dropout on inputs with {n} spatial dimension"
        f"{'s' if n > 1 else ''}, a channel dimension, and an optional batch dimension (i.e. {n + 1}D or {n + 2}D "
        f"inputs)."
    )
    if ndim not in (n + 1, n + 2):
        if n == 1:
            raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input. {advice}")
        warn(
            f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an error in a future "
            f"release. To retain the behavior and silence this warning, please use dropout instead. {advice}"
        )
    if n == 2 and ndim == 3:
        warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain "
            "the 1D channel-wise dropout behavior, please switch to using dropout1d instead."
        )
    if n != 2 and ndim == n + 1:
        return squeeze(_dropped(unsqueeze(input, 0), p, training, inplace, channels=True), 0)
    return _dropped(input, p, training, inplace, channels=True)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Dropout to selu's lowest value instead of to 0, then an affine map that keeps mean and variance."""
    _check(p)
    return _alpha_dropped(input, p, training, inplace, channels=False)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    _check(p)
    return _alpha_dropped(input, p, training, inplace, channels=True)


def _alpha_dropped(input: Any, p: float, training: bool, inplace: bool, channels: bool) -> Any:
    """a (x m - SELU_FLOOR (1 - m)) + b with the mask m; a and b are those for which mean 0 and variance 1 stay so."""
    if not training or p == 0 or input.array.size == 0:
        return input
    if p == 1:
        return (mul_ if inplace else mul)(input, wrap(backend.module_of(input.array).zeros((), input.array.dtype)))
    kept = backend.as_array((_noise_like(input, p, channels).array != 0).astype(input.array.dtype))
    a = 1.0 / math.sqrt((SELU_FLOOR**2 * p + 1) * (1 - p))
    floor = (kept - 1) * (SELU_FLOOR * a) + SELU_FLOOR * a * p
    scaled = (mul_ if inplace else mul)(input, wrap(backend.as_array(kept * a)))
    return (add_ if inplace else add)(scaled, wrap(backend.as_array(floor)))
