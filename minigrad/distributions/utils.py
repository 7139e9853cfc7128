"""What distributions share: parameters of one shape, probabilities and logits, properties computed on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import backend, ops
from minigrad.autograd.mode import enable_grad
from minigrad.dtypes import finfo
from minigrad.nn import functional as F
from minigrad.tensor import Tensor

__all__ = ["broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits"]

NUMBERS = (int, float)


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape; a number takes the dtype and device of the first tensor."""
    if not all(isinstance(v, (Tensor, *NUMBERS)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    dtype = backend.get_default_dtype() if first is None else first.dtype
    device = None if first is None else first.device
    return tuple(
        ops.broadcast_tensors(
            *[v if isinstance(v, Tensor) else ops.tensor(v, dtype=dtype, device=device) for v in values]
        )
    )


def all_numbers(*values: Any) -> bool:
    """Whether a distribution with these parameters is a single one, of batch shape ()."""
    return all(isinstance(v, NUMBERS) for v in values)


def sum_rightmost(value: Any, dims: int) -> Any:
    """The sum over the last `dims` dimensions."""
    return value.reshape(value.shape[: value.dim() - dims] + (-1,)).sum(-1) if dims else value


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """Probabilities from log odds, or from logarithms of probabilities along the last dimension."""
    return ops.sigmoid(logits) if is_binary else F.softmax(logits, dim=-1)


def clamp_probs(probs: Any) -> Any:
    """Probabilities moved to [eps, 1 - eps]."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """The inverse of `logits_to_probs`, finite for probabilities of 0 and 1."""
    clamped = clamp_probs(probs)
    return ops.log(clamped) - ops.log1p(-clamped) if is_binary else ops.log(clamped)


class lazy_property:
    """An attribute that is computed when first asked for, with gradients, and then kept; it can be set as well."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.compute(instance)
        instance.__dict__[self.name] = value
        return value
