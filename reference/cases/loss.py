"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample, Tolerance
from reference.strategies import Draw, Recipe, Shape, with_target

COMPOSED = {"grad_fn": "composed of other operations than torch's"}
NOTHING = {"second_order": "torch divides by the number of samples before it multiplies by their number, 0"}
INSIDE = (0.25, 0.75)  # away from 0 and 1, where binary cross entropy is infinite


def probabilities(d: Draw) -> Sample:
    """binary_cross_entropy(p, t), t certain or not, in some of the samples with weights."""
    shape = d.shape()
    p, t = d.floats(shape, *INSIDE), d.floats(shape, *INSIDE, kinks=() if d.smooth else (0, 1))
    weight = {"weight": Fixed(d.floats(shape[d.size(0, len(shape)) :], 0, 2))} if d.flag() else {}
    return Sample(p, t if d.flag() else Fixed(t), reduction=d.one_of("mean", "sum", "none"), **weight)


def certain(d: Draw) -> Sample:
    """binary_cross_entropy of predictions that are 0 or 1."""
    shape = d.shape(min_side=1)
    p, t = d.floats(shape, 0.0625, 0.9375, kinks=(0, 1)), d.floats(shape, 0, 1, kinks=(0, 1))
    return Sample(p, Fixed(t), reduction=d.one_of("mean", "sum", "none"))


def logits(d: Draw) -> Sample:
    """binary_cross_entropy_with_logits(x, t, weight=..., pos_weight=...), x so large that sigmoid(x) is 0 or 1."""
    shape = d.shape()
    x, t = d.floats(shape, -9, 9, kinks=() if d.smooth else (0, 800, -800)), d.floats(shape, 0, 1)
    options: dict[str, Any] = {}
    for name in ("weight", "pos_weight"):
        if d.flag():
            options[name] = Fixed(d.floats(shape[d.size(0, len(shape)) :], 0, 2))
    return Sample(x, t if d.flag() else Fixed(t), reduction=d.one_of("mean", "sum", "none"), **options)


def divergence(d: Draw) -> Sample:
    """kl_div(log p, q), q with zeros; or kl_div(log p, log q, log_target=True)."""
    shape, log_target = d.shape(), d.flag()
    q = d.floats(shape, -5, 0) if log_target else d.floats(shape, 0.0625, 1, kinks=() if d.smooth else (0,))
    target = q if d.flag() and log_target else Fixed(q)
    return Sample(
        d.floats(shape, -5, 0), target, reduction=d.one_of("mean", "sum", "none", "batchmean"), log_target=log_target
    )


def weighted(d: Draw) -> Sample:
    shape = d.shape()
    x, t = d.float_arrays([shape, shape])
    return Sample(x, Fixed(t), reduction=d.one_of("mean", "sum", "none"), weight=Fixed(d.floats(shape, 0.5, 2)))


def classes_and_shape(d: Draw, more_dims: tuple[int, ...]) -> tuple[int, Shape, Shape]:
    """(C, (N, C, ...), (N, ...)), with one of so many `more_dims`; or without N for a single sample."""
    c, more = d.size(2, 5), d.one_of(*more_dims)
    if more == 0 and d.flag():
        return c, (c,), ()
    n, rest = d.size(1, 4), d.shape(more, more, min_side=1, max_side=3)
    return c, (n, c, *rest), (n, *rest)


def numbered(
    low: float,
    high: float,
    *,
    more_dims: tuple[int, ...] = (0, 2),
    smoothing: bool = False,
    kinks: tuple[float, ...] = (),
) -> Recipe:
    """nll_loss and cross_entropy of class numbers, some of them ignored, with or without weights of classes."""

    def draw(d: Draw) -> Sample:
        c, shape, of_target = classes_and_shape(d, more_dims)
        x = d.floats(shape, low, high, kinks=() if d.smooth else kinks)
        target = d.labels(of_target, c)
        options: dict[str, Any] = {}
        if d.flag():
            options["weight"] = Fixed(d.floats((c,), 0.5, 2))
        if d.flag() and target.size > 1:  # one sample at least counts: the mean of none is nan
            options["ignore_index"] = d.one_of(-100, 0)
            target.reshape(-1)[0], target.reshape(-1)[1:2] = c - 1, options["ignore_index"]
        if smoothing and d.flag():
            options["label_smoothing"] = d.one_of(0.125, 0.5, 1.0)
        return Sample(x, target, reduction=d.one_of("mean", "sum", "none"), **options)

    return draw


def no_samples(d: Draw) -> Sample:
    """No sample at all, or none that is not ignored."""
    n, c = d.size(0, 2), d.size(1, 3)
    return Sample(d.floats((n, c)), np.full(n, -100), reduction=d.one_of("mean", "sum", "none"))


def mixed_classes(d: Draw) -> Sample:
    """cross_entropy(x, probabilities of the classes)."""
    c, shape, _ = classes_and_shape(d, (0, 1, 2))
    target = d.floats(shape, 0, 1)
    options: dict[str, Any] = {"weight": Fixed(d.floats((c,), 0.5, 2))} if d.flag() else {}
    if d.flag():
        options["label_smoothing"] = d.one_of(0.125, 0.5)
    reduction = d.one_of("mean", "sum", "none")
    return Sample(d.floats(shape, -5, 5), target if d.flag() else Fixed(target), reduction=reduction, **options)


BCE_TWICE = Tolerance(
    1e-9, reason="torch's second derivative of binary_cross_entropy adds 1e-12 to input and 1 - input, ours is exact"
)

CASES = [
    Case("nn.functional.mse_loss", with_target(), tolerance=SUMS),
    Case("nn.functional.mse_loss", weighted, "weighted", tolerance=SUMS, skip=COMPOSED),
    Case("nn.functional.l1_loss", with_target(kinks=(0,)), tolerance=SUMS),
    Case("nn.functional.l1_loss", weighted, "weighted", tolerance=SUMS, skip=COMPOSED),
    Case("nn.functional.smooth_l1_loss", with_target(kinks=(0, 1, -1, 0.5, -0.5), beta=(1.0, 0.5, 0)), tolerance=SUMS),
    Case("nn.functional.huber_loss", with_target(kinks=(0, 1, -1, 0.5, -0.5), delta=(1.0, 0.5)), tolerance=SUMS),
    Case("nn.functional.huber_loss", weighted, "weighted", tolerance=SUMS, skip=COMPOSED),
    Case("nn.functional.binary_cross_entropy", probabilities, tolerance=BCE_TWICE),
    Case(
        "nn.functional.binary_cross_entropy",
        certain,
        "certain",
        tolerance=SUMS,
        skip={
            "finite_difference": "infinitely steep at 0 and 1",
            "second_order": "infinite at 0 and 1",
            "float32": "the slope at 0 and 1 is 1e12 of a rounding error",
            "half": "1e-12 is 0 in float16",
        },
    ),
    Case("nn.functional.binary_cross_entropy_with_logits", logits, tolerance=SUMS),
    Case("nn.functional.kl_div", divergence, tolerance=SUMS, skip=COMPOSED),
    Case("nn.functional.nll_loss", numbered(-5, 0, more_dims=(0,)), tolerance=SUMS),
    Case(
        "nn.functional.nll_loss",
        numbered(-5, 0, more_dims=(2,)),
        "images",
        tolerance=SUMS,
        skip={"layouts": "torch cannot differentiate for an input that is not contiguous"},
    ),
    Case("nn.functional.cross_entropy", numbered(-5, 5, kinks=(900, -900)), tolerance=SUMS),
    Case("nn.functional.cross_entropy", numbered(-5, 5, smoothing=True), "smoothed", tolerance=SUMS, skip=COMPOSED),
    Case("nn.functional.cross_entropy", mixed_classes, "probabilities", tolerance=SUMS, skip=COMPOSED),
]
