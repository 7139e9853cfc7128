"""softmax and its logarithm."""

from __future__ import annotations

from math import inf

from reference.case import Case, Sample
from reference.strategies import Draw, with_dim


def with_masked(d: Draw) -> Sample:
    """f(x, dim) with some elements -inf, so that their share is 0."""
    shape = d.shape(min_side=1)
    x = d.floats(shape, -9, 9, kinks=() if d.smooth else (-inf, 1000))
    return Sample(x, dim=d.dim(len(shape)))


CASES = [
    Case("softmax", with_dim(-9, 9)),
    Case("log_softmax", with_dim(-9, 9)),
    Case("nn.functional.softmax", with_masked),
    Case("nn.functional.log_softmax", with_masked),
    Case("nn.functional.softmin", with_masked),
]
