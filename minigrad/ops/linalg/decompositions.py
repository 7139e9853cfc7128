"""Matrices as products of simpler ones: Cholesky, QR, eigenvalues, singular values.

The derivatives are for factors that are unique but for signs; they divide by differences of eigenvalues or singular
values, and are infinite or nan where those are equal, unless the loss depends on what is unique only.
"""

from __future__ import annotations

import math
from typing import Any

from minigrad import backend
from minigrad.autograd.mode import mode
from minigrad.autograd.node import wants_grad
from minigrad.autograd.op import Op
from minigrad.autograd.variable import unwrap, wrap
from minigrad.backend import np
from minigrad.ops.arrange import tril, triu
from minigrad.ops.compare import where
from minigrad.ops.forms import forms
from minigrad.ops.linalg.matrices import (
    LinAlgError,
    T,
    batch_element,
    identity,
    need_matrix,
    need_real,
    need_single_or_double,
    need_square,
    product,
    warn_deprecated,
)
from minigrad.ops.linalg.triangular import linalg_solve_triangular
from minigrad.ops.pad import padded
from minigrad.ops.return_types import return_type
from minigrad.ops.shape import put_diagonal

__all__ = ["cholesky", "qr", "svd"]

cholesky_ex_result = return_type("linalg_cholesky_ex", "L", "info")
linalg_eigh_result = return_type("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_qr_result = return_type("linalg_qr", "Q", "R")
qr_result = return_type("qr", "Q", "R")
linalg_svd_result = return_type("linalg_svd", "U", "S", "Vh")
svd_result = return_type("svd", "U", "S", "V")


# -- Cholesky ----------------------------------------------------------------------------------------------------------


def _not_positive(name: str, k: int, which: str) -> LinAlgError:
    return LinAlgError(
        f"{name}: {which}The factorization could not be completed because the input is not positive-definite (the "
        f"leading minor of order {k} is not positive-definite)."
    )


def _leading_minors(a: Any, upper: bool, xp: Any) -> Any:
    """For each matrix the order of the first leading minor that is not positive, 0 if all are (on a GPU nan tells)."""
    a = T(a) if upper else a
    if xp is not np:
        return xp.isnan(xp.linalg.cholesky(a)).any(axis=(-2, -1)).astype("int32")
    if _factor(a, np) is not None:
        return np.zeros(a.shape[:-2], "int32")
    return np.asarray([_first_failure(x) for x in a.reshape(-1, *a.shape[-2:])], "int32").reshape(a.shape[:-2])


def _factor(a: Any, xp: Any) -> Any:
    """L, or None if there is none (on a GPU nobody looks)."""
    try:
        out = xp.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return None
    return None if xp is np and np.isnan(out.diagonal(0, -2, -1)).any() else out


def _first_failure(a: Any) -> int:
    """By bisection, for a minor that fails makes all larger ones fail."""
    low, high = 0, len(a) + 1  # that of order `low` is positive; that of order `high`, if there is one, is not
    while high - low > 1:
        middle = (low + high) // 2
        if _factor(a[:middle, :middle], np) is None:
            high = middle
        else:
            low = middle
    return high % (len(a) + 1)


@Op(node="LinalgCholeskyExBackward0")
def cholesky_factor(A, upper: bool, name: str, *, xp):
    """Lower triangular L with A = L L^T, or U = L^T if `upper`; only that triangle of A is looked at."""
    factor = _factor(T(A) if upper else A, xp)
    if factor is None:
        order = _leading_minors(A, upper, xp).reshape(-1)
        place = int((order != 0).argmax())
        raise _not_positive(name, int(order[place]), batch_element(place, A.ndim))
    return T(factor) if upper else factor


def _cholesky_rule(g, out, upper):
    """sym(L^-T Phi(L^T g) L^-1), Phi being the lower triangle with half of the diagonal (I. Murray 2016,
    "Differentiation of the Cholesky decomposition", section 3). That of symmetric matrices, so symmetric itself.
    """
    factor, g = (T(out), T(g)) if upper else (out, g)
    phi = product(T(factor), g)
    phi = tril(phi) + T(tril(phi, -1))  # Phi + Phi^T
    left = linalg_solve_triangular(T(factor), phi, upper=True)
    return linalg_solve_triangular(factor, left, upper=False, left=False) / 2


cholesky_factor.derivative(A=_cholesky_rule)


@forms(method=False, out="exact")
def linalg_cholesky(input: Any, *, upper: bool = False) -> Any:
    """L with A = L L^T, or the upper U with A = U^T U, of positive-definite matrices; LinAlgError for others."""
    need_square("linalg.cholesky", input)
    need_real("linalg.cholesky", unwrap(input), "cholesky_cpu")
    return cholesky_factor(input, upper, "linalg.cholesky")


@forms(method=False, out="exact")
def linalg_cholesky_ex(input: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """`cholesky`, and `info`: for each matrix 0, or the order of the leading minor that is not positive.

    L is nan then, unless `check_errors` makes it a LinAlgError.
    """
    need_square("linalg.cholesky", input)
    need_real("linalg.cholesky", input.array, "cholesky_cpu")
    info = _leading_minors(input.array, upper, backend.module_of(input.array))
    if not backend.to_numpy(info).any():
        return cholesky_ex_result(cholesky_factor(input, upper, ""), wrap(info))
    if check_errors:
        cholesky_factor(input, upper, "linalg.cholesky_ex")
    good = wrap((info == 0)[..., None, None])
    factor = cholesky_factor(where(good, input, identity(input)), upper, "")
    return cholesky_ex_result(where(good, factor, math.nan), wrap(info))


@forms()
def cholesky(input: Any, upper: bool = False) -> Any:
    """`linalg.cholesky`."""
    warn_deprecated("cholesky", "cholesky")
    need_square("cholesky", input)
    need_single_or_double(unwrap(input), "cholesky_cpu")
    return cholesky_factor(input, upper, "cholesky")


# -- eigenvalues -------------------------------------------------------------------------------------------------------


@Op(node="LinalgEighBackward0", outputs=("eigenvalues", "eigenvectors"))
def eigen(A, UPLO: str, *, xp):
    """Eigenvalues w, in ascending order, and eigenvectors, the columns of V, of A = V diag(w) V^T."""
    need_square("linalg.eigh", A)
    need_single_or_double(A, "linalg_eigh_cpu")
    try:
        return tuple(xp.linalg.eigh(A, UPLO))
    except np.linalg.LinAlgError:
        raise _no_eigenvalues() from None


def _no_eigenvalues() -> LinAlgError:
    return LinAlgError(
        "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
        "repeated eigenvalues\nor contains nan or inf"
    )


def between(values: Any) -> Any:
    """E[i, j] = values[j] - values[i], and 1 on the diagonal."""
    return values[..., None, :] - values[..., :, None] + identity_of(values)


def identity_of(values: Any) -> Any:
    """The identity matrix for a diagonal of `values`, an array."""
    array = unwrap(values)
    return backend.module_of(array).eye(array.shape[-1], dtype=array.dtype)


def skew(x: Any) -> Any:
    """x - x^T."""
    return x - T(x)


def put_on_diagonal(values: Any) -> Any:
    """Square matrices with `values` on their diagonals, zero elsewhere."""
    shape = tuple(values.shape)
    return put_diagonal(values, 0, len(shape) - 1, len(shape), (*shape, shape[-1]))


@eigen.joint_derivative("A")
def _eigen_rule(g, eigenvalues, eigenvectors):
    """V (diag(gw) + skew(V^T gV) / 2E) V^T, with E[i, j] = w[j] - w[i] and skew(X) = X - X^T (Giles 2008, section 3.1).

    That of symmetric matrices, so symmetric itself.
    """
    gw, gv = g
    v = eigenvectors
    if gv is None:
        return (product(v * gw[..., None, :], T(v)),)
    inner = skew(product(T(v), gv)) / (2 * between(eigenvalues))
    return (product(v, inner if gw is None else inner + put_on_diagonal(gw), T(v)),)


def _triangle(UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper()


@forms(method=False, out="exact")
def linalg_eigh(input: Any, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of symmetric matrices, in ascending order; the triangle `UPLO` is looked at."""
    return linalg_eigh_result(*eigen(input, _triangle(UPLO)))


@forms(method=False, out="exact")
def linalg_eigvalsh(input: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices, in ascending order."""
    if mode.grad and wants_grad(input):
        return eigen(input, _triangle(UPLO))[0]
    need_square("linalg.eigh", input)
    need_single_or_double(input.array, "linalg_eigh_cpu")
    try:
        return wrap(backend.module_of(input.array).linalg.eigvalsh(input.array, _triangle(UPLO)))
    except np.linalg.LinAlgError:
        raise _no_eigenvalues() from None


# -- singular values ---------------------------------------------------------------------------------------------------


@Op(node="LinalgSvdBackward0", outputs=("U", "S", "Vh"))
def singular(A, full_matrices: bool, *, xp):
    """U, S and V^T of A = U diag(S) V^T, S descending; with `full_matrices` U and V are square."""
    need_real("linalg.svd", A, "linalg_svd_cpu")
    try:
        return tuple(xp.linalg.svd(A, full_matrices=full_matrices))
    except np.linalg.LinAlgError:
        raise _no_singular_values() from None


def _no_singular_values() -> LinAlgError:
    return LinAlgError(
        "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values."
    )


@singular.joint_derivative("A")
def _singular_rule(g, U, S, Vh, full_matrices):
    """U (skew(U^T gU) / E S + S skew(V^T gV) / E + diag(gS)) V^T, with E[i, j] = S[j]^2 - S[i]^2 and skew(X) = X - X^T,
    and for what lies outside of the spans of U and V: (1 - U U^T) gU S^-1 V^T + U S^-1 gV^T (1 - V V^T)
    (J. Townsend 2016, "Differentiating the singular value decomposition", section 2).
    """
    gu, gs, gvh = g
    k = S.shape[-1]
    if full_matrices:  # the columns beyond the k-th are anyone's choice, and count for nothing
        U, Vh = U[..., :k], Vh[..., :k, :]
        gu, gvh = None if gu is None else gu[..., :k], None if gvh is None else gvh[..., :k, :]
    s = S[..., None, :]
    inner, squares = 0 if gs is None else put_on_diagonal(gs), between(S * S)
    if gu is not None:
        inner = inner + skew(product(T(U), gu)) / squares * s
    if gvh is not None:
        inner = inner + T(s) * (skew(product(Vh, T(gvh))) / squares)
    out = product(U, inner, Vh)
    if gu is not None and U.shape[-2] > k:
        gu = gu / s
        out = out + product(gu - product(U, T(U), gu), Vh)
    if gvh is not None and Vh.shape[-1] > k:
        gvh = gvh / T(s)
        out = out + product(U, gvh - product(gvh, T(Vh), Vh))
    return (out,)


@forms(method=False, out="exact")
def linalg_svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh, S descending; with `full_matrices` U and Vh are square.

    The gradient divides by differences of squares of singular values. `driver` is for torch's CUDA only: RuntimeError.
    """
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    need_matrix("linalg.svd", A)
    return linalg_svd_result(*singular(A, full_matrices))


@forms(method=False, out="exact")
def linalg_svdvals(A: Any, *, driver: str | None = None) -> Any:
    """The singular values, in descending order."""
    need_matrix("linalg.svd", A)
    if (mode.grad and wants_grad(A)) or driver is not None:
        return linalg_svd(A, False, driver=driver)[1]
    need_real("linalg.svd", A.array, "linalg_svd_cpu")
    try:
        return wrap(backend.module_of(A.array).linalg.svd(A.array, compute_uv=False))
    except np.linalg.LinAlgError:
        raise _no_singular_values() from None


@forms(out="exact")
def svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with A = U diag(S) V^T: `linalg.svd`, but V instead of its transpose; zeros unless `compute_uv`."""
    if input.ndim < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {input.ndim} dimensions instead"
        )
    if compute_uv:
        u, s, vh = linalg_svd(input, not some)
        return svd_result(u, s, T(vh))
    s, xp = linalg_svdvals(input), backend.module_of(input.array)
    front, sides = input.array.shape[:-2], input.array.shape[-2:]
    u, v = (wrap(xp.zeros((*front, n, n), input.array.dtype)) for n in sides)
    return svd_result(u, s, v)


# -- QR ----------------------------------------------------------------------------------------------------------------


@Op(node="LinalgQrBackward0", outputs=("Q", "R"))
def orthogonal(A, mode: str, *, xp):
    """Q, with orthonormal columns, and upper triangular R of A = Q R."""
    need_real("linalg.qr", A, "geqrf_cpu")
    if mode == "r":
        return xp.empty(0, A.dtype), xp.linalg.qr(A, mode="r")
    return tuple(xp.linalg.qr(A, mode=mode))


@orthogonal.joint_derivative("A")
def _qr_rule(g, Q, R, mode):
    """With M = gR R^T - Q^T gQ: for m >= n it is (gQ + Q sym(M)) R^-T, where sym mirrors the upper triangle; for m < n
    and R = (R1 | R2) it is Q gR + (Q tril(M^T - M) R1^-T | 0) (S. Walter & L. Lehmann 2010, "Algorithmic
    differentiation of linear algebra functions with application in optimum experimental design", section 3).
    """
    gq, gr = g
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
            "mode='reduced') if you are going to differentiate through linalg.qr."
        )
    m, n = Q.shape[-2], R.shape[-1]
    if mode == "complete" and m > n:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    inner = 0 if gr is None else product(gr, T(R))
    if gq is not None:
        inner = inner - product(T(Q), gq)
    if m >= n:
        upper = triu(inner)
        out = product(Q, upper + T(triu(upper, 1)))
        out = out if gq is None else out + gq
        return (linalg_solve_triangular(T(R), out, upper=False, left=False),)
    out = product(Q, tril(T(inner) - inner))
    out = linalg_solve_triangular(T(R[..., :m]), out, upper=False, left=False)
    out = padded(out, (*((0, 0),) * (len(out.shape) - 1), (0, n - m)), 0.0)
    return (out if gr is None else out + product(Q, gr),)


@forms(method=False, out="exact")
def linalg_qr(A: Any, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R, Q orthonormal and R upper triangular; mode "complete" makes Q square, "r" leaves it out."""
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    need_matrix("linalg.qr", A)
    return linalg_qr_result(*orthogonal(A, mode))


@forms(out="exact")
def qr(input: Any, some: bool = True) -> Any:
    """`linalg.qr`, reduced if `some`, else complete."""
    warn_deprecated("qr", "qr")
    return qr_result(*linalg_qr(input, "reduced" if some else "complete"))
