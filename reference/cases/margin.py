"""Losses with a margin, losses that are likelihoods, and distances."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample, Tolerance, torch_at_least
from reference.strategies import Draw, Recipe

F = "nn.functional."
CLAMP = "2.15"  # since then a bound that is a number leaves no gradient where it ties
COMPOSED = {"grad_fn": "composed of other operations than torch's"}


def reduction(d: Draw) -> str:
    return d.one_of("mean", "sum", "none")


def signs(d: Draw, shape: tuple[int, ...]) -> Fixed:
    return Fixed(np.where(d.bools(shape), 1.0, -1.0))


def right_or_wrong(d: Draw) -> Sample:
    """soft_margin_loss(x, 1 or -1)."""
    shape = d.shape()
    return Sample(d.floats(shape, -9, 9), signs(d, shape[d.size(0, len(shape)) :]), reduction=reduction(d))


def judged(d: Draw) -> Sample:
    """hinge_embedding_loss(x, 1 or -1, margin), x at the margin as well."""
    shape = d.shape()
    x = d.floats(shape, kinks=(0.5, 1))
    return Sample(x, signs(d, shape), margin=d.one_of(1.0, 0.5), reduction=reduction(d))


def ranked(d: Draw) -> Sample:
    """margin_ranking_loss(x, y, 1 or -1), y being ahead by the margin as well."""
    shape, margin = d.shape(min_side=1), d.one_of(0.25, -0.25)
    x, which = d.floats(shape), signs(d, shape)
    y = x - which.array * (margin - d.floats(shape, kinks=(0,)))
    return Sample(x, y, which, margin=margin, reduction=reduction(d))


def embedded(d: Draw) -> Sample:
    n, size = d.size(1, 4), d.size(1, 4)
    shape = d.one_of((), (n,))
    a, b = d.floats((*shape, size)), d.floats((*shape, size))
    return Sample(a, b, signs(d, shape), margin=d.one_of(0.0, -0.5, 0.5), reduction=reduction(d))


def one_class(d: Draw) -> Sample:
    """multi_margin_loss(x, class, p, margin, weight)."""
    c = d.size(1, 5)
    n = d.one_of((), (d.size(1, 4),))
    weight = {"weight": Fixed(d.floats((c,), 0.5, 2))} if d.flag() else {}
    x = d.floats((*n, c), ties=True)
    return Sample(x, d.labels(n, c), p=d.one_of(1, 2), margin=d.one_of(1.25, 0.5), reduction=reduction(d), **weight)


def several_classes(d: Draw) -> Sample:
    """multilabel_margin_loss(x, classes, some of them twice, the first -1 ending them)."""
    c = d.size(1, 5)
    shape = (*d.one_of((), (d.size(1, 4),)), c)
    return Sample(d.floats(shape), d.ints(shape, -1, c - 1), reduction=reduction(d))


def soft_classes(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    weight = {"weight": Fixed(d.floats((shape[-1],), 0.5, 2))} if d.flag() else {}
    target = d.floats(shape, 0, 1)
    return Sample(d.floats(shape, -9, 9), target if d.flag() else Fixed(target), reduction=reduction(d), **weight)


def triplets(with_distance: bool) -> Recipe:
    def draw(d: Draw) -> Sample:
        shape = d.shape(min_dims=1, min_side=1, max_dims=3)
        options: dict[str, Any] = {} if with_distance else {"p": d.one_of(2, 1, 3), "eps": d.one_of(1e-6, 0.125)}
        return Sample(
            *d.float_arrays([shape, shape, shape]),
            margin=d.one_of(1.0, 2.5),
            swap=d.flag(),
            reduction=reduction(d),
            **options,
        )

    return draw


def normal(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    x, y = d.float_arrays([shape, shape])
    var = d.floats(d.one_of(shape, shape[:-1], (*shape[:-1], 1)), 0.3, 2)
    return Sample(x, y, var, full=d.flag(), eps=d.one_of(1e-6, 0.125), reduction=reduction(d))


def little_variance(d: Draw) -> Sample:
    shape = d.shape(min_dims=1, min_side=1)
    x, y = d.float_arrays([shape, shape])
    return Sample(x, y, d.floats(shape, 0, 0.25, kinks=(0.125,)), eps=0.125, reduction=reduction(d))


def counts(d: Draw) -> Sample:
    shape = d.shape()
    x, y = d.floats(shape, 0.2, 3), d.floats(shape, 0.2, 4)
    return Sample(x, Fixed(y), log_input=d.flag(), full=d.flag(), eps=d.one_of(1e-8, 0.125), reduction=reduction(d))


def rows(d: Draw) -> Sample:
    """pdist(x, p), some rows being equal, some differing by as much in two places."""
    n = d.size(0, 5)
    x = d.floats((n, d.size(0, 3)), ties=not d.smooth)
    # Without any pair torch's gradient reads beyond its memory.
    return Sample(x if n > 1 else Fixed(x), d.one_of(2.0, 1.0, 3.0, 1.5, inf, 0.0))


def spelt(d: Draw) -> Sample:
    """ctc_loss(log-probabilities, labels, lengths), targets that need more steps than there are among them."""
    t, n, c, s = d.size(1, 6), d.size(1, 3), d.size(2, 5), d.size(0, 3)
    x = d.floats((t, n, c))
    x = x - np.log(np.exp(x).sum(axis=2, keepdims=True))
    blank = d.one_of(0, c - 1)
    of_inputs, of_targets = d.ints((n,), 0, t), d.ints((n,), 0, s)
    labels = d.labels((n, s), c - 1) + (blank == 0)
    if d.flag():
        labels = np.concatenate([row[:k] for row, k in zip(labels, of_targets)])
    options = {"reduction": reduction(d), "zero_infinity": d.flag(), "blank": blank}
    if d.flag():
        return Sample(x, labels, of_inputs.tolist(), of_targets.tolist(), **options)
    return Sample(x, labels, of_inputs, of_targets, **options)


def linear_classes(chunked: bool) -> Recipe:
    """linear_cross_entropy(x, weight, class), as a whole or in chunks."""

    def draw(d: Draw) -> Sample:
        features, c = d.size(1, 4), d.size(2, 5)
        n = d.one_of((), (d.size(1, 5),))
        options: dict[str, Any] = {"reduction": reduction(d)}
        if d.flag():
            options["linear_bias"] = d.floats((c,))
        if d.flag():
            options["weight"] = Fixed(d.floats((c,), 0.5, 2))
        if chunked:
            options["rows"] = d.size(1, 3)
        elif d.flag():
            options["label_smoothing"] = 0.25
        return Sample(d.floats((*n, features)), d.floats((c, features)), d.labels(n, c), **options)

    return draw


def in_chunks(T: Any, *args: Any, rows: int, **options: Any) -> Any:
    how = T.nn.LinearCrossEntropyOptions(batch_chunk_size=rows, allow_retain_graph=True)
    return T.nn.functional.linear_cross_entropy(*args, options=how, **options)


def two(d: Draw) -> Sample:
    shapes = d.broadcastable(2, min_side=1)
    x, y = d.floats(shapes[0]), d.floats(shapes[1])
    return Sample(x, y, *d.one_of((), (1,), (3.0,), (1.5,), (inf,)))


NO_SECOND = {"second_order": "torch has none"}
AT_EPS = {"finite_difference": "differentiated as if the variance were not changed"}
LONG_SUMS = Tolerance(
    1e-11, 1e-5, reason="the logarithm of a small probability is a large number with many digits lost"
)
CTC = {
    "grad_fn": "with zero_infinity torch ends in a where, and not in its loss",
    "second_order": "torch has none",
    "finite_difference": "it is told the gradient of the logits that log_softmax was given",
    "verdict": "torch looks neither at labels nor at the sizes of targets in two dims",
    "dtypes": "torch takes labels of any dtype, even as floats",
}
LINEAR_CASES = [
    Case(F + "linear_cross_entropy", linear_classes(False), tolerance=SUMS, skip=COMPOSED),
    Case(
        F + "linear_cross_entropy",
        linear_classes(True),
        "in chunks",
        call=in_chunks,
        tolerance=SUMS,
        skip={
            **COMPOSED,
            **NO_SECOND,
            "verdict": "torch looks at classes and weights less closely",
            "dtypes": "torch looks for integers last",
        },
    ),
]
LINEAR = LINEAR_CASES if torch_at_least("2.13") else []  # torch has it since
CASES = [
    Case(F + "soft_margin_loss", right_or_wrong, tolerance=SUMS),
    Case(F + "hinge_embedding_loss", judged, tolerance=SUMS, kinks_from=CLAMP, skip=COMPOSED),
    Case(F + "margin_ranking_loss", ranked, tolerance=SUMS, kinks_from=CLAMP, skip=COMPOSED),
    Case(F + "cosine_embedding_loss", embedded, tolerance=SUMS, skip=COMPOSED),
    Case(F + "multi_margin_loss", one_class, tolerance=SUMS, skip={**COMPOSED, **NO_SECOND}),
    Case(F + "multilabel_margin_loss", several_classes, tolerance=SUMS, skip={**COMPOSED, **NO_SECOND}),
    Case(F + "multilabel_soft_margin_loss", soft_classes, tolerance=SUMS, skip=COMPOSED),
    Case(F + "triplet_margin_loss", triplets(with_distance=False), tolerance=SUMS, skip=COMPOSED),
    Case(F + "triplet_margin_with_distance_loss", triplets(with_distance=True), tolerance=SUMS, skip=COMPOSED),
    Case(F + "gaussian_nll_loss", normal, tolerance=SUMS, skip=COMPOSED),
    Case(F + "gaussian_nll_loss", little_variance, "eps", tolerance=SUMS, skip={**COMPOSED, **AT_EPS}),
    Case(F + "poisson_nll_loss", counts, tolerance=SUMS, skip=COMPOSED),
    Case(F + "pdist", rows, tolerance=SUMS, skip=NO_SECOND),
    Case(F + "ctc_loss", spelt, tolerance=LONG_SUMS, skip=CTC),
    *LINEAR,
    Case("dist", two, tolerance=SUMS, skip=COMPOSED),
]
