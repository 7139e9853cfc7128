"""Linear equations, inverses and determinants.

With X = A^-1 B and gradient g, that of B is A^-T g and that of A is -(A^-T g) X^T; inverses and determinants follow
(M. Giles 2008, "An extended collection of matrix derivative results", section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import unwrap, wrap
from minigrad.backend import np
from minigrad.kernels import triangular
from minigrad.ops.compare import where
from minigrad.ops.forms import forms
from minigrad.ops.linalg.decompositions import singular
from minigrad.ops.linalg.matrices import (
    LinAlgError,
    T,
    batch_element,
    identity,
    need_matrix,
    need_real,
    need_square,
    product,
)
from minigrad.ops.linalg.triangular import check_sides
from minigrad.ops.return_types import return_type
from minigrad.ops.scan import product_of_others
from minigrad.ops.shape import movedim, reshape, unsqueeze

__all__ = ["det", "inverse", "logdet", "slogdet"]

inv_ex_result = return_type("linalg_inv_ex", "inverse", "info")
solve_ex_result = return_type("linalg_solve_ex", "result", "info")
linalg_slogdet_result = return_type("linalg_slogdet", "sign", "logabsdet")
slogdet_result = return_type("slogdet", "sign", "logabsdet")


# -- singular matrices -------------------------------------------------------------------------------------------------


def zero_pivots(a: Any) -> Any:
    """For each matrix the number, from 1, of the first zero on the diagonal of U in A = P L U; 0 if there is none."""
    xp = backend.module_of(a)
    return first_zero(triangular.lu(a, xp)[0])


def first_zero(u: Any) -> Any:
    """For each matrix the number, from 1, of the first zero on its diagonal; 0 if there is none."""
    xp = backend.module_of(u)
    zero = u.diagonal(0, -2, -1) == 0
    if not zero.shape[-1]:
        return xp.zeros(zero.shape[:-1], "int32")
    return xp.asarray(xp.where(zero.any(axis=-1), zero.argmax(axis=-1) + 1, 0).astype("int32"))


def check(info: Any, ndim: int, fault: Callable[[int, str], Exception]) -> None:
    """The exception that `fault` makes for the first matrix whose `info` is not 0."""
    failed = backend.to_numpy(info).reshape(-1)
    if failed.any():
        place = int((failed != 0).argmax())
        raise fault(int(failed[place]), batch_element(place, ndim))


def refuse_singular(name: str, a: Any) -> None:
    """LinAlgError, in the words that torch has for `name`, if one of the matrices is singular."""
    texts = {
        True: "The solver failed because the input matrix is singular.",
        False: "The diagonal element {} is zero, the inversion could not be completed because the input matrix is "
        "singular.",
    }
    text = texts["solve" in name]
    check(zero_pivots(a), a.ndim, lambda k, which: LinAlgError(f"{name}: {which}{text.format(k)}"))


# -- inverses ----------------------------------------------------------------------------------------------------------


@Op(node="LinalgInvExBackward0")
def inverted(A, name: str, *, xp):
    """The inverses of square matrices. For a singular one LinAlgError, if there is a `name` to complain in, else inf
    and nan (and on a GPU in any case, where nobody looks).
    """
    need_square("linalg.inv", A)
    need_real("linalg.inv", A)
    try:
        return xp.linalg.inv(A)
    except np.linalg.LinAlgError:
        if name:
            refuse_singular(name, A)
        return triangular.solve(A, identity(A), xp)


inverted.derivative(A=lambda g, out: -product(T(out), g, T(out)))


@forms(method=False, out="exact")
def linalg_inv(A: Any) -> Any:
    """The inverses of square matrices; LinAlgError if one is singular."""
    return inverted(A, "linalg.inv")


@forms(out="exact")
def inverse(input: Any) -> Any:
    """The inverses of square matrices: `linalg.inv`."""
    return linalg_inv(input)


@forms(method=False, out="exact")
def linalg_inv_ex(A: Any, *, check_errors: bool = False) -> Any:
    """`inv`, and `info`: for each matrix 0, or which pivot is zero; there the inverse is of inf and nan, unless
    `check_errors` makes it a LinAlgError.
    """
    need_square("linalg.inv", A)
    need_real("linalg.inv", A.array)
    if check_errors:
        refuse_singular("linalg.inv_ex", A.array)
    return inv_ex_result(inverted(A, ""), wrap(zero_pivots(A.array)))


# -- systems of equations ----------------------------------------------------------------------------------------------


def _is_vector(a: Any, b: Any) -> bool:
    """Whether `b` holds right-hand sides that are vectors: one, or as many as there are matrices."""
    return b.ndim == 1 or (b.ndim + 1 == a.ndim and b.shape == a.shape[:-1])


@Op(node="LinalgSolveExBackward0")
def solve(A, B, left: bool, name: str, *, xp):
    """X with A X = B, or X A = B unless `left`. For a singular A as `inverted`."""
    _check_system(A, B, left)
    vector = _is_vector(A, B)
    b = B[..., None] if vector else B
    try:
        x = _solve(A, b, xp) if left else T(_solve(T(A), T(b), xp))
    except np.linalg.LinAlgError:
        if name:
            refuse_singular(name, A)
        x = triangular.solve(A, b, xp) if left else T(triangular.solve(T(A), T(b), xp))
    return x[..., 0] if vector else x


def _solve(a: Any, b: Any, xp: Any) -> Any:
    """CuPy neither broadcasts nor tells vectors from matrices as NumPy does: both are given as many stacks."""
    front = xp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return xp.linalg.solve(xp.broadcast_to(a, (*front, *a.shape[-2:])), xp.broadcast_to(b, (*front, *b.shape[-2:])))


def _check_system(a: Any, b: Any, left: bool) -> None:
    if b.ndim == 0 or (b.ndim == 1 and a.ndim < 2):
        need_matrix("linalg.solve", a)
    need_square("linalg.solve", a)
    need_real("linalg.solve", a, "lu_cpu")
    if a.dtype != b.dtype:
        kinds = [backend.dtype_of(x).type_name for x in (a, b)]
        raise RuntimeError(
            f"linalg.solve: Expected A and B to have the same dtype, but found A of type {kinds[0]} and B of type "
            f"{kinds[1]} instead"
        )
    vector = _is_vector(a, b)
    check_sides("linalg.solve", a, b[..., None] if vector else b, left)
    if vector and not left:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
            "linalg.solve is equivalent to B / A.squeeze(-1)"
        )


@solve.joint_derivative("A", "B")
def _solve_rule(g, A, out, left, B_shape, needs):
    vector = len(B_shape) == 1 or (len(B_shape) + 1 == len(A.shape) and B_shape == A.shape[:-1])
    b = solve(T(A), g, left, "")
    if not needs[0]:
        return None, b
    if vector:
        return -(unsqueeze(b, -1) * unsqueeze(out, -2)), b
    return -(product(b, T(out)) if left else product(T(out), b)), b


@forms(method=False, out="exact")
def linalg_solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """X with A X = B, or with X A = B unless `left`; B is a matrix or a vector, stacks are broadcast.

    LinAlgError if A is singular, RuntimeError for shapes that do not fit and for two dtypes.
    """
    return solve(A, B, left, "torch.linalg.solve")


@forms(method=False, out="exact")
def linalg_solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """`solve`, and `info`: for each matrix 0, or which pivot is zero; there X is of inf and nan, unless `check_errors`
    makes it a LinAlgError.
    """
    _check_system(A.array, B.array, left)
    if check_errors:
        refuse_singular("torch.linalg.solve_ex", A.array)
    return solve_ex_result(solve(A, B, left, ""), wrap(zero_pivots(A.array)))


# -- determinants ------------------------------------------------------------------------------------------------------


@forms(method=False, out="exact")
@Op(node="LinalgDetBackward0")
def linalg_det(A, *, xp):
    """The determinants of square matrices."""
    need_square("linalg.det", A)
    need_real("linalg.det", A, "lu_cpu")
    return xp.linalg.det(A)


def cofactors(A: Any, det: Any) -> Any:
    """The gradient det(A) A^-T of the determinant. That of a singular matrix U S V^T is det(U) det(V) U C V^T, with
    the products of all other singular values on the diagonal of C (on a GPU nobody looks: inf and nan).
    """
    if type(found := unwrap(det)) is not backend.ndarray or found.all():
        return det[..., None, None] * T(inverted(A, ""))
    u, s, vh = singular(A, False)
    return product(u * (linalg_det(u) * linalg_det(vh))[..., None, None] * product_of_others(s, -1)[..., None, :], vh)


linalg_det.derivative(A=lambda g, A, out: g[..., None, None] * cofactors(A, out))


@Op(node="LinalgSlogdetBackward0", outputs=("sign", "logabsdet"))
def sign_and_logdet(A, *, xp):
    """The signs of the determinants of square matrices, and the logarithms of their sizes: 0 and -inf for singular."""
    need_square("linalg.slogdet", A)
    need_real("linalg.slogdet", A)
    return tuple(xp.linalg.slogdet(A))


@sign_and_logdet.joint_derivative("A")
def _slogdet_rule(g, A):
    return (None if g[1] is None else g[1][..., None, None] * T(inverted(A, "")),)


@forms(out=False)
def det(input: Any) -> Any:
    """The determinants of square matrices: `linalg.det`."""
    return linalg_det(input)


@forms(method=False, out="exact")
def linalg_slogdet(A: Any) -> Any:
    """(sign, logabsdet): det(A) is sign * exp(logabsdet), even where it would overflow."""
    return linalg_slogdet_result(*sign_and_logdet(A))


@forms(out="exact")
def slogdet(input: Any) -> Any:
    """`linalg.slogdet`."""
    return slogdet_result(*sign_and_logdet(input))


@forms(out=False)
def logdet(input: Any) -> Any:
    """log(det(A)) of square matrices: nan for a negative determinant, -inf for zero."""
    need_square("logdet", input)
    need_real("logdet", unwrap(input))
    sign, logabsdet = sign_and_logdet(input)
    return where(sign == -1, math.nan, logabsdet)


# -- tensors as matrices -----------------------------------------------------------------------------------------------


@forms(method=False)
def linalg_tensorinv(input: Any, ind: int = 2) -> Any:
    """The inverse with respect to `tensordot`: the first `ind` dims are the matrix's rows, the others its columns."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    if ind > input.ndim:
        raise RuntimeError(
            f"ArrayRef: invalid slice, N = {ind}; size = {input.ndim}\nthe tensor has fewer dims than `ind`"
        )
    need_real("linalg.inv", unwrap(input))
    rows, columns = tuple(input.shape[:ind]), tuple(input.shape[ind:])
    n, m = math.prod(rows), math.prod(columns)
    if n != m:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {m} "
            f"!= {n}"
        )
    return reshape(inverted(reshape(input, (n, m)), "inv"), (*columns, *rows))


@forms(method=False)
def linalg_tensorsolve(input: Any, other: Any, dims: Any = None) -> Any:
    """X with tensordot(A, X, X.ndim) = B, after moving the dims `dims` of A to its end."""
    if dims is not None:
        input = movedim(input, tuple(dims), tuple(range(-len(dims), 0)))
    if other.ndim > input.ndim:
        raise RuntimeError(
            f"cannot create std::vector larger than max_size()\nthe right-hand side has {other.ndim} dims, the "
            f"tensor of the equation only {input.ndim}"
        )
    shape = tuple(input.shape[other.ndim :])
    n, rows = math.prod(shape), math.prod(other.shape)
    if n != rows:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {n} != {rows}"
        )
    return reshape(linalg_solve(reshape(input, (rows, n)), reshape(other, (-1,))), shape)
