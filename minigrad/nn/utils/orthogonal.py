"""Matrices with orthonormal columns, or rows where those are fewer, as functions of matrices without a constraint."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.mode import no_grad
from minigrad.autograd.variable import wrap
from minigrad.dtypes import finfo
from minigrad.linalg import householder_product, solve
from minigrad.nn.module import Module
from minigrad.ops.compare import allclose
from minigrad.ops.create import zeros_like
from minigrad.ops.join import cat
from minigrad.ops.linalg.matrix_exp import matrix_exp
from minigrad.ops.random import randn
from minigrad.ops.ranges import eye

MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """Q(X), of X's shape, by one of three maps; a wide X is treated transposed.

    With A the skew-symmetric X_low - X_low', X_low being X's lower triangle: exp(A) for "matrix_exp" and
    (I - A/2)^-1 (I + A/2) for "cayley"; for "householder" the product of the reflections along the columns below X's
    diagonal, each times the sign on it. With a trivialization this is multiplied by a constant `base`, the matrix at
    the start, and X starts from -I, where all maps give I (Lezcano-Casado 2019).
    """

    def __init__(self, weight: Any, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Any:
        wide = X.size(-2) < X.size(-1)
        X = X.mT if wide else X
        Q = self._by_reflections(X) if self.orthogonal_map == "householder" else self._of_skew_symmetric(X)
        if "base" in self._buffers:
            Q = self.base @ Q
        return Q.mT if wide else Q

    def _by_reflections(self, X: Any) -> Any:
        A = X.tril(-1)
        tau = 2.0 / (1.0 + (A * A).sum(-2))
        return householder_product(A, tau) * X.diagonal(0, -2, -1).int().unsqueeze(-2)

    def _of_skew_symmetric(self, X: Any) -> Any:
        n, k = X.size(-2), X.size(-1)
        low = X.tril()
        if n != k:
            low = cat([low, low.new_zeros(*low.shape[:-1], n - k)], -1)
        A = low - low.mT
        if self.orthogonal_map == "matrix_exp":
            Q = matrix_exp(A)
        else:
            one = eye(n, dtype=A.dtype, device=A.device)
            Q = solve(one - 0.5 * A, one + 0.5 * A)
        return Q[..., :k] if n != k else Q

    @no_grad()
    def right_inverse(self, Q: Any) -> Any:
        """What to start from, so that the result is `Q`, or the nearest that the QR decomposition knows."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        wide = Q.size(-2) < Q.size(-1)
        tall = Q.mT if wide else Q
        if "base" in self._buffers:
            self.base = _completed(tall)
            start = zeros_like(Q)
            start.diagonal(0, -2, -1).fill_(-1.0)
            return start
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        A, tau = _reflections(tall)
        xp = backend.module_of(A)
        at = xp.arange(A.shape[-1])
        A[..., at, at] = xp.sign(A[..., at, at]) * xp.where(tau == 0, -1, 1)  # LAPACK gives 0 where it reflects nothing
        return wrap(A).mT if wide else wrap(A)


def _completed(Q: Any) -> Any:
    """An orthogonal matrix whose first columns are those of the tall `Q`, made orthonormal; the others are random."""
    n, k = Q.size(-2), Q.size(-1)
    if n != k:
        Q = cat([Q, randn(*Q.shape[:-2], n, n - k, dtype=Q.dtype, device=Q.device)], -1)
    else:
        one = eye(k, dtype=Q.dtype, device=Q.device)
        if allclose(Q.mT @ Q, one, atol=10.0 * n * finfo(Q.dtype).eps):
            return Q.clone()
    A, tau = _reflections(Q)
    signs = backend.module_of(A).sign(A.diagonal(0, -2, -1))[
        ..., None, :
    ]  # those of R's diagonal, which is made positive
    return householder_product(wrap(A), wrap(tau)) * wrap(signs)


def _reflections(Q: Any) -> tuple[Any, Any]:
    """LAPACK's geqrf: R in the upper triangle, the vectors of the reflections below it; and their factors."""
    packed, tau = backend.module_of(Q.array).linalg.qr(Q.array, mode="raw")
    return packed.swapaxes(-2, -1).copy(), tau
