"""Covariances and correlations of the rows of a matrix, each a variable, its columns being the observations."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.trace import warn
from minigrad.ops.elementwise import sqrt
from minigrad.ops.extrema import clamp
from minigrad.ops.forms import forms
from minigrad.ops.linalg.matmul import matmul
from minigrad.ops.reduce import sum
from minigrad.ops.shape import diagonal, reshape, squeeze, transpose, unsqueeze

__all__ = ["corrcoef", "cov"]


def _check_weights(name: str, weights: Any, count: int) -> None:
    """RuntimeError unless the weights are as many as the observations, of the right dtype, and none is negative."""
    if weights.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {weights.ndim} dimensions"
        )
    kind, wanted = weights.array.dtype.kind, ("iu", "integral") if name == "fweights" else ("f", "floating point")
    if kind not in wanted[0]:
        raise RuntimeError(
            f"cov(): expected {name} to have {wanted[1]} dtype but got {name} with "
            f"{backend.dtype_of(weights.array).type_name} dtype"
        )
    if weights.array.size != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{weights.array.size} != {count}"
        )
    if count and bool((weights.array < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")


@forms(out=False)
def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """sum(w (x - mean)(x - mean)^T) / (n - correction), n being the sum of the weights w = fweights * aweights.

    With `aweights` the correction is multiplied by sum(w aweights) / n. A vector is one variable. Warns where the
    denominator is not positive; it is zero then.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    if input.array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    if not isinstance(correction, int):
        raise TypeError(f"cov(): argument 'correction' must be int, not {type(correction).__name__}")
    x = input if input.ndim == 2 else reshape(input, (1, -1))
    count = x.shape[1]
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is not None:
            _check_weights(name, given, count)
    if fweights is None and aweights is None:
        weights, total, freedom = None, count, count - correction
    else:
        weights = aweights if fweights is None else fweights if aweights is None else fweights * aweights
        total = sum(weights)
        if not bool(total.array):
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        lost = correction if aweights is None or not correction else correction * sum(weights * aweights) / total
        freedom = total - lost
    if not freedom > 0:
        warn("cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.")
        freedom = 0 * freedom
    mean = sum(x if weights is None else x * weights, 1) / total
    centred = x - unsqueeze(mean, 1)
    return squeeze(matmul(centred, transpose(centred if weights is None else centred * weights, 0, 1)) / freedom)


@forms(out=False)
def corrcoef(input: Any) -> Any:
    """The covariances over the two variables' standard deviations, cut to [-1, 1]."""
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    deviations = sqrt(diagonal(c))
    return clamp(c / unsqueeze(deviations, 1) / unsqueeze(deviations, 0), -1, 1)
