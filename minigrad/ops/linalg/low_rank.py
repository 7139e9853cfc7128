"""Singular values of matrices of low rank, by way of random vectors (N. Halko, P. Martinsson & J. Tropp 2011, "Finding
structure with randomness: probabilistic algorithms for constructing approximate matrix decompositions").
"""

from __future__ import annotations

from typing import Any

from minigrad.ops.expand import broadcast_to
from minigrad.ops.linalg.decompositions import linalg_qr, linalg_svd
from minigrad.ops.linalg.matmul import matmul
from minigrad.ops.linalg.matrices import T
from minigrad.ops.random import randn
from minigrad.ops.reduce import mean

__all__ = ["pca_lowrank", "svd_lowrank"]


def _basis(A: Any, q: int, niter: int) -> Any:
    """Q, of q orthonormal columns whose span is nearly A's: A times random vectors, sharpened `niter` times (4.4)."""
    Q = linalg_qr(matmul(A, randn(A.shape[-1], q, dtype=A.dtype if A.is_floating_point() else None, device=A.device)))[
        0
    ]
    for _ in range(niter):
        Q = linalg_qr(matmul(T(A), Q))[0]
        Q = linalg_qr(matmul(A, Q))[0]
    return Q


def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> tuple[Any, Any, Any]:
    """(U, S, V) with A - M nearly U diag(S) V^T, for q a little more than the rank of A - M (algorithm 5.1).

    Draws from the random stream; `niter` steps of subspace iteration make it more precise.
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    m, n = A.shape[-2:]
    if M is not None:
        A = A - broadcast_to(M, A.shape)
    A = T(A) if m < n else A
    Q = _basis(A, q, niter)
    U, S, Vh = linalg_svd(matmul(T(Q), A), False)
    U, V = matmul(Q, U), T(Vh)
    return (V, S, U) if m < n else (U, S, V)


def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Any, Any, Any]:
    """`svd_lowrank` of the rows of A less their mean: the columns of V are the principal directions."""
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - mean(A, (-2,), True) if center else A, q, niter)
