"""Normalization on the GPU: layer and rms norm over rows; batch, instance and group norm over channels.

A row is read by a warp or a block. A channel may be all there is, and huge: several blocks share it, each sums over its
part, and the kernel that normalizes adds up the parts. So that is two launches each way, however many channels there
are, and sums in a fixed order. Kept for the backward are means and 1 / sqrt(variance + eps), as one array (2, ...).
"""

from __future__ import annotations

import functools
import math
from typing import Any

from minigrad.backend import Array, module_of, np
from minigrad.kernels.gpu.launch import THREADS, WARP, flat, launch, over_elements, takes, team_for

BLOCKS = 1024  # as many as a GPU runs at once
LEAST = 16 * THREADS  # numbers of a channel that are worth a block

Gradients = tuple[Array | None, Array | None, Array | None]


def fits(x: Array, *parameters: Array | None) -> bool:
    """Whether these kernels may take input and parameters, these without gaps in memory."""
    return takes(x, *parameters) and all(p is None or p.flags.c_contiguous for p in parameters)


# -- rows --------------------------------------------------------------------------------------------------------------


def normalize_rows(
    x: Array, weight: Array | None, bias: Array | None, n: int, eps: float, centres: bool = True
) -> tuple[Array, Array]:
    """(x - mean) * rstd * weight + bias over rows of n numbers, and the moments; the mean is 0 unless `centres`."""
    x, xp, rows = flat(x), module_of(x), x.size // n
    out, moments = xp.empty_like(x), xp.empty((2, rows), x.dtype)
    _over_rows("rows", rows, n, x, weight, bias, out, moments, rows, n, centres, float(eps))
    return out, moments


def _over_rows(name: str, rows: int, n: int, *args: Any) -> None:
    """Start the kernel of that name for the warps or the blocks that rows of n numbers need."""
    team = team_for(n)
    launch("norms", f"{name}_by_{'warps' if team == WARP else 'blocks'}", args[0], -(-rows * team // THREADS), *args)


def normalize_rows_back(
    g: Array,
    x: Array,
    weight: Array | None,
    moments: Array,
    shape: tuple[int, ...],
    needs: tuple[bool, ...],
    centres: bool = True,
) -> Gradients:
    """The gradients of input, weight and bias, these of `shape`, as far as they are needed."""
    g, x, xp, rows = flat(g), flat(x), module_of(x), moments.shape[1]
    n, out = x.size // rows, None
    if needs[0]:
        out = xp.empty_like(x)
        _over_rows("rows_back", rows, n, g, x, weight, moments, out, rows, n, centres)
    if not any(needs[1:]):
        return out, None, None
    tiles, warps = -(-n // WARP), THREADS // WARP
    parts = max(1, min(BLOCKS // tiles, -(-rows // (4 * warps))))
    sums = xp.empty((2, parts, n), x.dtype)
    launch("norms", "column_sums", x, tiles * parts, g, x, moments, sums, rows, n, parts)
    g_weight, g_bias = _added(sums, xp)
    return out, g_weight.reshape(shape) if needs[1] else None, g_bias.reshape(shape) if needs[2] else None


def _added(sums: Array, xp: Any) -> Array:
    """(2, parts, n) summed to (2, n)."""
    _, parts, n = sums.shape
    if parts == 1:
        return sums.reshape(2, n)
    out = xp.empty((2, n), sums.dtype)
    over_elements("norms", "sum_of_parts", sums, 2 * n, sums, out, parts, n)
    return out


# -- channels ----------------------------------------------------------------------------------------------------------

_FIELDS = ("units", "planes", "size", "apart", "parts", "length", "whole", "rest", "per", "span", "weights")
_LAYOUT = np.dtype([(name, np.int64) for name in _FIELDS])


@functools.lru_cache(maxsize=1024)
def _layout(units: int, planes: int, size: int, apart: int, per: int, weights: int) -> Any:
    """The struct of that name: how each unit's numbers lie, and how blocks share them."""
    n = planes * size
    parts = max(1, min(BLOCKS // units, -(-n // LEAST)))
    length = -(-n // parts // THREADS) * THREADS
    values = (units, planes, size, apart, -(-n // length), length, *divmod(THREADS, size), per, size // per, weights)
    return np.array([values], _LAYOUT)


def _of_channels(shape: tuple[int, ...]) -> Any:
    """The channels of a batch of `shape` (N, C, ...)."""
    n, channels = shape[:2]
    size = math.prod(shape[2:])
    return _layout(channels, n, size, channels * size, 1, channels)


def _of_groups(shape: tuple[int, ...], groups: int) -> Any:
    """`groups` groups of channels of each sample."""
    n, channels = shape[:2]
    return _layout(n * groups, 1, channels // groups * math.prod(shape[2:]), 0, channels // groups, channels)


def _blocks(layout: Any) -> int:
    return int(layout["units"][0] * layout["parts"][0])


def _sums(layout: Any, x: Array, xp: Any) -> Array:
    return xp.empty((2, int(layout["parts"][0]), int(layout["units"][0])), x.dtype)


def _flat(parameter: Array | None) -> Array | None:
    """A weight or bias without gaps: one that instance norm repeats for every sample may be a view with stride 0."""
    return None if parameter is None else flat(parameter)


def batch_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    momentum: float,
    eps: float,
) -> tuple[Array, Array]:
    """Each channel of (N, C, ...) normalized by its own moments, and these; the running ones are moved in place."""
    return _normalized(x, weight, bias, running_mean, running_var, momentum, eps, _of_channels(x.shape))


def group_norm(x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float) -> tuple[Array, Array]:
    """Each group of channels of each sample normalized by its own moments, and these."""
    return _normalized(x, weight, bias, None, None, 0.0, eps, _of_groups(x.shape, groups))


def batch_norm_as_learnt(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float
) -> Array:
    """Each channel normalized by the moments given."""
    x, layout = flat(x), _of_channels(x.shape)
    out = module_of(x).empty_like(x)
    args = (x, weight, bias, None, None, mean, var, out, layout, 0.0, float(eps))
    launch("norms", "normalize_channels", x, _blocks(layout), *args)
    return out


def _normalized(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    momentum: float,
    eps: float,
    layout: Any,
) -> tuple[Array, Array]:
    x, xp, blocks = flat(x), module_of(x), _blocks(layout)
    weight, bias = _flat(weight), _flat(bias)
    sums = _sums(layout, x, xp)
    launch("norms", "channel_moments", x, blocks, x, sums, layout)
    out, moments = xp.empty_like(x), xp.empty((2, sums.shape[2]), x.dtype)
    args = (x, weight, bias, sums, moments, running_mean, running_var, out, layout, float(momentum), float(eps))
    launch("norms", "normalize_channels", x, blocks, *args)
    return out, moments


def batch_norm_back(
    g: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    needs: tuple[bool, ...],
    learnt: bool = False,
    eps: float = 0.0,
) -> Gradients:
    """The gradients of input, weight and bias, as far as needed; for `learnt` moments `rstd` is the variance."""
    g, x, weight, xp, layout = flat(g), flat(x), _flat(weight), module_of(x), _of_channels(x.shape)
    blocks, sums = _blocks(layout), None
    if not learnt or any(needs[1:]):
        sums = _sums(layout, x, xp)
        launch("norms", "channel_sums", x, blocks, g, x, None, mean, rstd, sums, layout, 0, learnt, float(eps))
    shapes = (x.shape, mean.shape, mean.shape)
    found: Any = tuple(xp.empty(shape, x.dtype) if needed else None for shape, needed in zip(shapes, needs))
    args = (g, x, weight, mean, rstd, sums, *found, layout, False, learnt, float(eps))
    launch("norms", "normalize_channels_back", x, blocks, *args)
    return found


def group_norm_back(
    g: Array, x: Array, weight: Array | None, moments: Array, groups: int, needs: tuple[bool, ...]
) -> Gradients:
    """The gradients of input, weight and bias, as far as they are needed."""
    g, x, xp, (mean, rstd) = flat(g), flat(x), module_of(x), moments
    out = None
    if needs[0]:
        layout = _of_groups(x.shape, groups)
        sums, out, blocks = _sums(layout, x, xp), xp.empty_like(x), _blocks(layout)
        launch("norms", "channel_sums", x, blocks, g, x, weight, mean, rstd, sums, layout, 0, False, 0.0)
        args = (g, x, weight, mean, rstd, sums, out, None, None, layout, True, False, 0.0)
        launch("norms", "normalize_channels_back", x, blocks, *args)
    if not any(needs[1:]):
        return out, None, None
    layout = _of_channels(x.shape)
    sums = _sums(layout, x, xp)
    launch("norms", "channel_sums", x, _blocks(layout), g, x, None, mean, rstd, sums, layout, groups, False, 0.0)
    g_weight, g_bias = _added(sums, xp)
    return out, g_weight if needs[1] else None, g_bias if needs[2] else None
