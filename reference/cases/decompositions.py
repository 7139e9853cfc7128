"""Cholesky, QR, eigenvalues and singular values. Where factors are unique but for signs, their squares are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.case import Case, Sample, Tolerance
from reference.cases.solve import EMPTY, ONE_TRIANGLE, front
from reference.strategies import Draw

FACTORED = Tolerance(1e-11, 1e-5, "two eliminations round differently, and close singular values multiply that")
SIGNS = {"grad_fn": "the squares have a name of their own"}


def positive(d: Draw) -> np.ndarray:
    """Symmetric positive-definite matrices."""
    n = d.size(0, 4)
    a = d.floats((*front(d), n, n), -1, 1)
    return a @ a.swapaxes(-2, -1) + 2 * np.eye(n)


def symmetric(d: Draw) -> np.ndarray:
    """Symmetric matrices with eigenvalues far from each other."""
    n = d.size(1, 4)
    a = d.floats((*front(d), n, n), -1, 1)
    return a + a.swapaxes(-2, -1) + np.diag(4.0 * np.arange(n) - 3)


def tall_or_wide(d: Draw, full: bool = False) -> np.ndarray:
    """Matrices of any shape with singular values far from each other."""
    m, n = d.size(1, 4), d.size(1, 4)
    if full:
        m = min(m, n)
    return d.floats((*front(d), m, n), -1, 1) + 4 * np.eye(m, n) * np.arange(1, n + 1)


def squares(values: Any, *factors: Any) -> tuple[Any, ...]:
    return (values, *(f * f for f in factors))


def mirrored(T: Any, A: Any) -> Any:
    """Symmetric by construction: what is looked at in one triangle only is then a function of both."""
    return (A + T.transpose(A, -2, -1)) / 2


def of_cholesky(T: Any, A: Any, **options: Any) -> Any:
    return T.linalg.cholesky(mirrored(T, A), **options)


def of_eigh(T: Any, A: Any, **options: Any) -> tuple[Any, ...]:
    return squares(*T.linalg.eigh(mirrored(T, A), **options))


def of_eigvalsh(T: Any, A: Any, UPLO: str) -> Any:
    return T.linalg.eigvalsh(mirrored(T, A), UPLO)


def cholesky_arguments(d: Draw) -> Sample:
    return Sample(positive(d), upper=d.flag())


def of_svd(T: Any, A: Any, full_matrices: bool) -> tuple[Any, ...]:
    u, s, vh = T.linalg.svd(A, full_matrices)
    k = s.shape[-1]  # the columns beyond are anyone's choice
    return squares(s, u[..., :k], vh[..., :k, :])


def of_old_svd(T: Any, A: Any, **options: Any) -> tuple[Any, ...]:
    u, s, v = T.svd(A, **options)
    return squares(s, u, v)


CASES = [
    Case("linalg.cholesky", cholesky_arguments, tolerance=FACTORED, covers=("cholesky",), skip=ONE_TRIANGLE | EMPTY),
    Case("linalg.cholesky", cholesky_arguments, "mirrored", call=of_cholesky, tolerance=FACTORED, skip=EMPTY),
    Case("linalg.cholesky_ex", cholesky_arguments, tolerance=FACTORED, skip=ONE_TRIANGLE | EMPTY),
    Case(
        "linalg.eigh",
        lambda d: Sample(symmetric(d), UPLO=d.one_of("L", "U")),
        call=of_eigh,
        tolerance=FACTORED,
        skip=SIGNS | {"dtypes": "as truth values they have equal eigenvalues, whose vectors are anyone's choice"},
    ),
    Case(
        "linalg.eigvalsh",
        lambda d: Sample(symmetric(d), d.one_of("L", "U")),
        tolerance=FACTORED,
        skip=ONE_TRIANGLE,
    ),
    Case(
        "linalg.eigvalsh",
        lambda d: Sample(symmetric(d), d.one_of("L", "U")),
        "mirrored",
        call=of_eigvalsh,
        tolerance=FACTORED,
    ),
    Case("linalg.svd", lambda d: Sample(tall_or_wide(d), d.flag()), call=of_svd, tolerance=FACTORED, skip=SIGNS),
    Case("linalg.svdvals", lambda d: Sample(tall_or_wide(d)), tolerance=FACTORED),
    Case(
        "svd",
        lambda d: Sample(tall_or_wide(d), some=True, compute_uv=d.flag()),
        call=of_old_svd,
        tolerance=FACTORED,
        skip=SIGNS,
    ),
    Case(
        "linalg.qr", lambda d: Sample(tall_or_wide(d), "reduced"), tolerance=FACTORED, skip={"method": "the older qr"}
    ),
    Case(
        "linalg.qr",
        lambda d: Sample(tall_or_wide(d, full=True), d.one_of("complete", "reduced")),
        "complete",
        tolerance=FACTORED,
        skip={"method": "the older qr"},
    ),
    Case("qr", lambda d: Sample(tall_or_wide(d), some=True), tolerance=FACTORED),
]
