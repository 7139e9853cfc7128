"""Pseudo-inverses and what follows from them: ranks and least squares."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import Variable, unwrap, wrap
from minigrad.kernels.products import stacked
from minigrad.ops.forms import forms
from minigrad.ops.linalg.decompositions import eigen, linalg_eigvalsh, linalg_svdvals, singular
from minigrad.ops.linalg.matrices import T, product
from minigrad.ops.linalg.triangular import check_stacks
from minigrad.ops.reduce import sum
from minigrad.ops.return_types import return_type
from minigrad.ops.shape import reshape, squeeze, unsqueeze

__all__ = ["pinverse"]

linalg_lstsq_result = return_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


# -- pseudo-inverses ---------------------------------------------------------------------------------------------------


def _tolerances(a: Any, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """Numbers or arrays, one for each matrix; by default, and without `atol`, rtol is max(m, n) * eps."""
    if rtol is None:
        rtol = max(a.shape[-2:]) * float(backend.np.finfo(a.dtype).eps)
        if atol is not None:
            array = unwrap(atol)
            rtol = rtol * (array <= 0)
    return (0.0 if atol is None else unwrap(atol)), unwrap(rtol)


def _counted(values: Any, atol: Any, rtol: Any, xp: Any) -> Any:
    """Which singular values (or sizes of eigenvalues) count as more than zero: those > max(atol, rtol * largest)."""
    if not values.shape[-1]:
        return values > 0
    limit = xp.maximum(xp.asarray(atol), xp.asarray(rtol) * values.max(axis=-1))
    return values > limit[..., None]


@Op(node="LinalgPinvBackward0")
def pseudo_inverse(A, atol: Any, rtol: Any, hermitian: bool, *, xp):
    """V diag(1/S) U^T of A = U diag(S) V^T, without the singular values that count as zero."""
    if hermitian:
        s, v = eigen.forward(A, "L", xp=xp)
        u, sizes = v, xp.abs(s)
    else:
        u, s, vh = singular.forward(A, False, xp=xp)
        v, sizes = T(vh), s
    counted = _counted(sizes, atol, rtol, xp)
    inverted = xp.where(counted, 1 / xp.where(counted, s, 1), 0)
    return stacked(v * inverted[..., None, :].astype(A.dtype), T(u))


@pseudo_inverse.joint_derivative("A")  # an op, as its rule, unlike those of U, S and V, divides by no difference
def _pseudo_inverse_rule(g, A, out):
    """-X^T g X^T + (1 - A X) g^T X X^T + X^T X g^T (1 - X A), X being A^+ (G. Golub & V. Pereyra 1973, theorem 4.3)."""
    x, gt = T(out), T(g)
    left, right = product(gt, out, x), product(x, out, gt)
    return (-product(x, g, x) + left - product(A, out, left) + right - product(right, out, A),)


@forms(method=False)
def linalg_pinv(input: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """The pseudo-inverse: singular values (or with `hermitian` eigenvalues) of a size at most max(atol, rtol * largest)
    count as zero; rtol, whose older name is `rcond`, is max(m, n) * eps by default.
    """
    if rcond is not None and (atol is not None or rtol is not None):
        raise TypeError(
            "linalg_pinv() received an invalid combination of arguments - got both rcond and atol or rtol, but "
            "expected either: rcond is the older name of rtol"
        )
    a = unwrap(input)
    if a.ndim < 2 or a.dtype not in ("float32", "float64"):
        raise RuntimeError(
            f"linalg.pinv({backend.dtype_of(a).type_name}{{{list(a.shape)}}}): expected a tensor with 2 or more "
            f"dimensions of float, double, cfloat or cdouble types"
        )
    return pseudo_inverse(input, *_tolerances(a, atol, rtol if rcond is None else rcond), hermitian)


@forms(out=False)
def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """`linalg.pinv` with another default."""
    return linalg_pinv(input, rcond)


@forms(method=False)
def linalg_matrix_rank(
    input: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """How many singular values (or with `hermitian` sizes of eigenvalues) are larger than max(atol, rtol * largest);
    `tol` is the older name of `atol`.
    """
    a = unwrap(input)
    if a.ndim < 2:
        raise RuntimeError("torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions.")
    _need_lapack(a)
    atol, rtol = _tolerances(a, *((atol, rtol) if tol is None else (tol, 0.0)))
    fixed, xp = wrap(a), backend.module_of(a)
    values = xp.abs(unwrap(linalg_eigvalsh(fixed))) if hermitian else unwrap(linalg_svdvals(fixed))
    return wrap(xp.asarray(_counted(values, atol, rtol, xp).sum(axis=-1, dtype="int64")))


def _need_lapack(a: Any) -> None:
    if a.dtype not in ("float32", "float64"):
        raise RuntimeError(
            f"This function doesn't handle types other than float and double\nthe dtype is {backend.dtype_of(a)}"
        )


# -- least squares -----------------------------------------------------------------------------------------------------


def _check_equation(a: Any, b: Any, driver: str) -> bool:
    """RuntimeError unless `a` and `b` fit; whether `b` holds vectors."""
    name = "torch.linalg.lstsq"
    for what, x, n in (("input", a, 2), ("other", b, 1)):
        if x.ndim < n:
            raise RuntimeError(f"{name}: {what} must have at least {n} dimension{'s' * (n > 1)}.")
    if a.dtype != b.dtype:
        kinds = [backend.dtype_of(x).type_name for x in (a, b)]
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype {kinds[0]} and other's "
            f"dtype {kinds[1]}"
        )
    if a.ndim - b.ndim not in (0, 1):
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1"
        )
    vector = b.ndim == 1 or b.shape == a.shape[:-1]
    if a.shape[-2] != b.shape[-1 if vector else -2]:
        raise RuntimeError(
            f"{name}: input.size(-2) should match other.size({-1 if vector else -2})\nthe shapes are {list(a.shape)} "
            f"and {list(b.shape)}"
        )
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    _need_lapack(a)
    check_stacks(a, b[..., None] if a.ndim > b.ndim else b)
    return vector


def linalg_lstsq(input: Any, b: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """(solution, residuals, rank, singular_values): X of least norm among those that make the norm of A X - B least.

    Where there are more rows than columns and all of A's columns count, `residuals` are the squares of the columns'
    norms of A X - B, except for the driver "gelsy", the default. What a driver does not compute is empty: the rank for
    "gels", the singular values for "gels" and "gelsy". All four compute X by the pseudo-inverse.
    """
    driver = "gelsy" if driver is None else driver
    if not isinstance(driver, str):
        raise TypeError(f"linalg_lstsq(): argument 'driver' must be str, not {type(driver).__name__}")
    for place, x in (("'input' (position 1)", input), ("'b' (position 2)", b)):
        if not isinstance(x, Variable):
            raise TypeError(f"linalg_lstsq(): argument {place} must be Tensor, not {type(x).__name__}")
    a, xp = unwrap(input), backend.module_of(unwrap(input))
    vector = _check_equation(a, unwrap(b), driver)
    m, n = a.shape[-2:]
    atol, rtol = _tolerances(a, None, 0.0 if driver == "gels" else rcond)
    columns = unsqueeze(b, -1) if vector else b
    x = product(pseudo_inverse(input, atol, rtol, False), columns)
    nothing = wrap(xp.empty(0, a.dtype))
    values = linalg_svdvals(wrap(a))
    rank = wrap(xp.asarray(_counted(values.array, atol, rtol, xp).sum(axis=-1, dtype="int64")))
    residuals = reshape(x, (-1,))[:0]
    if m > n and driver != "gelsy" and bool((rank.array == n).all()):
        difference = product(input, x) - columns
        residuals = sum(difference * difference, -2)
    return linalg_lstsq_result(
        squeeze(x, -1) if vector else x,
        residuals,
        wrap(xp.empty(0, "int64")) if driver == "gels" else rank,
        values if driver in ("gelsd", "gelss") else nothing,
    )
