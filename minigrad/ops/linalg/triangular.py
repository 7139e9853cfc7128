"""Triangular systems of equations, and what is solved by way of a Cholesky factor.

Of X = A^-1 B with gradient g that of B is A^-T g, and that of A is -(A^-T g) X^T where A is not zero by definition
(M. Giles 2008, "An extended collection of matrix derivative results", section 2.3).
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import unwrap
from minigrad.backend import np
from minigrad.kernels.products import stacked
from minigrad.kernels.triangular import solve_triangular
from minigrad.ops.arrange import tril, triu
from minigrad.ops.forms import forms
from minigrad.ops.linalg.matrices import (
    LinAlgError,
    T,
    batch_element,
    identity,
    need_matrix,
    need_single_or_double,
    need_square,
    product,
    warn_deprecated,
)
from minigrad.ops.return_types import return_type

__all__ = ["cholesky_inverse", "cholesky_solve", "triangular_solve"]

triangular_solve_result = return_type("triangular_solve", "solution", "cloned_coefficient")


# -- shapes that fit ---------------------------------------------------------------------------------------------------


def check_sides(name: str, a: Any, b: Any, left: bool) -> None:
    """RuntimeError unless A X = B, or X A = B, is an equation between matrices whose stacks can be broadcast."""
    need_matrix(name, b, "B")
    if a.shape[-2] != b.shape[-2 if left else -1]:
        sizes = "x".join(map(str, a.shape[-2:])), "x".join(map(str, b.shape[-2:]))
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B "
            f"({sizes[0]} and {sizes[1]})"
        )
    check_stacks(b, a)


def check_stacks(a: Any, b: Any) -> None:
    """RuntimeError unless the dims in front of the matrices can be broadcast together."""
    n = max(a.ndim, b.ndim) - 2
    for i in range(3, min(a.ndim, b.ndim) + 1):
        if a.shape[-i] != b.shape[-i] and 1 not in (a.shape[-i], b.shape[-i]):
            raise RuntimeError(
                f"The size of tensor a ({a.shape[-i]}) must match the size of tensor b ({b.shape[-i]}) at "
                f"non-singleton dimension {n + 2 - i}\nthe matrices are stacked {list(a.shape[:-2])} and "
                f"{list(b.shape[:-2])}"
            )


def check_factor(a: Any, b: Any) -> None:
    """RuntimeError unless the factor `a` and the right-hand side `b` fit, in torch's older words."""
    if a.dtype != b.dtype:
        kinds = [backend.dtype_of(unwrap(x)).type_name for x in (b, a)]
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {kinds[0]} and A of type {kinds[1]} instead."
        )
    m, n = a.shape[-2:]
    if m != n:
        raise RuntimeError(f"A must be batches of square matrices, but they are {m} by {n} matrices")
    if n != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for linear solve: each A matrix is {m} by {m} but each b matrix is "
            f"{b.shape[-2]} by {b.shape[-1]}"
        )


# -- triangular systems ------------------------------------------------------------------------------------------------


@forms(method=False, out="exact")
@Op(node="LinalgSolveTriangularBackward0")
def linalg_solve_triangular(input, B, *, upper: bool, left: bool = True, unitriangular: bool = False, xp):
    """X with A X = B, or with X A = B unless `left`, A being the upper or the lower triangle of `input`.

    With `unitriangular` A's diagonal counts as ones. Division by a zero on the diagonal gives inf or nan.
    """
    need_square("linalg.solve_triangular", input)
    check_sides("linalg.solve_triangular", input, B, left)
    need_single_or_double(input, "triangular_solve_cpu")
    B = B.astype(input.dtype, copy=False)
    if left:
        return solve_triangular(input, B, upper, unitriangular, xp)
    return T(solve_triangular(T(input), T(B), not upper, unitriangular, xp))


@linalg_solve_triangular.joint_derivative("input", "B")
def _solve_triangular_rule(g, input, out, upper, left, unitriangular, needs):
    b = linalg_solve_triangular(T(input), g, upper=not upper, left=left, unitriangular=unitriangular)
    if not needs[0]:
        return None, b
    a = -(product(b, T(out)) if left else product(T(out), b))
    return triu(a, int(unitriangular)) if upper else tril(a, -int(unitriangular)), b


@Op(node="TriangularSolveBackward0", outputs=("solution", "cloned_coefficient"))
def solution_and_copy(input, A, upper: bool, transpose: bool, unitriangular: bool, *, xp):
    """X with A X = `input`, or A^T X = `input`, A triangular; and a copy of A, one for each X."""
    for name, x in (("b", input), ("A", A)):
        if x.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it has {x.ndim} "
                f"dimensions instead"
            )
    check_factor(A, input)
    check_stacks(input, A)
    need_single_or_double(input, "triangular_solve_cpu")
    matrix, reads_upper = (T(A), not upper) if transpose else (A, upper)
    x = solve_triangular(matrix, input, reads_upper, unitriangular, xp)
    return x, xp.array(xp.broadcast_to(A, (*x.shape[:-2], *A.shape[-2:])))


@solution_and_copy.joint_derivative("input", "A")
def _solution_and_copy_rule(g, A, solution, upper, transpose, unitriangular, needs):
    gx, copied = g
    if gx is None:
        return None, copied
    matrix, reads_upper = (A, not upper) if transpose else (T(A), upper)
    b = linalg_solve_triangular(matrix, gx, upper=not reads_upper, unitriangular=unitriangular)
    if not needs[1]:
        return b, None
    a = -(product(solution, T(b)) if transpose else product(b, T(solution)))
    a = triu(a, int(unitriangular)) if upper else tril(a, -int(unitriangular))
    return b, a if copied is None else a + copied


@forms(out="exact")
def triangular_solve(
    input: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(X, a copy of A) with A X = `input`, or with A^T X = `input` if `transpose`, A triangular."""
    result = triangular_solve_result(*solution_and_copy(input, A, upper, transpose, unitriangular))
    warn_deprecated("triangular_solve", "solve_triangular")
    return result


# -- by way of a Cholesky factor ---------------------------------------------------------------------------------------


@forms()
@Op
def cholesky_solve(input, input2, upper: bool = False, *, xp):
    """X with A X = `input`, given the triangle `input2` = L of A = L L^T, or U of U^T U if `upper`."""
    for name, x in (("b", input), ("u", input2)):
        if x.ndim < 2:
            raise RuntimeError(f"{name} should have at least 2 dimensions, but has {x.ndim} dimensions instead")
    check_factor(input2, input)
    check_stacks(input, input2)
    need_single_or_double(input, "cholesky_solve_cpu")
    half = solve_triangular(T(input2) if upper else input2, input, False, False, xp)
    return solve_triangular(input2 if upper else T(input2), half, True, False, xp)


@cholesky_solve.joint_derivative("input", "input2")
def _cholesky_solve_rule(g, input2, out, upper, needs):
    b = cholesky_solve(g, input2, upper)
    if not needs[1]:
        return b, None
    m = product(b, T(out))
    m = m + T(m)
    return b, -(product(input2, m) if upper else product(m, input2))


@forms()
@Op
def cholesky_inverse(input, upper: bool = False, *, xp):
    """The inverse of A, given a triangle of A = L L^T, or U^T U if `upper`."""
    need_square("cholesky_inverse", input)
    need_single_or_double(input, "cholesky_inverse_out_cpu")
    factor = T(input) if upper else input
    if xp is np and (zero := factor.diagonal(0, -2, -1) == 0).any():
        at = np.argwhere(zero.reshape(-1, zero.shape[-1]))[0]
        raise LinAlgError(
            f"cholesky_inverse: {batch_element(int(at[0]), input.ndim)}The diagonal element {at[1] + 1} is zero, the "
            f"inversion could not be completed because the input matrix is singular."
        )
    inverse = solve_triangular(factor, identity(factor), False, False, xp)
    return stacked(T(inverse), inverse)


def _cholesky_inverse_rule(g, input, out, upper):
    m = product(out, g + T(g), out)
    return -(product(input, m) if upper else product(m, input))


cholesky_inverse.derivative(input=_cholesky_inverse_rule)
