"""Functions of torch.nn.functional that are composed of others."""

from __future__ import annotations

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw

F = "nn.functional."


def _bilinear(d: Draw) -> Sample:
    batch = d.shape(max_dims=2)
    i, j, k = d.size(1, 3), d.size(1, 3), d.size(1, 3)
    bias = [d.floats((k,))] if d.flag() else []
    return Sample(d.floats((*batch, i)), d.floats((*batch, j)), d.floats((k, i, j)), *bias)


def _one_hot(d: Draw) -> Sample:
    labels = d.labels(d.shape(min_side=1), 4)
    return Sample(labels, *d.one_of((), (4,), (7,), (-1,)))


def _normalize(d: Draw) -> Sample:
    shape = d.shape(min_dims=1)
    x = d.floats(shape)
    if not d.smooth and d.flag():
        x = x * 0  # shorter than eps
    return Sample(x, d.one_of(2.0, 1.0, 3), d.dim(len(shape)), d.one_of(1e-12, 0.5))


def _cosine(d: Draw) -> Sample:
    a, b = d.broadcastable(2)
    x, y = d.float_arrays([a, b])
    return Sample(x, y, d.dim(max(len(a), len(b))), d.one_of(1e-8, 0.0, 2.0) if not d.smooth else 1e-8)


def _pairwise(d: Draw) -> Sample:
    x, y = d.float_arrays(d.broadcastable(2))
    return Sample(x, y, d.one_of(2.0, 1.0, 3.0), d.one_of(1e-6, 0.1), d.flag())


CASES = [
    Case(F + "bilinear", _bilinear, tolerance=SUMS, skip={"grad_fn": "torch has one operation for it"}),
    Case(F + "one_hot", _one_hot),
    Case(F + "normalize", _normalize, tolerance=SUMS),
    Case(F + "cosine_similarity", _cosine, tolerance=SUMS),
    Case(F + "pairwise_distance", _pairwise, tolerance=SUMS, skip={"grad_fn": "torch has two names for the norm"}),
]
