"""Inner, outer, cross and Kronecker products, chains and powers of matrices, and what is made of them."""

from __future__ import annotations

import itertools
from math import inf
from typing import Any

from reference.case import SUMS, Case, Fixed, Sample, Tolerance
from reference.cases.linalg import of_shapes, with_summand
from reference.cases.solve import OWN_NAME, SOLVED, front, regular
from reference.strategies import Draw

EMPTY_PRODUCT = {"dtypes": "torch looks at dtypes only where there is something to multiply"}
LONG = Tolerance(1e-11, 1e-5, "exponentials and powers multiply the rounding of what they are made of")


def with_any(d: Draw) -> Sample:
    """inner(x, y): stacks of vectors of one length, or a number and anything."""
    k = d.size(1, 3)
    a, b = d.shape(max_dims=2, max_side=3), d.shape(max_dims=2, max_side=3)
    if d.flag():
        return Sample(d.floats((*a, k)), d.floats((*b, k)))
    return Sample(d.floats(()), d.floats(b))


def two_of_any(d: Draw) -> Sample:
    return Sample(d.floats(d.shape(max_dims=3, max_side=3)), d.floats(d.shape(max_dims=2, max_side=3)))


def triples(d: Draw) -> Sample:
    """cross(x, y, dim=...), the dims that are not of size 3 broadcast."""
    a, b = d.broadcastable(2, max_dims=2, min_side=1)
    a, b = (1,) * (len(b) - len(a)) + tuple(a), (1,) * (len(a) - len(b)) + tuple(b)
    at = d.size(0, len(a))
    a, b = (*a[:at], 3, *a[at:]), (*b[:at], 3, *b[at:])
    return Sample(d.floats(a), d.floats(b), dim=at - len(a) if d.flag() else at)


def of_first_three(d: Draw) -> Sample:
    """cross(x, y), for vectors along the first dim of size 3."""
    shape = (*d.shape(max_dims=1, min_side=1, max_side=2), 3, *d.shape(max_dims=1, min_side=1))
    return Sample(d.floats(shape), d.floats(shape))


def paired(d: Draw) -> Sample:
    """vecdot(x, y, dim=...)."""
    a, b = d.broadcastable(2)
    b = a if len(a) == len(b) == 1 else b  # of two vectors torch broadcasts neither
    return Sample(d.floats(a), d.floats(b), dim=d.dim(max(len(a), len(b))))


def chain(d: Draw) -> Sample:
    """multi_dot([A, B, ...]), the first and the last perhaps vectors."""
    sizes = [d.size(1, 4) for _ in range(d.size(3, 6))]
    shapes = [tuple(pair) for pair in itertools.pairwise(sizes)]
    if d.flag():
        shapes[0] = shapes[0][1:]
    if d.flag():
        shapes[-1] = shapes[-1][:1]
    return Sample([d.floats(shape) for shape in shapes])


def chained(T: Any, matrices: Any) -> Any:
    return T.chain_matmul(*matrices)


def matrices(d: Draw) -> Sample:
    """chain_matmul of matrices."""
    sizes = [d.size(1, 4) for _ in range(d.size(2, 5))]
    return Sample([d.floats(pair) for pair in itertools.pairwise(sizes)])


def power(d: Draw) -> Sample:
    """matrix_power(A, n)."""
    n = d.size(1, 3)
    return Sample(regular(d, (*front(d), n, n), 0.5), d.size(0, 6) - 3)


def exponent(d: Draw) -> Sample:
    """matrix_exp(A), A of a norm for which it is squared never, or several times."""
    n = d.size(0, 4)
    return Sample(d.floats((*front(d), n, n)) * d.one_of(0.1, 1, 4))


def vandermonde(d: Draw) -> Sample:
    """vander(x, N)."""
    shape = d.shape(max_dims=2, min_side=2)
    return Sample(d.floats(shape, -2, 2), N=d.size(2, 5) if not shape or d.flag() else None)


def old_vandermonde(d: Draw) -> Sample:
    """vander(x, N, increasing), without a gradient: torch's backward fails, by a write of its own."""
    return Sample(Fixed(d.floats((d.size(0, 4),), -2, 2)), d.one_of(None, 0, 1, 3), d.flag())


def observations(d: Draw) -> Sample:
    """cov(x, correction=..., fweights=..., aweights=...)."""
    n = d.size(3, 5)
    x = d.floats((d.size(1, 3), n) if d.flag() else (n,))
    options: dict[str, Any] = {"correction": d.one_of(0, 1)} if d.flag() else {}
    if d.flag():
        options["fweights"] = Fixed(d.ints((n,), 1, 3))
    if d.flag():
        options["aweights"] = d.floats((n,), 0.5, 2)
    return Sample(x, **options)


def rows(d: Draw) -> Sample:
    """cdist(x, y, p), no two rows equal."""
    a, b = d.broadcastable(2, max_dims=1)
    k = d.size(1, 3)
    x, y = d.floats((*a, d.size(0, 3), k)), d.floats((*b, d.size(0, 3), k), 4, 9)
    return Sample(x, y, d.one_of(2, 0, 1, 1.5, 3, inf))


def many_rows(d: Draw) -> Sample:
    """cdist by way of a product of matrices."""
    k = d.size(1, 3)
    x, y = d.floats((d.size(26, 28), k)), d.floats((d.size(1, 3), k), 4, 9)
    return Sample(x, y)


CASES = [
    Case("trace", of_shapes("nk"), tolerance=SUMS),
    Case("vdot", of_shapes("n", "n"), tolerance=SUMS),
    Case("inner", with_any, tolerance=SUMS, skip=OWN_NAME | EMPTY_PRODUCT),
    Case("linalg.vecdot", paired, tolerance=SUMS),
    Case("addr", with_summand("nm", "n", "m"), tolerance=SUMS),
    Case(
        "addbmm",
        with_summand("nm", "bnk", "bkm"),
        tolerance=SUMS,
        skip={"in_place": "torch's makes its target larger"},
    ),
    Case("ger", of_shapes("n", "m")),
    Case("kron", two_of_any, skip=OWN_NAME | {"layouts": "torch refuses some strides"}),
    Case("linalg.cross", triples, tolerance=SUMS),
    Case("cross", triples, tolerance=SUMS),
    Case("cross", of_first_three, "first of size 3", tolerance=SUMS),
    Case("linalg.multi_dot", chain, tolerance=LONG, skip=OWN_NAME),
    Case("chain_matmul", matrices, call=chained, tolerance=LONG, skip=OWN_NAME),
    Case("linalg.matrix_power", power, tolerance=SOLVED, covers=("matrix_power",), skip=OWN_NAME),
    Case(
        "linalg.matrix_exp",
        exponent,
        tolerance=LONG,
        covers=("matrix_exp",),
        skip={"half": "torch's overflow on the way"},
    ),
    Case(
        "linalg.diagonal", lambda d: Sample(d.floats((*front(d), d.size(1, 3), d.size(1, 3))), offset=d.size(0, 2) - 1)
    ),
    Case("linalg.vander", vandermonde),
    Case("vander", old_vandermonde),
    Case("cov", observations, tolerance=SUMS),
    Case("corrcoef", lambda d: Sample(d.floats((d.size(2, 3), d.size(3, 5)))), tolerance=LONG),
    Case("cdist", rows, tolerance=SUMS, skip=OWN_NAME | {"second_order": "torch has none"}),
    Case(
        "cdist",
        many_rows,
        "many",
        tolerance=LONG,
        skip=OWN_NAME | {"second_order": "torch has none", "half": "every step rounds, before what is alike cancels"},
    ),
]
