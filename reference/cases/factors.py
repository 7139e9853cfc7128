"""LU factors, reflections, pseudo-inverses, least squares, and singular values of matrices of low rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import Case, Sample
from reference.cases.decompositions import FACTORED, squares, tall_or_wide
from reference.cases.solve import NO_METHOD, OWN_NAME, SOLVED, front, regular
from reference.strategies import Draw

NO_GRADIENT = {"finite_difference": "counts"}
SEED = 5


def factored(d: Draw) -> Sample:
    """f(A), matrices of any shape."""
    return Sample(tall_or_wide(d))


def wide(d: Draw) -> Sample:
    """lu(A) of matrices with more columns than rows."""
    m = d.size(2, 3)
    return Sample(np.concatenate((regular(d, (m, m)), d.floats((m, d.size(1, 2)))), axis=1))


def by_parts(T: Any, A: Any, **options: Any) -> Any:
    return T.lu_unpack(*T.linalg.lu_factor(A), **options)


def with_infos(T: Any, A: Any) -> Any:
    return T.lu(A, get_infos=True)


def equation(d: Draw) -> Sample:
    """lu_solve(*lu_factor(A), B, left=..., adjoint=...)."""
    n, k, stack = d.size(1, 4), d.size(1, 3), front(d)
    left = d.flag()
    b = d.floats((*stack, *((n, k) if left else (k, n))))
    return Sample(regular(d, (*stack, n, n)), b, left=left, adjoint=d.flag())


def by_factors(T: Any, A: Any, B: Any, **options: Any) -> Any:
    return T.linalg.lu_solve(*T.linalg.lu_factor(A), B, **options)


def by_old_factors(T: Any, A: Any, B: Any, left: bool, adjoint: bool) -> Any:
    return T.lu_solve(B if left else T.transpose(B, -2, -1), *T.lu(A))


def reflections(d: Draw) -> tuple[np.ndarray, np.ndarray]:
    n, stack = d.size(1, 3), front(d)
    m, k = d.size(n, 4), d.size(0, n)
    return d.floats((*stack, m, n), -1, 1), d.floats((*stack, k), -1, 1)


def reflected(d: Draw) -> Sample:
    """ormqr(A, tau, C, left, transpose)."""
    a, tau = reflections(d)
    a, left, k = a[..., : max(tau.shape[-1], 1)], d.flag(), d.size(1, 3)
    tau = tau if tau.shape[-1] else d.floats((*tau.shape[:-1], 1), -1, 1)
    m = a.shape[-2]
    return Sample(a, tau, d.floats((*a.shape[:-2], *((m, k) if left else (k, m)))), left, d.flag())


def of_low_rank(T: Any, A: Any, B: Any) -> Any:
    return T.linalg.pinv(A @ B, rtol=1e-5)


def thin(d: Draw) -> Sample:
    """Two factors whose product is of rank 1 or 2."""
    r = d.size(1, 2)
    a, b = d.floats((r + d.size(0, 2), r), -1, 1), d.floats((r, r + d.size(0, 2)), -1, 1)
    return Sample(a + 3 * np.eye(*a.shape), b + 3 * np.eye(*b.shape))


def hermitian(T: Any, A: Any) -> Any:
    return T.linalg.pinv(A + T.transpose(A, -2, -1), hermitian=True)


def least(d: Draw) -> Sample:
    """lstsq(A, B, driver=...), B a matrix or a vector."""
    a = tall_or_wide(d)
    shape = (*a.shape[:-1], d.size(1, 3)) if a.ndim > 2 or d.flag() else a.shape[:-1]
    return Sample(a, d.floats(shape), driver=d.one_of(None, "gels", "gelsy", "gelsd", "gelss"))


def low_rank(T: Any, A: Any, **options: Any) -> Any:
    T.manual_seed(SEED)
    u, s, v = T.svd_lowrank(A, q=2, **options)
    return squares(s, u, v)


def principal(T: Any, A: Any, center: bool) -> Any:
    T.manual_seed(SEED)
    u, s, v = T.pca_lowrank(A, q=2, center=center)
    return squares(s, u, v)


def of_rank_two(d: Draw) -> np.ndarray:
    """Matrices of rank 2, so that two random vectors find all of them."""
    m, n = d.size(3, 5), d.size(3, 5)
    u, v = (d.floats((k, 2), -1, 1) + 3 * np.eye(k, 2) for k in (m, n))
    return u * np.array([4.0, 1.0]) @ v.T


CASES = [
    Case("linalg.lu", factored, tolerance=FACTORED, skip=OWN_NAME | {"method": "the older lu"}),
    Case("linalg.lu_factor", lambda d: Sample(regular(d, (*front(d), *(d.size(1, 4),) * 2))), tolerance=FACTORED),
    Case("linalg.lu_factor_ex", factored, tolerance=FACTORED),
    Case("linalg.lu_factor_ex", wide, "wide", tolerance=FACTORED),
    Case("lu", factored, tolerance=FACTORED),
    Case("lu", factored, "infos", call=with_infos, tolerance=FACTORED),
    Case(
        "lu_unpack",
        lambda d: Sample(tall_or_wide(d), unpack_pivots=d.flag()),
        call=by_parts,
        tolerance=FACTORED,
        skip=OWN_NAME,
    ),
    Case("linalg.lu_solve", equation, call=by_factors, tolerance=SOLVED, skip=OWN_NAME),
    Case("lu_solve", equation, call=by_old_factors, tolerance=SOLVED, skip=OWN_NAME),
    Case("linalg.householder_product", lambda d: Sample(*reflections(d)), tolerance=SOLVED, skip=OWN_NAME),
    Case("ormqr", reflected, tolerance=SOLVED, skip=OWN_NAME),
    Case("linalg.pinv", factored, tolerance=SOLVED, covers=("pinverse",)),
    Case("linalg.pinv", thin, "low rank", call=of_low_rank, tolerance=SOLVED),
    Case("linalg.pinv", lambda d: Sample(regular(d, (3, 3))), "hermitian", call=hermitian, tolerance=SOLVED),
    Case(
        "linalg.matrix_rank",
        lambda d: Sample(tall_or_wide(d), **d.one_of({}, {"atol": 2.0}, {"rtol": 0.5}, {"tol": 3.0})),
        skip=NO_GRADIENT,
    ),
    Case("linalg.lstsq", least, tolerance=FACTORED, skip=OWN_NAME | NO_METHOD),
    Case("svd_lowrank", lambda d: Sample(of_rank_two(d)), call=low_rank, tolerance=FACTORED, skip=OWN_NAME),
    Case(
        "pca_lowrank",
        lambda d: Sample(of_rank_two(d), center=d.flag()),
        call=principal,
        tolerance=FACTORED,
        skip=OWN_NAME,
    ),
]
