"""torch.masked: reductions and normalisations of what a mask lets through, rows masked out wholly among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw, Recipe

COMPOSED = {"grad_fn": "composed of other operations here, as in torch"}
ROOT = {"std": {"finite_difference": "the root of 0, where one element is left, has no slope"}}


def mask_of(d: Draw, shape: Sequence[int]) -> Any:
    """None, or truth values in the shape or in one that broadcasts to it."""
    smaller = tuple(1 if d.flag() else n for n in shape)[d.size(0, len(shape)) :]
    return d.one_of(None, d.bools(tuple(shape)), d.bools(smaller))


def reduced(*, min_side: int = 1, **options: Sequence[Any]) -> Recipe:
    """f(x, dim, keepdim=, mask=) over one, several or all dims."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(max_dims=3, min_side=min_side)
        dim = d.one_of(None, d.dim(len(shape)), d.dims(len(shape)))
        chosen = {k: d.one_of(*values) for k, values in options.items()}
        return Sample(d.floats(shape), dim, keepdim=d.flag(), mask=mask_of(d, shape), **chosen)

    return draw


def along(*before: Any) -> Recipe:
    """f(x, *before, dim, mask=)."""

    def draw(d: Draw) -> Sample:
        shape = d.shape(max_dims=3, min_side=1)
        return Sample(d.floats(shape), *before, d.dim(len(shape)), mask=mask_of(d, shape))

    return draw


def normed(d: Draw) -> Sample:
    sample = reduced()(d)
    return Sample(sample.args[0], d.one_of(2.0, 1.0, 3.0, float("inf")), *sample.args[1:], **sample.kwargs)


def two(d: Draw) -> Sample:
    x, y = d.broadcastable(2)
    return Sample(d.floats(x), d.floats(y), input_mask=mask_of(d, x), other_mask=mask_of(d, y))


CASES = [
    Case(f"masked.{name}", draw, tolerance=SUMS, skip={**COMPOSED, **ROOT.get(name, {})})
    for name, draw in {
        "sum": reduced(min_side=0),
        "prod": reduced(),
        "cumsum": along(),
        "cumprod": along(),
        "logsumexp": reduced(),
        "logaddexp": two,
        "amax": reduced(),
        "amin": reduced(),
        "median": along(),
        "mean": reduced(),
        "var": reduced(correction=(0, 1, 0.5)),
        "std": reduced(correction=(0, 1)),
        "norm": normed,
        "softmax": along(),
        "log_softmax": along(),
        "softmin": along(),
        "normalize": along(2.0),
    }.items()
]
