"""Layer and batch normalization as compiled loops: a row, or a channel's planes, stays in the cache for all passes.

The formulas are those of `ops.layers.normalization`, and tests hold them equal. Sums over many rows are taken in
float64.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import Array, np
from minigrad.kernels.loops import compiled, takes
from minigrad.kernels.threads import over

COMPILED = 1 << 13  # numbers from which a compiled loop pays
COST = 16  # a number's part in the work, in multiplications


def fits(first: Array, *more: Array | None) -> bool:
    """Whether these loops may take the arrays."""
    return takes(COMPILED, first, *more)


def fits_channels(first: Array, *more: Array | None) -> bool:
    """The same for channels, which must have planes: a loop over single numbers would be slow."""
    return first.ndim > 2 and fits(first, *more)


# -- layer norm --------------------------------------------------------------------------------------------------------


def layer_norm(x: Array, weight: Array | None, bias: Array | None, n: int, eps: float) -> tuple[Array, Any]:
    """(x - mean) * rstd * weight + bias over rows of n numbers; and (x - mean, rstd)."""
    rows = np.ascontiguousarray(x).reshape(-1, n)
    out, centred, rstd = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), x.dtype)
    parameters = _flat(weight, n, 1, x), _flat(bias, n, 0, x), x.dtype.type(eps)
    loop = compiled(normalize_rows, fast=True)

    def work(a: int, b: int) -> None:
        loop(rows[a:b], *parameters, out[a:b], centred[a:b], rstd[a:b])

    over(len(rows), work, COST * x.size)
    dims = x.ndim - 1
    while math.prod(x.shape[dims:]) < n:
        dims -= 1
    return out.reshape(x.shape), (centred.reshape(x.shape), rstd.reshape(*x.shape[:dims], *(1,) * (x.ndim - dims)))


def layer_norm_back(
    g: Array, weight: Array | None, centred: Array, rstd: Array, shape: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """The gradients of input, weight and bias, these of `shape`, from the gradient `g` of `layer_norm`."""
    n = math.prod(shape)
    g_rows, rows, scale = np.ascontiguousarray(g).reshape(-1, n), centred.reshape(-1, n), rstd.reshape(-1)
    out, factor = np.empty_like(g_rows), _flat(weight, n, 1, g)
    loop = compiled(normalize_rows_back, fast=True)

    def work(a: int, b: int) -> Array:
        sums = np.zeros((2, n))
        loop(g_rows[a:b], factor, rows[a:b], scale[a:b], out[a:b], sums)
        return sums

    sums = sum(over(len(rows), work, COST * g.size)).astype(g.dtype)
    return out.reshape(g.shape), sums[0].reshape(shape), sums[1].reshape(shape)


def normalize_rows(x, weight, bias, eps, out, centred, rstd):
    zero = eps * 0
    for i in range(len(x)):
        row, difference, result = x[i], centred[i], out[i]
        total = square = zero
        for j in range(len(row)):
            total += row[j]
        mean = total / x.dtype.type(len(row))
        for j in range(len(row)):
            d = row[j] - mean
            difference[j] = d
            square += d * d
        scale = 1 / np.sqrt(square / x.dtype.type(len(row)) + eps)
        rstd[i] = scale
        for j in range(len(row)):
            result[j] = difference[j] * x.dtype.type(scale) * weight[j] + bias[j]


def normalize_rows_back(g, weight, centred, rstd, out, sums):
    for i in range(len(g)):
        row, difference, result, scale = g[i], centred[i], out[i], rstd[i]
        total = along = scale * 0
        for j in range(len(row)):
            scaled = row[j] * weight[j]
            total += scaled
            along += scaled * difference[j]
            sums[0, j] += row[j] * (difference[j] * scale)
            sums[1, j] += row[j]
        mean = total / g.dtype.type(len(row))
        slope = along / g.dtype.type(len(row)) * scale * scale
        for j in range(len(row)):
            result[j] = (row[j] * weight[j] - mean - difference[j] * slope) * scale


# -- batch norm --------------------------------------------------------------------------------------------------------


def channel_moments(x: Array) -> tuple[Array, Array, Array]:
    """(x - mean, mean, variance) of the channels of x (N, C, ...), the last two (C,)."""
    planes = _planes(x)
    centred, mean, var = np.empty_like(planes), *np.empty((2, x.shape[1]), x.dtype)
    loop = compiled(channels_centred, fast=True)
    over(x.shape[1], lambda a, b: loop(planes, centred, mean, var, a, b), COST * x.size)
    return centred.reshape(x.shape), mean, var


def scaled_channels(x: Array, scale: Array, bias: Array | None) -> Array:
    """x * scale + bias, these (C,), of x (N, C, ...)."""
    planes, channels = _planes(x), x.shape[1]
    out, scale, bias = np.empty_like(planes), _flat(scale, channels, 1, x), _flat(bias, channels, 0, x)
    loop = compiled(channels_scaled, fast=True)
    over(channels, lambda a, b: loop(planes, scale, bias, out, a, b), COST * x.size)
    return out.reshape(x.shape)


def batch_norm_back(g: Array, weight: Array | None, centred: Array, rstd: Array) -> tuple[Array, Array, Array]:
    """The gradients of input, weight and bias."""
    planes, channels = _planes(g), g.shape[1]
    out, sums = np.empty_like(planes), np.empty((2, channels), g.dtype)
    factor, scale, rows = _flat(weight, channels, 1, g), rstd.reshape(-1), _planes(centred)
    loop = compiled(channels_back, fast=True)
    over(channels, lambda a, b: loop(planes, factor, rows, scale, out, sums, a, b), COST * g.size)
    return out.reshape(g.shape), sums[0], sums[1]


def channels_centred(x, centred, mean, var, start, stop):
    n = x.shape[0] * x.shape[2]
    for c in range(start, stop):
        total = square = 0.0
        for i in range(len(x)):
            plane, part = x[i, c], x.dtype.type(0)
            for j in range(len(plane)):
                part += plane[j]
            total += part
        middle = x.dtype.type(total / n)
        for i in range(len(x)):
            plane, difference, part = x[i, c], centred[i, c], x.dtype.type(0)
            for j in range(len(plane)):
                d = plane[j] - middle
                difference[j] = d
                part += d * d
            square += part
        mean[c] = middle
        var[c] = square / n


def channels_scaled(x, scale, bias, out, start, stop):
    for i in range(len(x)):
        for c in range(start, stop):
            plane, result, a, b = x[i, c], out[i, c], scale[c], bias[c]
            for j in range(len(plane)):
                result[j] = plane[j] * a + b


def channels_back(g, weight, centred, rstd, out, sums, start, stop):
    n = g.shape[0] * g.shape[2]
    for c in range(start, stop):
        total = along = 0.0
        for i in range(len(g)):
            plane, difference = g[i, c], centred[i, c]
            a = b = g.dtype.type(0)
            for j in range(len(plane)):
                a += plane[j]
                b += plane[j] * difference[j]
            total += a
            along += b
        scale = rstd[c] * weight[c]
        mean, slope = g.dtype.type(total / n), g.dtype.type(along / n * rstd[c] * rstd[c])
        for i in range(len(g)):
            plane, difference, result = g[i, c], centred[i, c], out[i, c]
            for j in range(len(plane)):
                result[j] = (plane[j] - mean - difference[j] * slope) * scale
        sums[0, c] = along * rstd[c]
        sums[1, c] = total


def _planes(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(*x.shape[:2], -1)


def _flat(parameter: Array | None, n: int, default: int, like: Array) -> Array:
    """A weight or bias as n numbers; where there is none, as many of the default."""
    return np.full(n, default, like.dtype) if parameter is None else np.ascontiguousarray(parameter).reshape(n)
