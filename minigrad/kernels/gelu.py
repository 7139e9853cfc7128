"""gelu and its slope for large float32 arrays: compiled loops around NumPy's tanh and exp, which loops cannot match.

The formulas are `ops.layers.activation.gelu`'s, taken block by block through the cache; blocks are split over threads.
"""

from __future__ import annotations

import math

from minigrad.backend import Array, np
from minigrad.kernels.loops import compiled, takes
from minigrad.kernels.special import SINGLE_ARRAY, single_argument
from minigrad.kernels.threads import over_blocks

COMPILED = 1 << 12  # numbers from which compiled loops pay
BLOCK = 1 << 16  # numbers at a time
COST = 64  # a number's part in the work, in multiplications


def fits(first: Array, *more: Array) -> bool:
    """Whether these loops may take the arrays, which must be of float32."""
    return takes(COMPILED, first, *more, dtypes="f")


def gelu(x: Array) -> tuple[Array, Array]:
    """(x * p, p), p the probability that a standard normal variable falls below x: (1 + erf(x / sqrt(2))) / 2."""
    flat = np.ascontiguousarray(x).reshape(-1)
    out, p = np.empty_like(flat), np.empty_like(flat)
    argument, finish = compiled(single_argument, fast=True), compiled(gated, fast=True)

    def work(part: slice) -> None:
        argument(flat[part], SINGLE_ARRAY, np.float32(math.sqrt(0.5)), p[part])
        np.tanh(p[part], out=p[part])
        finish(flat[part], p[part], out[part])

    over_blocks(flat.size, BLOCK, work, COST * flat.size)
    return out.reshape(x.shape), p.reshape(x.shape)


def gelu_slope(g: Array, x: Array, p: Array) -> Array:
    """g * (p + x * exp(-x^2 / 2) / sqrt(2 pi))."""
    flat_g, flat, probability = (np.ascontiguousarray(a).reshape(-1) for a in (g, x, p))
    out = np.empty_like(flat)
    argument, finish = compiled(exponent, fast=True), compiled(slope, fast=True)

    def work(part: slice) -> None:
        argument(flat[part], out[part])
        np.exp(out[part], out=out[part])
        finish(flat_g[part], flat[part], probability[part], out[part])

    over_blocks(flat.size, BLOCK, work, COST * flat.size)
    return out.reshape(x.shape)


def gated(x, p, out):
    half = x.dtype.type(0.5)
    for i in range(len(x)):
        p[i] = half * p[i] + half
        out[i] = x[i] * p[i]


def exponent(x, out):
    half = x.dtype.type(-0.5)
    for i in range(len(x)):
        out[i] = half * x[i] * x[i]


def slope(g, x, p, out):
    factor = x.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(len(x)):
        out[i] = g[i] * (p[i] + x[i] * out[i] * factor)
