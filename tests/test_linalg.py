"""Linear algebra where it is not smooth: matrices that have no inverse or no factor, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.ops.linalg.products import cheapest
from tests.lockstep import Raised, same

# eye, one (all ones, so singular), wide, batch (eye, one), big, nan and v (a vector) are float64.
REFUSED = """\
L.inv(one)
L.inv(batch)
L.inv(wide)
L.inv(v)
L.inv(one.long())
L.inv(one.half())
L.inv_ex(one, check_errors=True)
T.inverse(one)
L.solve(one, eye)
L.solve(batch, eye)
L.solve(eye, v)
L.solve(eye, one.float())
L.solve(wide, eye)
L.solve(v, v)
L.solve(one.long(), one.long())
L.solve(eye.expand(2, 2, 2), eye.expand(3, 2, 2))
L.solve(eye.expand(1, 2, 2), one[:1], left=False)
L.solve_ex(one, eye, check_errors=True)
L.solve_triangular(eye, v, upper=True)
L.solve_triangular(eye, wide.mT, upper=True)
L.solve_triangular(eye.long(), eye.long(), upper=True)
T.triangular_solve(eye, wide)
T.triangular_solve(v, eye)
T.cholesky_solve(v, eye)
T.cholesky_solve(eye, eye.float())
T.cholesky_inverse(T.zeros(2, 2))
T.cholesky_inverse(wide)
L.tensorinv(one, 1)
L.tensorinv(wide, 0)
L.tensorinv(eye, 3)
L.tensorinv(wide, 1)
L.tensorsolve(wide, eye)
L.cholesky(-eye)
L.cholesky(T.stack((eye, -eye)))
L.cholesky(nan)
L.cholesky(wide)
L.cholesky(eye.long())
L.cholesky_ex(-eye, check_errors=True)
T.cholesky(-eye)
L.eigh(eye, "x")
L.eigh(wide)
L.eigh(eye.long())
L.svd(nan)
L.svdvals(nan)
L.svd(v)
T.svd(v)
L.svd(eye, driver="gesvd")
L.svd(eye.half())
L.qr(v)
L.qr(eye, "x")
L.det(wide)
L.slogdet(eye.half())
T.logdet(wide)
L.lu(v)
L.lu(eye, pivot=False)
L.lu_factor(one)
L.lu_factor(batch)
L.lu_factor_ex(one, check_errors=True)
T.lu_unpack(eye, T.tensor([1, 2]))
T.lu_unpack(eye, T.tensor([1, 9], dtype=T.int32))
L.lu_solve(eye, T.tensor([1, 2]), eye)
L.lu_solve(eye, T.tensor([1], dtype=T.int32), eye)
L.lu_solve(wide, T.tensor([1, 2], dtype=T.int32), eye)
L.lu_solve(eye, T.tensor([1, 2], dtype=T.int32), v)
L.householder_product(wide, v[:2])
L.householder_product(eye, v)
L.householder_product(eye, one)
L.householder_product(eye.long(), v[:2].long())
T.ormqr(eye, v[:2], wide.mT)
T.ormqr(eye, v, eye)
T.ormqr(eye, v[:2], batch)
L.pinv(v)
L.pinv(eye.half())
L.pinv(wide, hermitian=True)
L.matrix_rank(v)
L.matrix_rank(eye.long())
L.lstsq(v, v)
L.lstsq(eye, v)
L.lstsq(eye, wide.mT)
L.lstsq(eye, eye.float())
L.lstsq(eye, eye, driver="x")
L.lstsq(batch, v)
L.lstsq(eye.long(), eye.long())
L.norm(batch, 2)
L.norm(eye, "x")
L.norm(eye, 3)
L.norm(batch, dim=(0, 1, 2))
L.matrix_norm(v)
L.matrix_norm(eye, dim=(0,))
L.matrix_norm(eye, dim=(0, -2))
L.matrix_norm(eye.long())
L.matrix_norm(eye.half(), 2)
L.matrix_norm(eye, dtype=T.float32)
L.vector_norm(v, "fro")
L.vector_norm(v, dtype=T.int64)
L.vector_norm(v[:0], float("inf"))
L.cond(v)
L.cond(wide, 1)
L.cond(eye, 3)
L.matrix_power(wide, 2)
L.matrix_power(one, -1)
L.matrix_power(eye, 2.0)
L.matrix_exp(wide)
L.matrix_exp(eye.long())
L.multi_dot([eye])
L.multi_dot([eye, v])
L.multi_dot([eye, v[:2], eye])
L.multi_dot([eye, batch])
L.multi_dot([eye, eye.float()])
L.multi_dot([eye, 3])
L.multi_dot(eye)
L.cross(v, one)
L.cross(eye, eye)
L.cross(v, v.float())
T.cross(eye, eye)
L.vecdot(v, v.float())
L.vecdot(v.long(), v.long())
L.vander(v, N=1)
L.vander(v.bool())
T.vander(eye)
T.trace(v)
T.trace(eye.bool())
T.vdot(v, v.float())
T.inner(eye, v)
T.inner(eye, one.float())
T.addr(eye, v, v)
T.addr(eye, eye, v)
T.addbmm(eye, batch, wide.expand(2, 2, 3).mT)
T.addbmm(eye, batch, eye)
T.addbmm(eye, batch, batch[:1])
T.cov(batch)
T.cov(v, fweights=v)
T.cov(v, aweights=v[:2])
T.cov(v, fweights=-T.arange(3))
T.cov(v, aweights=0 * v)
T.corrcoef(batch)
T.cdist(eye, v)
T.cdist(eye, wide)
T.cdist(eye, eye, p=-1)
T.cdist(eye, eye.float())
T.cdist(eye, eye, compute_mode="x")
T.pca_lowrank(eye, q=7)
T.pca_lowrank(eye, niter=-1)
""".splitlines()

EDGES = """\
L.inv_ex(one)
L.solve_ex(one, wide)
L.cholesky_ex(batch - 2 * eye).info
L.cholesky_ex(T.stack((eye, -eye))).info
L.lu_factor_ex(batch)
L.lu(one)
L.lu(big)
L.lu(big.mT)
L.lu(big[:, :30].reshape(2, 15, 30))
L.lu(T.ones(20, 20))
L.solve_triangular(3 * T.eye(30) + big[:, :30].float(), big[:, 30:].float(), upper=True)
L.det(batch)
L.slogdet(batch)
T.logdet(T.stack((eye, one, eye.flip(0))))
L.pinv(one)
L.pinv(batch, rtol=T.tensor([0.5, 2.0], dtype=T.float64))
L.pinv(eye, atol=2.0)
L.matrix_rank(batch)
L.matrix_rank(batch, T.tensor([0.5, 3.0]))
L.matrix_rank(one, hermitian=True)
L.cond(one, 1)
L.cond(T.zeros(0, 0))
L.cond(T.zeros(2, 2))
L.matrix_norm(T.zeros(0, 3), 2)
L.matrix_norm(T.zeros(3, 0), 1, keepdim=True)
L.norm(T.tensor(-3.0))
L.lstsq(batch, batch)
L.lstsq(wide.mT, v, driver="gelsd").rank
L.svdvals(T.zeros(0, 2))
L.qr(T.zeros(2, 0)).R
L.qr(eye, "r")
T.svd(eye, compute_uv=False)
L.matrix_exp(nan)
L.matrix_exp(100 * eye)
L.matrix_power(eye.long(), 0)
L.vander(T.tensor(2), N=3)
T.cov(v[:1])
T.cov(T.tensor(1.0))
T.cov(T.zeros(0, 2))
T.corrcoef(v)
T.cdist(T.zeros(2, 0), T.zeros(3, 0))
T.addr(eye.bool(), v[:2].bool(), v[:2].bool())
T.cross(v, v)
T.chain_matmul(eye, one)
T.cholesky(eye)
T.qr(eye)[1].abs()
T.lu(one + eye)
T.lu(one, get_infos=True)
T.triangular_solve(one, eye)
""".splitlines()

# What happens at points where the derivative does not exist.
SLOPES = """\
L.slogdet(x).logabsdet
L.eigh(x).eigenvalues
L.eigh(x).eigenvectors
L.eigvalsh(x)
L.svd(x).S
L.svdvals(x)
L.matrix_norm(x, "nuc")
L.matrix_norm(x, 2)
L.matrix_norm(x)
L.norm(x, 1)
L.qr(x, "r").R
L.qr(x[:, :1], "complete").R
L.pinv(x)
T.cdist(x, x)
T.cdist(x, x, compute_mode="use_mm_for_euclid_dist")
""".splitlines()


def names(T: Any) -> dict[str, Any]:
    """What the expressions speak of."""
    eye = T.eye(2, dtype=T.float64)
    one = T.ones(2, 2, dtype=T.float64)
    return {
        "T": T,
        "L": T.linalg,
        "eye": eye,
        "one": one,
        "batch": T.stack((eye, one)),
        "wide": T.arange(6, dtype=T.float64).reshape(2, 3),
        "nan": eye * float("nan"),
        "v": T.arange(3, dtype=T.float64),
        "big": T.sin(T.arange(1200, dtype=T.float64) ** 2).reshape(30, 40),
    }


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_refused(expression: str) -> None:
    """With torch's exception, in torch's words."""

    def program(T: Any) -> Any:
        try:
            return eval(expression, names(T))
        except T.linalg.LinAlgError as error:  # each engine has its own class
            raise ArithmeticError(str(error)) from None

    assert isinstance(same(program), Raised)


@pytest.mark.parametrize("expression", EDGES)
def test_singular_empty_and_deprecated(expression: str) -> None:
    """Values, shapes, dtypes and warnings."""
    same(lambda T: eval(expression, names(T)))


@pytest.mark.parametrize("of", ["eye", "T.zeros(2, 2)"])
@pytest.mark.parametrize("expression", SLOPES)
def test_slopes_at_equal_and_zero_singular_values(expression: str, of: str) -> None:
    """torch's subgradients, infinities and nan."""

    def program(T: Any) -> Any:
        space = names(T)
        x = space["x"] = eval(of, space).clone().requires_grad_()
        return T.autograd.grad(eval(expression, space).sum(), x)

    same(program)


def test_errors_are_linalg_errors() -> None:
    assert issubclass(minigrad.linalg.LinAlgError, RuntimeError)
    with pytest.raises(minigrad.linalg.LinAlgError, match="singular"):
        minigrad.linalg.inv(minigrad.ones(2, 2))


def test_namespace_is_torchs_but_for_complex_and_ldl() -> None:
    """Eigenvalues of a matrix that is not symmetric are complex numbers."""

    def public(T: Any) -> list[str]:
        return [name for name in dir(T.linalg) if callable(getattr(T.linalg, name)) and name[0] != "_"]

    assert set(public(torch)) - set(public(minigrad)) == {"eig", "eigvals", "ldl_factor", "ldl_factor_ex", "ldl_solve"}
    assert set(public(minigrad)) <= set(public(torch))


@given(st.lists(st.integers(1, 9), min_size=3, max_size=7))
def test_chain_takes_the_fewest_multiplications(sizes: list[int]) -> None:
    """Of all orders in which a chain of matrices can be multiplied."""
    cut = cheapest(sizes)

    def cost(i: int, j: int, places: Callable[[int, int], Iterable[int]]) -> int:
        ways = [
            cost(i, k, places) + cost(k + 1, j, places) + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in places(i, j)
        ]
        return min(ways, default=0)

    last = len(sizes) - 2
    chosen = cost(0, last, lambda i, j: [cut[i, j]] if i < j else [])
    assert chosen == cost(0, last, lambda i, j: range(i, j))


def test_results_have_names() -> None:
    def program(T: Any) -> Any:
        eye = T.eye(2)
        results = [
            T.linalg.svd(eye), T.linalg.eigh(eye), T.linalg.lu(eye), T.linalg.lu_factor_ex(eye), T.linalg.inv_ex(eye),
            T.linalg.lstsq(eye, eye), T.linalg.slogdet(eye), T.linalg.cholesky_ex(eye), T.linalg.solve_ex(eye, eye),
        ]  # fmt: skip
        return [(type(r).__name__, [name for name in dir(r) if hasattr(r, name) and name[0] != "_"]) for r in results]

    ours, theirs = program(minigrad), same(lambda T: [r[0] for r in program(T)])
    assert [name for name, _ in ours] == theirs
