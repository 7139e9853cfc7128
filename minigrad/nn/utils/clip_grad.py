"""Gradients that are too long are shortened, all by the same factor or each element on its own."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

from minigrad import backend
from minigrad.autograd.variable import Variable, wrap
from minigrad.kernels.gpu import optimizers as kernels
from minigrad.kernels.gpu.launch import takes
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
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    _shorten(gradients, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Iterable[Any] | Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


def get_total_norm(
    tensors: Iterable[Any] | Any,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """The norm of the tensors as one vector; 0 if there are none. RuntimeError for integers too."""
    arrays = [t.array for t in ([tensors] if isinstance(tensors, Variable) else tensors)]
    if not arrays:
        return wrap(backend.np.zeros((), "float32"))
    xp = backend.module_of(arrays[0])
    order = float(norm_type)
    if order == 2 and kernels.takes_all(arrays):
        total = kernels.norm(arrays)
    else:
        total = _norm(xp.stack([_norm(a, order) for a in arrays]), order)
    if error_if_nonfinite and not xp.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            f"To disable this error and scale the gradients by the non-finite norm anyway, "
            f"set `error_if_nonfinite=False`"
        )
    return wrap(total)


def _norm(array: Any, order: float) -> Any:
    """The norm of an array's elements as a 0-dim array of its dtype; halves are added up as float32."""
    xp, dtype = backend.module_of(array), array.dtype
    if dtype.kind != "f":
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{backend.dtype_of(array).type_name}\nconvert it with .float()"
        )
    wide = array.astype("float32") if dtype.itemsize == 2 else array
    return xp.asarray(xp.linalg.norm(wide.reshape(-1), order), dtype)


def clip_grads_with_norm_(
    parameters: Iterable[Any] | Any, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Scale all gradients in place by max_norm / total_norm, unless that is more than 1."""
    listed: Any = [parameters] if isinstance(parameters, Variable) else parameters
    _shorten([p.grad for p in listed if p.grad is not None], max_norm, total_norm)


def _shorten(gradients: list[Any], max_norm: float, total_norm: Any) -> None:
    """Multiply by max_norm / total_norm, the reciprocal first as torch has it; a product of halves is rounded once."""
    total, arrays = total_norm.array, [g.array for g in gradients]
    if takes(total, *arrays) and total.size == 1 and kernels.takes_all(arrays):
        kernels.shorten(arrays, float(max_norm), total)
        for g in gradients:
            bump(g)
        return
    inverse = (1.0 / (total + 1e-6)).astype("float32" if total.dtype.itemsize == 2 else total.dtype)
    factor = backend.module_of(total).minimum((inverse * float(max_norm)).astype(total.dtype), 1.0)
    for g in gradients:
        array = g.array
        if array.dtype.itemsize == 2:
            array[...] = array * factor.astype("float32")
        else:
            array *= factor.astype(array.dtype)
        bump(g)


def clip_grad_value_(parameters: Iterable[Any] | Any, clip_value: float, foreach: bool | None = None) -> None:
    """Move every element of every gradient into [-clip_value, clip_value], in place."""
    bound, gradients = float(clip_value), _gradients(parameters)
    arrays = [g.array for g in gradients]
    if kernels.takes_all(arrays):
        kernels.confine(arrays, bound)
    else:
        for array in arrays:
            array.clip(-bound, bound, out=array)
    for g in gradients:
        bump(g)
