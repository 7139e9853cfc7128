"""The two engines that are compared, through the few names that both have: the one place that meets torch's objects.

minigrad never imports torch. Whoever compares with torch has imported it, so it is found among the loaded modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad import autograd, ops, random
from minigrad.backend import np, to_numpy
from minigrad.tensor import Tensor


class Engine(NamedTuple):
    """minigrad or torch."""

    name: str
    Tensor: type
    from_numpy: Callable[..., Any]
    grad: Callable[..., Any]
    manual_seed: Callable[[int], Any]
    fork_rng: Callable[..., Any]

    def leaf(self, array: np.ndarray, requires_grad: bool = False) -> Any:
        """A leaf on a copy of `array` that keeps its strides, gaps included."""
        gaps = array.ndim > 0 and not array.flags.forc
        copy = with_gaps(array) if gaps else array.copy(order="K")
        return self.from_numpy(copy).requires_grad_(requires_grad)


def with_gaps(array: np.ndarray) -> np.ndarray:
    """The same values with a gap after each of them in memory."""
    return np.stack([array, array], axis=-1)[..., 0]


MINIGRAD = Engine("minigrad", Tensor, ops.from_numpy, autograd.grad, random.manual_seed, random.fork_rng)


def torch_module() -> Any:
    """torch if the program has imported it, else None."""
    return sys.modules.get("torch")


def torch_engine() -> Engine:
    """torch; RuntimeError if the program has not imported it."""
    torch = torch_module()
    if torch is None:
        raise RuntimeError(
            "the comparison is with torch, which this program has not imported: minigrad never does so itself. Write "
            "`import torch` and pass what minigrad is to be compared with, made of torch."
        )
    return Engine(
        "torch", torch.Tensor, torch.from_numpy, torch.autograd.grad, torch.manual_seed, torch.random.fork_rng
    )


def is_tensor(value: Any) -> bool:
    """True for a tensor of either engine."""
    torch = torch_module()
    return isinstance(value, Tensor) or (torch is not None and isinstance(value, torch.Tensor))


def array_of(tensor: Any) -> np.ndarray:
    """The values of a tensor of either engine, on the CPU and without history."""
    return to_numpy(tensor.array) if isinstance(tensor, Tensor) else tensor.numpy(force=True)
