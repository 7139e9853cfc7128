"""Order: sorting, the largest and the k-th, values without repeats, places in a sorted sequence; rows of tables."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample
from reference.strategies import Draw, Recipe, with_dim

ITS_OWN = {"dtypes": "rounding makes elements equal, and torch does not say which of them comes first"}


def stably(d: Draw) -> Sample:
    """sort(x, dim, descending, stable=True), with equal elements and nan among them."""
    shape = d.shape()
    x = d.floats(shape, ties=True) if d.flag() else d.floats(shape, kinks=(nan, 1))
    return Sample(x, dim=d.dim(len(shape)), descending=d.flag(), stable=True)


def first_k(d: Draw) -> Sample:
    shape = d.shape()
    dim = d.dim(len(shape))
    return Sample(d.floats(shape), d.size(0, shape[dim] if shape else 1), dim, d.flag())


def kth(d: Draw) -> Sample:
    shape = d.shape(min_side=1)
    dim = d.dim(len(shape))
    return Sample(d.floats(shape), d.size(1, shape[dim] if shape else 1), dim, d.flag())


def tied(draw: Any) -> Any:
    """The same of constants with ties, of which only the values are compared."""

    def drawn(d: Draw) -> Sample:
        x, *rest = draw(d).args
        return Sample(Fixed(d.floats(x.shape, ties=True)), *rest)

    return drawn


def repeating(d: Draw) -> Sample:
    shape = d.shape(max_dims=3)
    x = d.one_of(Fixed(d.floats(shape, ties=True)), d.ints(shape, -2, 2), d.bools(shape))
    options = {"return_inverse": d.flag(), "return_counts": d.flag()}
    if shape and x is not None and 0 not in shape and d.flag():
        options["dim"] = d.dim(len(shape))
    return Sample(x, **options)


def in_runs(d: Draw) -> Sample:
    x = d.ints(d.shape(max_dims=3), 0, 1) * d.one_of(1, 0.5)
    options = {"return_inverse": d.flag(), "return_counts": d.flag()}
    return Sample(
        Fixed(x) if x.dtype.kind == "f" else x,
        **options,
        dim=d.one_of(None, d.dim(x.ndim)) if x.size and x.ndim else None,
    )


def among(d: Draw) -> Sample:
    a, b = d.ints(d.shape(), 0, 5), d.ints(d.shape(max_dims=2), 0, 5)
    return Sample(*d.one_of((a, b), (a, 3), (2, b)), invert=d.flag())


def numbered(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    return Sample(d.ints(d.shape(max_dims=2), 0, int(np.prod(shape)) - 1), shape)


def counted(d: Draw) -> Sample:
    n = d.size(0, 6)
    weights = d.one_of(None, Fixed(d.floats((n,))), d.ints((n,), -3, 3))
    return Sample(d.ints((n,), 0, 5), *(() if weights is None else (weights,)), minlength=d.one_of(0, 3, 9))


def placed(d: Draw) -> Sample:
    rows = d.shape(max_dims=2, min_side=1)
    sequence = np.sort(d.floats((*rows, d.size(1, 5)), ties=True), axis=-1)
    wanted = d.floats((*rows, d.size(0, 3)) if rows else d.shape(max_dims=3), ties=True)
    options: dict[str, Any] = d.one_of({}, {"right": True}, {"side": "right"}, {"side": "left"}, {"out_int32": True})
    if d.flag():  # given unsorted, with the indices that sort it
        sorter = np.argsort(d.rng().random(sequence.shape), axis=-1)
        options["sorter"], sequence = np.argsort(sorter, axis=-1), np.take_along_axis(sequence, sorter, -1)
    return Sample(Fixed(sequence), Fixed(wanted), **options)


def in_buckets(d: Draw) -> Sample:
    boundaries = np.sort(d.floats((d.size(0, 5),), ties=True))
    x = d.one_of(Fixed(d.floats(d.shape(), ties=True)), 1.0, 2)
    return Sample(x, Fixed(boundaries), right=d.flag(), out_int32=d.flag())


def looked_up(padded: bool, by_frequency: bool = False) -> Recipe:
    """embedding(indices, weight, ...)."""

    def draw(d: Draw) -> Sample:
        n = d.size(1, 5)
        options: dict[str, Any] = {"padding_idx": d.size(-n, n - 1)} if padded else {}
        if by_frequency:
            options["scale_grad_by_freq"] = True
        return Sample(d.ints(d.shape(max_dims=3), 0, n - 1), d.floats((n, d.size(0, 4))), **options)

    return draw


def normalized(d: Draw) -> Sample:
    n = d.size(1, 5)
    indices, weight = d.ints(d.shape(max_dims=2), 0, n - 1), Fixed(d.floats((n, 3)))
    return Sample(indices, weight, max_norm=d.one_of(1.0, 2.5), norm_type=d.one_of(2.0, 1.0))


def lookup_and_table(T: Any, indices: Any, weight: Any, **options: Any) -> Any:
    return T.nn.functional.embedding(indices, weight, **options), weight


NO_DERIVATIVE = {"finite_difference": "some rows' gradients are left out or scaled on purpose"}


def _histogram(d: Draw) -> Sample:
    x = d.floats(d.shape(), -3, 3, kinks=(-1, 0, 2))
    return Sample(x, d.size(1, 6), *d.one_of((), (-1, 2), (0.5, 0.5)))


CASES = [
    Case("sort", stably),
    Case("sort", with_dim(), "default", skip=ITS_OWN),
    Case("argsort", stably),
    Case("msort", lambda d: Sample(d.floats(d.shape())), skip=ITS_OWN),
    Case("topk", first_k, skip=ITS_OWN),
    Case("topk", tied(first_k), "ties", call=lambda T, *args: T.topk(*args)[0]),
    Case("kthvalue", kth, skip=ITS_OWN),
    Case("kthvalue", tied(kth), "ties", call=lambda T, *args: T.kthvalue(*args)[0]),
    Case("unique", repeating),
    Case("unique_consecutive", in_runs),
    Case("isin", among, skip={"method": "a function only"}),
    Case("unravel_index", numbered, skip={"method": "a function only"}),
    Case("bincount", counted, tolerance=SUMS),
    Case("histc", _histogram),
    Case("searchsorted", placed),
    Case("bucketize", in_buckets),
    Case("nn.functional.embedding", looked_up(padded=False), tolerance=SUMS),
    Case("nn.functional.embedding", looked_up(padded=True), "padding", tolerance=SUMS, skip=NO_DERIVATIVE),
    Case(
        "nn.functional.embedding",
        looked_up(padded=True, by_frequency=True),
        "frequency",
        tolerance=SUMS,
        skip={**NO_DERIVATIVE, "second_order": "torch differentiates it as if gradients were not divided"},
    ),
    Case(
        "nn.functional.embedding",
        normalized,
        "max_norm",
        call=lookup_and_table,
        tolerance=SUMS,
        skip={"paths": "it writes to the table"},
    ),
]
