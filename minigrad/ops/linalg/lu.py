"""LU factorisation with row exchanges, A = P L U, and what is solved by way of it.

Both factors live in one matrix, L's diagonal of ones left out; `pivots` says, counting from 1, with which row each row
was exchanged, one after the other. All is by Gaussian elimination (`kernels.triangular.lu`).
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import unwrap, wrap
from minigrad.kernels import triangular
from minigrad.ops.arrange import tril, triu
from minigrad.ops.forms import forms
from minigrad.ops.join import joined
from minigrad.ops.linalg.matrices import T, need_matrix, need_single_or_double, need_square, product, warn_deprecated
from minigrad.ops.linalg.solve import check, first_zero
from minigrad.ops.linalg.triangular import check_sides, linalg_solve_triangular
from minigrad.ops.return_types import return_type
from minigrad.ops.shape import reshape

__all__ = ["lu", "lu_solve", "lu_unpack"]

linalg_lu_result = return_type("linalg_lu", "P", "L", "U")
linalg_lu_factor_result = return_type("linalg_lu_factor", "LU", "pivots")
linalg_lu_factor_ex_result = return_type("linalg_lu_factor_ex", "LU", "pivots", "info")
lu_with_info_result = return_type("_lu_with_info", "LU", "pivots", "info")
lu_unpack_result = return_type("lu_unpack", "P", "L", "U")


# -- the factorisation -------------------------------------------------------------------------------------------------


@Op(node="LinalgLuFactorExBackward0", outputs=("LU", "indices"))
def lu_factors(A, *, xp):
    """L and U in one matrix, and the rows exchanged, counted from 0."""
    return triangular.lu(A, xp)


@lu_factors.joint_derivative("A")
def _lu_rule(g, LU, indices, xp):
    """P L^-T (tril(L^T gL, -1) + triu(gU U^T)) U^-T for a square A: of L only what is below the diagonal is free, of U
    what is not (S. Walter & L. Lehmann 2010, section 3). The rows below, or the columns beside, a square part A1 are
    L2 U1 and L1 U2: their gradients are gL2 U1^-T and L1^-T gU2, and are taken from those of U1 and L1.
    """
    m, n = LU.shape[-2:]
    k = min(m, n)
    square, of_square = LU[..., :k, :k], g[..., :k, :k]
    lower = product(T(_unit_lower(square)), tril(of_square, -1))
    upper = product(triu(of_square), T(triu(square)))
    if m > k:
        below = _times_inverse_u(square, g[..., k:, :])
        upper = upper - product(T(LU[..., k:, :]), g[..., k:, :])
    if n > k:
        beside = _inverse_l_times(square, g[..., k:])
        lower = lower - product(g[..., k:], T(LU[..., k:]))
    out = _times_inverse_u(square, _inverse_l_times(square, tril(lower, -1) + triu(upper)))
    if m > k:
        out = joined(out, below, dim=-2)
    if n > k:
        out = joined(out, beside, dim=-1)
    return (product(permutation_matrix(indices, m, g), out),)


def _unit_lower(lu: Any) -> Any:
    """L, (..., m, k), of an LU of k columns."""
    array = unwrap(lu)
    return tril(lu, -1) + backend.module_of(array).eye(*array.shape[-2:], dtype=array.dtype)


def _inverse_l_times(lu: Any, x: Any) -> Any:
    """L^-T X."""
    return linalg_solve_triangular(T(lu), x, upper=True, unitriangular=True)


def _times_inverse_u(lu: Any, x: Any) -> Any:
    """X U^-T."""
    return linalg_solve_triangular(T(lu), x, upper=False, left=False)


def permutation_matrix(rows: Any, m: int, like: Any) -> Any:
    """P with A = P L U, an array: its column k is one in the row of A that is the k-th of L U."""
    rows, dtype = unwrap(rows), unwrap(like).dtype
    xp = backend.module_of(rows)
    order = triangular.permutation(rows, m, xp)
    return (xp.arange(m)[:, None] == order[..., None, :]).astype(dtype)


def _check_matrix(name: str, a: Any, pivot: bool) -> None:
    if a.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} instead")
    need_single_or_double(a, "lu_cpu")
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


def _info(name: str, lu: Any) -> Any:
    """`info`: the number of the first zero pivot, or 0, of each matrix; RuntimeError for a zero, if there is a name."""
    info = first_zero(lu)

    def fault(k: int, which: str) -> Exception:
        return RuntimeError(
            f"torch.{name}: {which}U[{k},{k}] is zero and using it on lu_solve would result in a division by zero. If "
            f"you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            f"linalg.lu_factor_ex(A, pivot)"
        )

    if name:
        check(info, lu.ndim, fault)
    return wrap(info)


def _factored(A: Any, pivot: bool) -> tuple[Any, Any]:
    _check_matrix("torch.lu_factor", unwrap(A), pivot)
    factors, rows = lu_factors(A)
    return factors, wrap((unwrap(rows) + 1).astype("int32"))


def linalg_lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """(LU, pivots) of A = P L U. RuntimeError if A is singular."""
    factors, pivots = _factored(A, pivot)
    _info("linalg.lu_factor", unwrap(factors))
    return linalg_lu_factor_result(factors, pivots)


@forms(method=False, out="exact")
def linalg_lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info), `info` being 0, or the number of the first pivot that is zero, for each matrix."""
    factors, pivots = _factored(A, pivot)
    info = _info("linalg.lu_factor_ex" if check_errors else "", unwrap(factors))
    return linalg_lu_factor_ex_result(factors, pivots, info)


@forms(method=False, out="exact")
def linalg_lu(A: Any, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U: a permutation, lower triangular with ones on the diagonal, and upper triangular."""
    _check_matrix("linalg.lu", unwrap(A), pivot)
    factors, rows = lu_factors(A)
    lower, upper = _parts(factors)
    return linalg_lu_result(wrap(permutation_matrix(rows, A.shape[-2], A)), lower, upper)


@forms()
def lu(A: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots), or with `get_infos` what `linalg.lu_factor_ex` returns."""
    warn_deprecated("lu", "lu_factor / torch.linalg.lu_factor_ex")
    factors, pivots = _factored(A, pivot)
    if get_infos:
        return lu_with_info_result(factors, pivots, _info("", unwrap(factors)))
    return factors, pivots


# -- its use -----------------------------------------------------------------------------------------------------------


def _parts(lu: Any) -> tuple[Any, Any]:
    k = min(lu.shape[-2:])
    return _unit_lower(lu[..., :k]), triu(lu[..., :k, :])


@forms(method=False, out="exact")
def lu_unpack(LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """(P, L, U) of what `linalg.lu_factor` returns; empty what is not wanted."""
    a, pivots = unwrap(LU_data), unwrap(LU_pivots)
    if a.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} instead"
        )
    p = wrap(backend.module_of(a).empty(0, a.dtype))
    lower = upper = reshape(LU_data, (-1,))[:0]
    if unpack_pivots:
        _check_pivots(pivots, a.shape[-2], min(a.shape[-2:]))
        p = wrap(permutation_matrix(pivots - 1, a.shape[-2], a))
    if unpack_data:
        lower, upper = _parts(LU_data)
    return lu_unpack_result(p, lower, upper)


def _check_pivots(pivots: Any, m: int, k: int) -> None:
    if pivots.dtype != "int32":
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    host = backend.to_numpy(pivots)
    if pivots.shape[-1] != k or (host < 1).any() or (host > m).any():
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the result "
            "of lu_factor?"
        )


@forms(method=False, out="exact")
def linalg_lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Any:
    """X with A X = B, or X A = B unless `left`, or either with A^T if `adjoint`, for A = P L U."""
    name = "linalg.lu_solve"
    a, rows = unwrap(LU), unwrap(pivots)
    need_matrix(name, LU, "LU")
    if a.dtype.kind != "f":
        need_single_or_double(a, "lu_solve_cpu")
    if rows.dtype != "int32":
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    if LU.dtype is not B.dtype:
        kinds = [backend.dtype_of(unwrap(x)).type_name for x in (LU, B)]
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type {kinds[0]} and B of type "
            f"{kinds[1]} instead"
        )
    need_square(f"torch.{name}", LU)
    check_sides(name, a, unwrap(B), left)
    need_single_or_double(a, "lu_solve_cpu")
    if a.shape[-1] != (rows.shape[-1] if rows.ndim else 1):
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    if rows.shape[:-1] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(rows.shape)} instead"
        )
    x = B if left else T(B)
    p = permutation_matrix(rows - 1, a.shape[-1], a)
    if adjoint is left:  # A^T X = B, that is U^T L^T P^T X = B
        x = linalg_solve_triangular(T(LU), x, upper=False)
        x = product(p, linalg_solve_triangular(T(LU), x, upper=True, unitriangular=True))
    else:
        x = linalg_solve_triangular(LU, product(T(p), x), upper=False, unitriangular=True)
        x = linalg_solve_triangular(LU, x, upper=True)
    return x if left else T(x)


@forms(out="exact")
def lu_solve(input: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """`linalg.lu_solve`, the right-hand side first."""
    warn_deprecated("lu_solve", "lu_solve")
    return linalg_lu_solve(LU_data, LU_pivots, input)
