"""Gradients that are too long are shortened, all by the same factor or each element on its own."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.ops.inplace import bump


def _gradients(parameters: Any) -> list[Any]:
    if isinstance(parameters, Variable):
        parameters = [parameters]
    listed = list(parameters)
    if isinstance(parameters, types.GeneratorType) and not listed:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", UserWarning, stacklevel=3)
    return [p.grad for p in listed if p.grad is not None]


def clip_grad_norm_(
    parameters: Iterable[Any] | Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale all gradients in place so that their norm, taken over all of them together, is at most `max_norm`.

    Returns the norm before. RuntimeError for a norm that is not finite, if asked for; else it spoils the gradients.
    """
    gradients = _gradients(parameters)
    if not gradients:
        return wrap(backend.np.zeros((), "float32"))
    xp = backend.module_of(gradients[0].array)
    order = float(norm_type)
    norms = xp.stack([xp.asarray(xp.linalg.norm(g.array.reshape(-1), order)) for g in gradients])
    total = xp.asarray(xp.linalg.norm(norms, order))
    if error_if_nonfinite and not xp.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            f"To disable this error and scale the gradients by the non-finite norm anyway, "
            f"set `error_if_nonfinite=False`"
        )
    factor = xp.minimum(max_norm / (total + 1e-6), 1.0)
    for g in gradients:
        g.array[...] *= factor.astype(g.array.dtype)
        bump(g)
    return wrap(total)


def clip_grad_value_(parameters: Iterable[Any] | Any, clip_value: float, foreach: bool | None = None) -> None:
    """Move every element of every gradient into [-clip_value, clip_value], in place."""
    bound = float(clip_value)
    for g in _gradients(parameters):
        g.array.clip(-bound, bound, out=g.array)
        bump(g)
