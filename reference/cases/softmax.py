"""softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from reference.case import Case, Sample
from reference.strategies import Draw, with_dim


def with_masked(d: Draw) -> Sample:
    """f(x, dim) with some elements -inf, so that their share is 0."""
    shape = d.shape(min_side=1)
    x = d.floats(shape, -9, 9, kinks=() if d.smooth else (-inf, 1000))
    return Sample(x, dim=d.dim(len(shape)))


def gumbel(hard: bool) -> Callable[[Draw], Sample]:
    def draw(d: Draw) -> Sample:
        shape = d.shape(min_side=1)
        return Sample(d.floats(shape, -9, 9), d.one_of(1, 0.5, 2.0), hard, dim=d.dim(len(shape)))

    return draw


def seeded(T: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    T.manual_seed(3)
    return T.nn.functional.gumbel_softmax(x, *args, **kwargs)


CASES = [
    Case("softmax", with_dim(-9, 9)),
    Case("log_softmax", with_dim(-9, 9)),
    Case("nn.functional.softmax", with_masked),
    Case("nn.functional.log_softmax", with_masked),
    Case("nn.functional.softmin", with_masked),
    Case("nn.functional.gumbel_softmax", gumbel(False), call=seeded),
    Case(
        "nn.functional.gumbel_softmax",
        gumbel(True),
        "hard",
        call=seeded,
        skip={"finite_difference": "the gradient is that of the soft one"},
    ),
]
