"""Reductions: sums, products, extrema, moments, norms, and running sums and products."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe, with_dim, with_dims

NO_GRADIENT = {"finite_difference": "has no derivative"}
AT_NAN = {"finite_difference": "is not a number there"}


def one_or_all(*, keepdim: bool = True, min_side: int = 0, **options: Any) -> Recipe:
    """f(x), or f(x, dim) with one dim."""
    along = with_dim(keepdim=keepdim, min_side=min_side, **options)

    def draw(d: Draw) -> Sample:
        sample = along(d)
        return Sample(sample.args[0]) if d.flag() else sample

    return draw


def with_zeros(d: Draw) -> Sample:
    """prod(x) or prod(x, dim) with zeros, at which a formula that divides by x fails."""
    shape = d.shape(max_dims=3, max_side=3)
    x = d.floats(shape, -2, 2, kinks=() if d.smooth else (0, 0, 1))
    return d.one_of(Sample(x), Sample(x, d.dim(len(shape)), keepdim=d.flag()))


def running_product(d: Draw) -> Sample:
    shape = d.shape(max_dims=3)
    return Sample(d.floats(shape, -2, 2, kinks=() if d.smooth else (0, 1)), d.dim(len(shape)))


def moments(d: Draw) -> Sample:
    """var(x), var(x, dim, correction=..., keepdim=...): always with a positive number of degrees of freedom."""
    shape = d.shape(min_dims=1, min_side=2)
    x = d.floats(shape, ties=not d.smooth)
    if d.flag():
        return Sample(x, **({"correction": d.one_of(0, 1, 1.5)} if d.flag() else {}))
    dims = d.one_of(d.dim(len(shape)), d.dims(len(shape)))
    return Sample(x, dims, correction=d.one_of(0, 1, 0.5), keepdim=d.flag())


def moments_of_old(d: Draw) -> Sample:
    """std(x, unbiased) and std(x, dim, unbiased, keepdim)."""
    shape = d.shape(min_dims=1, min_side=2)
    x = d.floats(shape)
    return Sample(x, d.flag()) if d.flag() else Sample(x, d.dims(len(shape)), d.flag(), d.flag())


def too_few(d: Draw) -> Sample:
    """The variance of as many elements as the correction, or of fewer."""
    n = d.size(0, 3)
    return Sample(d.floats((n, d.size(0, 2))), 0, correction=n + d.size(0, 1))


def normed(d: Draw) -> Sample:
    shape = d.shape(min_side=1)
    p = d.one_of(2, "fro", None, 1, 3, inf, -inf, 0.5, 1.5, 4.0, -1)
    x = d.floats(shape, -3, 3, kinks=() if p in (0.5, -1, 1.5) and not d.smooth else (0,))
    how = d.one_of("all", "one", *(["several"] if p != "fro" else []))
    if how == "all":
        return Sample(x, p)
    return Sample(x, p, d.dim(len(shape)) if how == "one" else d.dims(len(shape)), d.flag())


def tied_norm(d: Draw) -> Sample:
    """The largest of absolute values that tie, and the norm of zeros."""
    x = d.floats(d.shape(min_dims=1, max_dims=2, min_side=1), -1, 1, kinks=() if d.smooth else (0, 1, -1))
    return Sample(x, d.one_of(inf, 1), d.dim(x.ndim))


def nuclear(d: Draw) -> Sample:
    """norm(x, "nuc") of matrices well apart from singular ones, at which torch's derivative is large."""
    shape = d.shape(min_dims=2, max_dims=3, min_side=1, max_side=3)
    x = d.floats(shape, -1, 1) + 4 * np.eye(*shape[-2:])
    return Sample(x, "nuc", d.one_of((-2, -1), (len(shape) - 1, len(shape) - 2)), d.flag())


def renormalized(d: Draw) -> Sample:
    x = d.floats(d.shape(min_dims=2, max_dims=3, min_side=1), 0.2, 2)
    return Sample(x, d.one_of(2, 1, 3.5, inf), d.dim(x.ndim), d.one_of(0.25, 100))


def two_tensors(d: Draw) -> Sample:
    return Sample(*d.float_arrays(d.broadcastable(2), ties=True))


def summed_exponentials(d: Draw) -> Sample:
    shape = d.shape(min_side=1)
    x = d.floats(shape, -9, 9, kinks=() if d.smooth else (-inf, 1000))
    return Sample(x, d.one_of(d.dim(len(shape)), d.dims(len(shape))), keepdim=d.flag())


def without_nan(d: Draw) -> Sample:
    sample = with_dims(kinks=() if d.smooth else (nan,))(d)
    return Sample(*sample.args, **sample.kwargs)


def counted(d: Draw) -> Sample:
    shape = d.shape()
    x = d.floats(shape, kinks=(0, nan))
    return d.one_of(Sample(x), Sample(x, d.dim(len(shape))), Sample(x, d.dims(len(shape))))


MANY = with_dims(ties=True, min_side=1)
ONE = with_dim(ties=True, min_side=1, keepdim=True)
NO_TIES = with_dim(-9, 9, min_side=1, keepdim=True)

CASES = [
    Case("sum", with_dims(), tolerance=SUMS),
    Case("mean", with_dims(), tolerance=SUMS),
    Case("prod", with_zeros, tolerance=SUMS),
    Case("nansum", without_nan, tolerance=SUMS, skip=AT_NAN),
    Case("nanmean", without_nan, tolerance=SUMS, skip=AT_NAN),
    Case("logsumexp", summed_exponentials, tolerance=SUMS),
    Case("all", one_or_all(kinks=(0,)), skip=NO_GRADIENT),
    Case("any", one_or_all(kinks=(0,)), skip=NO_GRADIENT),
    Case("count_nonzero", counted, skip=NO_GRADIENT),
    Case("cumsum", with_dim(), tolerance=SUMS),
    Case("cumprod", running_product, tolerance=SUMS),
    Case("amax", MANY),
    Case("amin", MANY),
    Case("max", lambda d: Sample(d.floats(d.shape(min_side=1), ties=True)), "all"),
    Case("min", lambda d: Sample(d.floats(d.shape(min_side=1), ties=True)), "all"),
    Case("max", ONE, "dim"),
    Case("min", ONE, "dim"),
    Case("max", two_tensors, "two"),
    Case("min", two_tensors, "two"),
    Case("argmax", one_or_all(ties=True, min_side=1), skip=NO_GRADIENT),
    Case("argmin", one_or_all(ties=True, min_side=1), skip=NO_GRADIENT),
    Case("median", lambda d: Sample(d.floats(d.shape(min_side=1), ties=True)), "all"),
    Case("median", NO_TIES, "dim"),  # which of several equal elements torch finds depends on its algorithm
    Case("var", moments, tolerance=SUMS),
    Case("std", moments, tolerance=SUMS),
    Case("var_mean", moments, tolerance=SUMS),
    Case("std_mean", moments, tolerance=SUMS),
    Case("std", moments_of_old, "unbiased", tolerance=SUMS),
    Case("var", moments_of_old, "unbiased", tolerance=SUMS),
    Case(
        "var",
        too_few,
        "too few",
        skip=dict.fromkeys(("finite_difference", "second_order", "paths"), "there is no derivative"),
    ),
    Case("norm", normed, tolerance=SUMS),
    Case("norm", tied_norm, "ties", tolerance=SUMS),
    Case("norm", nuclear, "nuclear", tolerance=SUMS, skip={"grad_fn": "composed of other operations here"}),
    Case("renorm", renormalized, tolerance=SUMS, skip={"grad_fn": "composed of other operations here"}),
]
