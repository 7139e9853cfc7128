"""What the operations of linear algebra share: their refusals in torch's words, and notation for stacks of matrices."""

from __future__ import annotations

import functools
from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.ops.checks import not_implemented
from minigrad.ops.linalg.matmul import matmul_stacks
from minigrad.ops.shape import transpose

__all__: list[str] = []


class _LinAlgError(RuntimeError):
    """A matrix has not the property that a function needs: it is singular, or not positive-definite."""


LinAlgError = _LinAlgError  # torch.linalg.LinAlgError, whose own name begins with an underscore in torch too


# -- refusals ----------------------------------------------------------------------------------------------------------


def need_matrix(name: str, a: Any, letter: str = "A") -> None:
    """RuntimeError unless `a` has the dims of a matrix."""
    if a.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor {letter} must have at least 2 dimensions.\nits shape is {list(a.shape)}"
        )


def need_square(name: str, a: Any) -> None:
    """RuntimeError unless `a` is a square matrix or a stack of them."""
    need_matrix(name, a)
    m, n = a.shape[-2:]
    if m != n:
        raise RuntimeError(f"{name}: A must be batches of square matrices, but they are {m} by {n} matrices")


def need_real(name: str, a: Any, kernel: str = "") -> None:
    """RuntimeError for integers, NotImplementedError, naming torch's `kernel`, for halves."""
    if a.dtype.kind != "f":
        kind = backend.dtype_of(a).type_name
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {kind}\nconvert it with .float()"
        )
    if a.dtype == "float16":
        if kernel:
            not_implemented(kernel, a)
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got Half\nconvert it with .float()")


def need_single_or_double(a: Any, kernel: str) -> None:
    """NotImplementedError unless LAPACK has the dtype."""
    if a.dtype not in ("float32", "float64"):
        not_implemented(kernel, a)


def batch_element(place: int, ndim: int) -> str:
    """How torch names the matrix that failed; one that is alone needs no name."""
    return f"(Batch element {place}): " if ndim > 2 else ""


def warn_deprecated(name: str, instead: str) -> None:
    """torch's UserWarning for an older name of what is in torch.linalg, blamed on the caller of the caller."""
    warn(
        f"torch.{name} is deprecated in favor of torch.linalg.{instead} and will be removed in a future PyTorch "
        f"release."
    )


# -- notation, of arrays and of tensors --------------------------------------------------------------------------------


def T(x: Any) -> Any:
    """The matrices transposed."""
    return transpose(x, -2, -1)


def product(*factors: Any) -> Any:
    """The matrix product of stacks of matrices, from left to right."""
    return functools.reduce(matmul_stacks, factors)


def identity(like: Any) -> Any:
    """The identity matrix that a square matrix can be multiplied with, an array."""
    array = getattr(like, "array", like)
    return backend.module_of(array).eye(array.shape[-1], dtype=array.dtype)
