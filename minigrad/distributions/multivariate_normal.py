"""MultivariateNormal: a vector of normal numbers that depend on each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigrad import linalg, ops
from minigrad.distributions import constraints
from minigrad.distributions.distribution import Distribution
from minigrad.distributions.normal import standard_normal
from minigrad.distributions.utils import lazy_property
from minigrad.facts import broadcast_shapes

__all__ = ["MultivariateNormal"]


class MultivariateNormal(Distribution):
    """Mean `loc` (..., n); `covariance_matrix` C, or `precision_matrix` C**-1, or `scale_tril` L with C = L L^T."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        matrices = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril,
        }  # fmt: skip
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given
        if matrix.dim() < 2:
            be = "matrix must be" if name == "scale_tril" else "must be"
            raise ValueError(f"{name} {be} at least two-dimensional, with optional leading batch dimensions")
        batch = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand(batch + (-1,))
        setattr(self, name, matrix.expand(batch + (-1, -1)))
        super().__init__(batch, self.loc.shape[-1:], validate_args)
        if name == "covariance_matrix":
            self._factor = linalg.cholesky(matrix).expand(batch + (-1, -1))
        else:
            self._factor = self.scale_tril if name == "scale_tril" else _factor_of_inverse(self.precision_matrix)

    scale_tril: Any = lazy_property(lambda self: self._factor)
    covariance_matrix: Any = lazy_property(lambda self: self._factor @ self._factor.mT)
    precision_matrix: Any = lazy_property(lambda self: ops.cholesky_inverse(self._factor))
    mean = mode = property(lambda self: self.loc)
    variance = property(lambda self: self._factor.pow(2).sum(-1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        noise = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        distance = mahalanobis(self._factor, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - half_log_det(self._factor)

    def entropy(self) -> Any:
        return 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half_log_det(self._factor)


def half_log_det(factor: Any) -> Any:
    """log det(L), half that of L L^T."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def mahalanobis(factor: Any, difference: Any) -> Any:
    """d^T (L L^T)**-1 d."""
    batch = broadcast_shapes(factor.shape[:-2], difference.shape[:-1])
    factor = factor.expand(batch + factor.shape[-2:])
    solved = linalg.solve_triangular(factor, difference.expand(batch + (-1,)).unsqueeze(-1), upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


def _factor_of_inverse(matrix: Any) -> Any:
    """L with L L^T = P**-1: P turned over in both directions is C C^T, and L that inverse, turned back."""
    turned = linalg.cholesky(ops.flip(matrix, (-2, -1)))
    upper = ops.transpose(ops.flip(turned, (-2, -1)), -2, -1)
    eye = ops.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return linalg.solve_triangular(upper, eye, upper=False)
