"""What runs along a dim (extrema, log-sums), quantiles and other middles, differences and integrals of samples."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample
from reference.strategies import Draw, Recipe, with_dim

COMPOSED = {"grad_fn": "composed of other operations here"}
TIED = "rounding makes elements equal, and which of them torch finds depends on its algorithm"


def log_summed(d: Draw) -> Sample:
    shape = d.shape()
    x = d.floats(shape, -9, 9, kinks=() if d.smooth else (-30, 30))
    return Sample(x, d.dim(len(shape)))


def infinite(d: Draw) -> Sample:
    """Constants with infinities and nan: torch's derivatives there are accidents."""
    shape = d.shape()
    return Sample(Fixed(d.floats(shape, kinks=(inf, -inf, nan))), d.dim(len(shape)))


def extremes(d: Draw) -> Sample:
    shape = d.shape(min_side=1)
    x = d.floats(shape, ties=True)
    return d.one_of(Sample(x), Sample(x, dim=d.dim(len(shape)), keepdim=d.flag()))


def quantiles(*kinks: float) -> Recipe:
    """quantile(x, q, dim), q a number or a tensor that wants a gradient or not."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(max_dims=3, min_side=1)
        x = d.floats(shape, ties=not kinks, kinks=() if d.smooth else kinks)
        how = d.one_of("linear", "midpoint", "lower", "higher", "nearest")
        # No rank is near a whole one when smooth: there are at most 64 elements.
        q = np.asarray(
            d.floats((d.size(1, 3),), 0.01, 0.011) if d.smooth else d.floats((d.size(0, 3),), 0, 1, kinks=(0, 0.5, 1))
        )
        q = d.one_of(0.3, 0.0, 1.0, q, Fixed(q), Fixed(np.float64(0.375)))
        return Sample(x, q, d.one_of(None, d.dim(len(shape))), d.flag(), interpolation=how)

    return draw


def middle(d: Draw) -> Sample:
    shape = d.shape(min_side=1)
    x = d.floats(shape, -9, 9, kinks=() if d.smooth else (nan,))
    return d.one_of(Sample(x), Sample(x, d.dim(len(shape)), d.flag()))


def commonest(d: Draw) -> Sample:
    """Elements all different, so that the places are told by torch too."""
    shape = d.shape(min_side=1)
    return Sample(d.floats(shape, -9, 9), d.dim(len(shape)), d.flag())


def repeated(d: Draw) -> Sample:
    return Sample(Fixed(d.floats(d.shape(min_dims=1, min_side=1), ties=True)))


def differences(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, max_dims=3)
    dim = d.dim(len(shape))
    ends = {}
    for name in ("prepend", "append"):
        if d.flag():
            ends[name] = d.floats(tuple(d.size(0, 2) if i == dim % len(shape) else n for i, n in enumerate(shape)))
    return Sample(d.floats(shape), d.size(0, 3), dim, **ends)


def integral(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, max_dims=3)
    dim = d.dim(len(shape))
    y = d.floats(shape)
    at = d.one_of({}, {"dx": d.number(-2, 2)}, {"x": d.floats(shape)}, {"x": d.floats((shape[dim],))})
    return Sample(y, **at, dim=dim)


def slopes(d: Draw) -> Sample:
    order = d.one_of(1, 2)
    shape = d.shape(min_dims=1, max_dims=3, min_side=order + 1)
    dims = d.one_of(None, d.dims(len(shape)))
    axes = range(len(shape)) if dims is None else dims
    positions = [np.cumsum(d.floats((shape[a],), 0.5, 2)) for a in axes]
    how: dict[str, Any] = d.one_of({}, {"spacing": 0.5}, {"spacing": [1.5] * len(positions)}, {"spacing": positions})
    return Sample(d.floats(shape), **how, dim=dims, edge_order=order)


CASES = [
    Case("cummax", with_dim(ties=True)),
    Case("cummin", with_dim(ties=True)),
    Case("cummax", infinite, "infinite"),
    Case("cummin", infinite, "infinite"),
    Case("logcumsumexp", log_summed, tolerance=SUMS),
    Case("logcumsumexp", infinite, "infinite"),
    Case("aminmax", extremes, skip=COMPOSED),
    Case("quantile", quantiles(), skip=COMPOSED),
    Case("nanquantile", quantiles(nan), skip=COMPOSED),
    Case("nanmedian", middle, skip={"dtypes": TIED}),
    Case("mode", commonest, skip={"dtypes": TIED}),
    Case("mode", repeated, "ties", call=lambda T, x: T.mode(x)[0]),
    Case("diff", differences, skip=COMPOSED),
    Case("trapezoid", integral, skip=COMPOSED, covers=("trapz",)),
    Case("cumulative_trapezoid", integral, tolerance=SUMS, skip=COMPOSED),
    Case("gradient", slopes),
]  # fmt: skip
