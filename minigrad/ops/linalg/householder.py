"""Products of Householder reflections, as they come from LAPACK's QR factorisation.

The reflections are H_i = 1 - tau_i v_i v_i^T, v_i being the i-th column below a one on the diagonal. Their product is
H_1 ... H_k = 1 - V T V^T with T = (1 + D S)^-1 D, D = diag(tau) and S the strict upper triangle of V^T V (R. Schreiber
& C. Van Loan 1989, "A storage-efficient WY representation for products of Householder transformations").
"""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.op import Op
from minigrad.autograd.variable import unwrap
from minigrad.ops.arrange import tril, triu
from minigrad.ops.forms import forms
from minigrad.ops.linalg.decompositions import put_on_diagonal
from minigrad.ops.linalg.matrices import T, need_single_or_double, product
from minigrad.ops.linalg.triangular import linalg_solve_triangular
from minigrad.ops.shape import unsqueeze

__all__ = ["ormqr"]


@Op(node="OrmqrBackward0")
def without_gradient(input):
    """`input`, to which no gradient comes back: as in torch, where there is nothing to reflect."""
    return input.copy()


without_gradient.joint_derivative("input")(lambda g: (None,))


def _factors(input: Any, tau: Any) -> tuple[Any, Any]:
    """V and T."""
    if not unwrap(tau).size:
        input, tau = without_gradient(input), without_gradient(tau)
    k, array = tau.shape[-1], unwrap(input)
    ones = backend.module_of(array).eye(array.shape[-2], k, dtype=array.dtype)
    v = tril(input[..., :k], -1) + ones
    inner = unsqueeze(tau, -1) * triu(product(T(v), v), 1)
    return v, linalg_solve_triangular(inner, put_on_diagonal(tau), upper=True, unitriangular=True)


def _check_factors(name: str, a: Any, tau: Any) -> None:
    if a.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau.ndim} and "
            f"input.ndim is equal to {a.ndim}"
        )
    if tau.shape[:-1] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(tau.shape[:-1])}"
        )
    if tau.dtype != a.dtype:
        kinds = [backend.dtype_of(unwrap(x)).type_name for x in (tau, a)]
        raise RuntimeError(f"{name}: tau dtype {kinds[0]} does not match input dtype {kinds[1]}")


@forms(method=False)
def linalg_householder_product(input: Any, tau: Any) -> Any:
    """The first n columns of H_1 ... H_k, `input` being (..., m, n) and `tau` (..., k), m >= n >= k."""
    name = "torch.linalg.householder_product"
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if n < tau.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    _check_factors(name, input, tau)
    need_single_or_double(unwrap(input), "orgqr_cpu")
    v, t = _factors(input, tau)
    return backend.module_of(unwrap(input)).eye(m, n, dtype=unwrap(input).dtype) - product(v, t, T(v[..., :n, :]))


@forms(out="exact")
def ormqr(input: Any, input2: Any, input3: Any, left: bool = True, transpose: bool = False) -> Any:
    """Q C with Q = H_1 ... H_k, tau being `input2` and C `input3`; or C Q unless `left`; with Q^T if `transpose`."""
    name, tau, other = "torch.ormqr", input2, input3
    for what, x in (("input", input), ("other", other)):
        if x.ndim < 2:
            raise RuntimeError(f"{name}: {what} must have at least 2 dimensions.")
    side = -2 if left else -1
    if tau.shape[-1] != min(other.shape[side], input.shape[-1]):
        raise RuntimeError(f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])")
    if other.shape[side] != input.shape[-2]:
        raise RuntimeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    if other.ndim != input.ndim:
        raise RuntimeError(
            f"{name}: Expected other to have the same number of dimensions as input, but got other.ndim equal to "
            f"{other.ndim} and input.ndim is equal to {input.ndim}"
        )
    _check_factors(name, input, tau)
    if other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of other to be equal to input.shape[:-2], but got "
            f"{list(other.shape[:-2])}"
        )
    if other.dtype != input.dtype:
        kinds = [backend.dtype_of(unwrap(x)).type_name for x in (input, other)]
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but input has dtype{kinds[0]} and other has "
            f"dtype {kinds[1]}"
        )
    need_single_or_double(unwrap(input), "ormqr_cpu")
    v, t = _factors(input, tau)
    t = T(t) if transpose else t
    return other - (product(v, t, product(T(v), other)) if left else product(product(other, v), t, T(v)))
