"""The parametrizations that torch comes with: orthogonal, spectral and weight norm."""

from __future__ import annotations

from typing import Any

from minigrad.autograd.mode import no_grad
from minigrad.autograd.variable import Variable
from minigrad.nn import functional as F
from minigrad.nn.module import Module
from minigrad.nn.utils.orthogonal import MAPS, _Orthogonal
from minigrad.nn.utils.parametrize import register_parametrization
from minigrad.nn.utils.spectral_norm import as_matrix, output_dim, random_direction
from minigrad.nn.utils.weight_norm import norm_except_dim, normalized
from minigrad.ops.linalg.matmul import dot, mv

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _tensor(module: Any, name: str) -> Any:
    weight = getattr(module, name, None)
    if not isinstance(weight, Variable):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


def orthogonal(
    module: Any, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Any:
    """Keep a matrix, or each of a batch of matrices, orthogonal.

    The maps are "matrix_exp", by default for square matrices, "cayley", and "householder", by default for others; see
    `_Orthogonal`. At the start a matrix that is not orthogonal is replaced by the Q of its QR decomposition.
    """
    weight = _tensor(module, name)
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.size(-2) == weight.size(-1) else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, parametrization, unsafe=True)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return normalized(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """w = g v / |v|: `original0` is g, the lengths of the slices along `dim` (None: of the whole), `original1` is v.

    State dicts of the older `nn.utils.weight_norm` may be loaded.
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename_old(state_dict: Any, prefix: str, *_: Any) -> None:
        old = [f"{prefix}{name}_{part}" for part in "gv"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename_old)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            self.register_buffer("_u", random_direction(weight, matrix.size(0), eps))
            self.register_buffer("_v", random_direction(weight, matrix.size(1), eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix: Any, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            self._u.copy_(F.normalize(mv(matrix, self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next use changes them before this one's backward
        return weight / dot(u, mv(matrix, v))

    def right_inverse(self, value: Any) -> Any:
        return value


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """w / sigma, the largest singular value of w as a matrix whose rows are its slices along `dim`.

    sigma = u'wv, with singular vectors improved by the power method whenever w is asked for in training mode.
    """
    weight = _tensor(module, name)
    dim = output_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
