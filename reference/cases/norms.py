"""torch.linalg's norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

from math import inf

from reference.case import SUMS, Case, Fixed, Sample
from reference.cases.decompositions import FACTORED, tall_or_wide
from reference.cases.solve import OWN_NAME, regular
from reference.strategies import Draw

OF_ELEMENTS = (2, 1, 0, 3, 0.5, -1, -2, inf, -inf)
OF_MATRICES = ("fro", "nuc", 1, -1, 2, -2, inf, -inf)


def of_vectors(d: Draw) -> Sample:
    """vector_norm(x, ord, dim, keepdim), zeros included."""
    shape = d.shape(min_side=1)
    x = d.floats(shape, kinks=(0,))
    return Sample(x, d.one_of(*OF_ELEMENTS), d.one_of(None, d.dims(len(shape))), d.flag())


def of_matrices(d: Draw) -> Sample:
    """matrix_norm(A, ord, dim, keepdim), singular values far from each other and from zero."""
    a = tall_or_wide(d)
    dims = d.one_of((-2, -1), (-1, -2))
    return Sample(a, d.one_of(*OF_MATRICES), dims, d.flag())


def of_any(d: Draw) -> Sample:
    """norm(x), norm(x, ord), norm(A, ord) and norm(x, ord, dim)."""
    if d.flag():
        return Sample(d.floats((d.size(1, 4),)), d.one_of(None, *OF_ELEMENTS))
    a = tall_or_wide(d)
    if a.ndim == 2 and d.flag():
        return Sample(a, d.one_of(None, *OF_MATRICES))
    return Sample(a, d.one_of(1, 2, inf), d.one_of(-1, (0, -1)), d.flag())


def condition(d: Draw) -> Sample:
    """cond(A, p), p being 2, -2 or nothing."""
    return Sample(tall_or_wide(d), d.one_of(None, 2, -2))


def condition_by_inverse(d: Draw) -> Sample:
    """cond(A, p) for all other p, without a gradient: torch's backward fails there, by a write of its own."""
    n = d.size(1, 4)
    return Sample(Fixed(regular(d, (n, n))), d.one_of(1, -1, inf, -inf, "fro", "nuc"))


CASES = [
    Case("linalg.vector_norm", of_vectors, tolerance=SUMS),
    Case("linalg.matrix_norm", of_matrices, tolerance=FACTORED, skip=OWN_NAME),
    Case("linalg.norm", of_any, tolerance=FACTORED, skip=OWN_NAME | {"method": "the older norm"}),
    Case("linalg.cond", condition, tolerance=FACTORED, skip=OWN_NAME),
    Case("linalg.cond", condition_by_inverse, "by the inverse", tolerance=FACTORED),
]
