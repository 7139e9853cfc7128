"""CrossMapLRN2d, the older form of LocalResponseNorm, with the sums and the gradient that torch has there."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.function import Function
from minigrad.autograd.variable import wrap
from minigrad.nn.module import Module

__all__ = ["CrossMapLRN2d"]


class _CrossMapLRN2d(Function):
    @staticmethod
    def forward(ctx: Any, input: Any, size: int, alpha: float, beta: float, k: float) -> Any:
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        reach = int((size - 1) / 2)
        c, j = _channels(input)
        # torch's running sum never drops the first channel again.
        summed = (abs(c - j) <= reach) | ((j == 0) & (c > reach))
        ctx.scale = _sums(summed, input * input) * (alpha / size) + k
        output = ctx.scale**-beta * input
        ctx.constants = size, alpha, beta
        ctx.save_for_backward(input, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Any) -> Any:
        (input, output), (size, alpha, beta) = ctx.saved_tensors, ctx.constants
        # torch's windows begin one channel too early here, so this is not the exact derivative.
        before, channels = int(size - (size - 1) / 2), input.size(1)
        if before >= size:
            raise RuntimeError(f"start ({before}) + length ({channels}) exceeds dimension size ({channels}).")
        c, j = _channels(input)
        shared = _sums((j >= c - before) & (j < c - before + size), grad_output * output / ctx.scale)
        gradient = ctx.scale**-beta * grad_output - (2 * alpha * beta / size) * input * shared
        return gradient, None, None, None, None


def _channels(input: Any) -> tuple[Any, Any]:
    """The numbers of the channels as a column and as a row."""
    numbers = backend.module_of(input.array).arange(input.size(1))
    return numbers[:, None], numbers


def _sums(which: Any, x: Any) -> Any:
    """Sums over the channels j of x for which which[c, j], for each channel c."""
    matrix = wrap(which.astype(x.array.dtype))
    return (matrix @ x.flatten(2)).reshape(x.shape)


class CrossMapLRN2d(Module):
    """x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta, over an image (N, C, H, W).

    (Krizhevsky et al. 2012.) Numbers are torch's, which departs from this formula: the sums keep the first channel,
    and the gradient is not that of the formula. `LocalResponseNorm` is right in both.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Any) -> Any:
        return _CrossMapLRN2d.apply(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
