"""mse_loss and binary_cross_entropy_with_logits on the GPU, where they are reduced: single losses are not kept."""

from __future__ import annotations

from minigrad.backend import Array, module_of
from minigrad.kernels.gpu.launch import THREADS, flat, launch, over_elements, takes

BLOCKS = 1024  # that bring parts of a sum


def fits(first: Array, input: Array, target: Array, reduction: str) -> bool:
    """Whether these kernels may take input and target; in the backward `first` is the gradient of the result."""
    return reduction != "none" and takes(first, input, target) and input.shape == target.shape


def losses(x: Array, target: Array, reduction: str, logits: bool) -> Array:
    """The sum or mean of (x - target)**2; or with `logits` of the cross entropies of sigmoid(x)."""
    x, target, xp = flat(x), flat(target), module_of(x)
    out, blocks, divisor = xp.empty((), x.dtype), min(BLOCKS, -(-x.size // THREADS)), 1.0
    if reduction == "mean":
        divisor = float(x.size)
    parts = None if blocks == 1 else xp.empty(blocks, x.dtype)
    launch("losses", "losses", x, blocks, x, target, parts, out, x.size, divisor, logits)
    if parts is not None:
        launch("losses", "total_loss", x, 1, parts, out, blocks, divisor)
    return out


def losses_back(g: Array, x: Array, target: Array, factor: float, logits: bool) -> Array:
    """factor * g * (x - target), with `logits` of sigmoid(x)."""
    x, target = flat(x), flat(target)
    out = module_of(x).empty_like(x)
    over_elements("losses", "losses_back", x, x.size, g, x, target, out, x.size, factor, logits)
    return out
