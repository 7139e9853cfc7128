"""Initial values of parameters. Each function fills a tensor in place, without recording, and returns it.

The numbers are drawn from the default generator of the tensor's device (or the given one), on the CPU in torch's order,
so that a seed gives torch's values.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import no_grad
from minigrad.autograd.variable import wrap
from minigrad.ops import random
from minigrad.ops.inplace import bump

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
    "constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal", "sparse", "uniform",
    "xavier_normal", "xavier_uniform",
]  # fmt: skip

LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid")


def _unrecorded(fill: Callable[..., Any]) -> Callable[..., Any]:
    """Let `fill(tensor, ...)` write into leaves that want a gradient, and return the tensor."""

    @functools.wraps(fill)
    def filled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        with no_grad():
            fill(tensor, *args, **kwargs)
        return tensor

    return filled


def _set(tensor: Any, values: Any) -> None:
    """Write an array or a number into a tensor."""
    tensor.array[...] = values
    bump(tensor)


# -- given values -----------------------------------------------------------------------------------------------------


@_unrecorded
def constant_(tensor: Any, val: float) -> None:
    """`val` everywhere."""
    _set(tensor, val)


@_unrecorded
def zeros_(tensor: Any) -> None:
    """Zeros."""
    _set(tensor, 0)


@_unrecorded
def ones_(tensor: Any) -> None:
    """Ones."""
    _set(tensor, 1)


@_unrecorded
def eye_(tensor: Any) -> None:
    """The identity matrix. ValueError unless the tensor has 2 dimensions."""
    if tensor.array.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got the shape {list(tensor.array.shape)}")
    _set(tensor, backend.module_of(tensor.array).eye(*tensor.array.shape))


@_unrecorded
def dirac_(tensor: Any, groups: int = 1) -> None:
    """A convolution's weight that passes as many channels of each group as there are through unchanged."""
    shape = tensor.array.shape
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got the shape {list(shape)}")
    if shape[0] % groups:
        raise ValueError(f"dim 0 must be divisible by groups: {shape[0]} is not a multiple of {groups}")
    per_group = shape[0] // groups
    _set(tensor, 0)
    centre = tuple(n // 2 for n in shape[2:])
    for i in range(min(per_group, shape[1])):
        tensor.array[(slice(i, None, per_group), i, *centre)] = 1


# -- random values ----------------------------------------------------------------------------------------------------


@_unrecorded
def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> None:
    """Uniform on [a, b)."""
    random.uniform_(tensor, a, b, generator=generator)


@_unrecorded
def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> None:
    """Normal with the given mean and standard deviation."""
    random.normal_(tensor, mean, std, generator=generator)


@_unrecorded
def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> None:
    """Normal, cut to [a, b], by drawing again what is refused: torch's way since 2.13, before, inversion.

    Where [a, b] holds more than 0.3 of the distribution, normal numbers are drawn and those outside refused; else
    uniform ones, each accepted with the probability of its density over the largest one in [a, b].
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            UserWarning,
            stacklevel=3,
        )
    array = tensor.array
    xp = backend.module_of(array)
    inside = (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2
    log_peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    drawn, chance = wrap(xp.empty_like(array)), wrap(xp.empty_like(array))
    refused = xp.ones(array.shape, bool)
    while refused.any():
        if inside > 0.3:
            x = random.normal_(drawn, mean, std, generator=generator).array
            outside = (x < a) | (x > b)
        else:
            x = random.uniform_(drawn, a, b, generator=generator).array
            z = (x - mean) / std
            outside = xp.log(random.uniform_(chance, generator=generator).array) > z * z * -0.5 - log_peak
        _set(tensor, xp.where(refused, x, array))
        refused &= outside


@_unrecorded
def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> None:
    """Uniform with standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))))
    random.uniform_(tensor, -bound, bound, generator=generator)


@_unrecorded
def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> None:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    random.normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator=generator)


@_unrecorded
def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> None:
    """Uniform with standard deviation gain / sqrt(fan) (He et al. 2015); `a` is the negative slope of a leaky ReLU."""
    if not _is_empty(tensor):
        fan = _calculate_correct_fan(tensor, mode)
        bound = math.sqrt(3.0) * (calculate_gain(nonlinearity, a) / math.sqrt(fan))
        random.uniform_(tensor, -bound, bound, generator=generator)


@_unrecorded
def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> None:
    """Normal with standard deviation gain / sqrt(fan) (He et al. 2015); `a` is the negative slope of a leaky ReLU."""
    if not _is_empty(tensor):
        fan = _calculate_correct_fan(tensor, mode)
        std = calculate_gain(nonlinearity, a) / math.sqrt(fan)
        random.normal_(tensor, 0.0, std, generator=generator)


@_unrecorded
def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> None:
    """An orthogonal matrix (of the tensor flattened to 2 dimensions), times `gain` (Saxe et al. 2013).

    It is Q of the QR decomposition of a normal matrix, each column with the sign that makes R's diagonal positive.
    """
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got the shape {list(shape)}")
    if tensor.array.size == 0:
        return
    xp = backend.module_of(tensor.array)
    rows, columns = shape[0], tensor.array.size // shape[0]
    matrix = wrap(xp.empty((rows, columns), tensor.array.dtype))
    random.normal_(matrix, 0.0, 1.0, generator=generator)
    if tensor.array.dtype.char not in "fd":
        raise NotImplementedError(f"\"geqrf_cpu\" not implemented for '{backend.dtype_of(tensor.array).type_name}'")
    q, r = xp.linalg.qr(matrix.array if rows >= columns else matrix.array.T)
    q *= xp.sign(xp.diagonal(r))
    _set(tensor, (q if rows >= columns else q.T).reshape(shape) * gain)


@_unrecorded
def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> None:
    """Normal, with the fraction `sparsity` of each column set to zero (Martens 2010)."""
    if tensor.array.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got the shape {list(tensor.array.shape)}")
    rows, columns = tensor.array.shape
    zeros = math.ceil(sparsity * rows)
    random.normal_(tensor, 0.0, std, generator=generator)
    for column in range(columns):
        order = random.randperm(rows)
        tensor.array[order.array[:zeros], column] = 0


# -- how far to spread them -------------------------------------------------------------------------------------------


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which initial values must be larger when `nonlinearity` follows; `param` is leaky_relu's slope.

    ValueError for one that is not known.
    """
    if nonlinearity in LINEAR:
        return 1
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Any) -> tuple[int, int]:
    """(fan_in, fan_out): how many numbers each output depends on, and each input goes into. Own layers use it too."""
    shape = tensor.array.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _calculate_correct_fan(tensor: Any, mode: str) -> int:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode.lower()} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def _is_empty(tensor: Any) -> bool:
    if 0 not in tensor.array.shape:
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", UserWarning, stacklevel=4)
    return True


# -- under their names of old ------------------------------------------------------------------------------------------


def _deprecated(fill: Callable[..., Any]) -> Callable[..., Any]:
    """`fill` under its name without the underscore, with a warning."""
    old = fill.__name__[:-1]

    def filled(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(
            f"`nn.init.{old}` is now deprecated in favor of `nn.init.{fill.__name__}`.", FutureWarning, stacklevel=2
        )
        return fill(*args, **kwargs)

    filled.__name__, filled.__doc__ = old, f"`{fill.__name__}`, which is the name to use."
    return filled


constant, dirac, eye, normal = (_deprecated(fill) for fill in (constant_, dirac_, eye_, normal_))
kaiming_normal, kaiming_uniform = _deprecated(kaiming_normal_), _deprecated(kaiming_uniform_)
orthogonal, sparse, uniform = _deprecated(orthogonal_), _deprecated(sparse_), _deprecated(uniform_)
xavier_normal, xavier_uniform = _deprecated(xavier_normal_), _deprecated(xavier_uniform_)
