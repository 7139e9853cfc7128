"""cross_entropy and nll_loss of class numbers on the GPU: a kernel for the losses, for their sum, for the gradient.

A single block needs no kernel for the sum. The probabilities are not kept but found again, from the input and two
numbers a sample. A class that there is not gives nan: on the GPU nobody looks, for the answer would have to be waited
for.
"""

from __future__ import annotations

import math

from minigrad.backend import Array, is_gpu_array, module_of
from minigrad.kernels.gpu.launch import THREADS, flat, launch, over_elements, takes, team_for

BLOCKS = 1024  # that bring parts of a sum
FEW = 32  # classes up to which a thread is enough for a sample


def fits(x: Array, target: Array, weight: Array | None) -> bool:
    """Whether these kernels may take input, target and the weights of classes."""
    return takes(x, weight) and is_gpu_array(target) and (weight is None or weight.flags.c_contiguous)


def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Array]:
    """-log_softmax(x)[target] over dim 1 (dim 0 of a 1-dim x), weighted and reduced; and what the backward needs."""
    rows, n, inner = _sizes(x)
    team = _team(n, inner)
    return _losses("cross_entropy", x, target, weight, ignore_index, reduction, 2 * rows + 1, team, (team,))


def nll_loss(x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str) -> tuple[Array, Array]:
    """-x[target], weighted and reduced; and what the backward needs."""
    return _losses("nll_loss", x, target, weight, ignore_index, reduction, 1, 1, ())


def _losses(
    name: str,
    x: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
    keeps: int,
    team: int,
    more: tuple[int, ...],
) -> tuple[Array, Array]:
    x, xp, sizes, mean = flat(x), module_of(x), _sizes(x), reduction == "mean"
    kept = xp.empty(keeps, x.dtype)
    blocks = max(1, min(BLOCKS, -(-sizes[0] * team // THREADS)))
    each = parts = None
    if reduction == "none":
        out = each = xp.empty(target.shape, x.dtype)
    else:
        out, parts = xp.empty((), x.dtype), None if blocks == 1 else xp.empty((2, blocks), x.dtype)
    args = (x, _numbers(target), weight, kept, each, parts, out, *sizes, ignore_index, mean, *more)
    launch("cross_entropy", name, x, blocks, *args)
    if parts is not None:
        launch("cross_entropy", "total", x, 1, parts, out, kept[-1:], blocks, mean)
    return out, kept


def cross_entropy_back(
    g: Array, x: Array, target: Array, weight: Array | None, kept: Array, ignore_index: int, reduction: str
) -> Array:
    """The gradient of the input of `cross_entropy`."""
    x, sizes = flat(x), _sizes(x)
    out, team = module_of(x).empty_like(x), _team(*sizes[1:])
    args = (flat(g), x, _numbers(target), weight, kept, out, *sizes, ignore_index, reduction == "none", team)
    launch("cross_entropy", "cross_entropy_back", x, -(-sizes[0] * team // THREADS), *args)
    return out


def nll_loss_back(
    g: Array,
    shape: tuple[int, ...],
    target: Array,
    weight: Array | None,
    kept: Array,
    ignore_index: int,
    reduction: str,
) -> Array:
    """The gradient of the input, which has `shape`, of `nll_loss`."""
    out = module_of(g).zeros(shape, g.dtype)
    sizes = _sizes(out)
    args = (flat(g), _numbers(target), weight, kept, out, *sizes, ignore_index, reduction == "none")
    over_elements("cross_entropy", "nll_loss_back", g, sizes[0], *args)
    return out


def _sizes(x: Array) -> tuple[int, int, int]:
    """How many samples there are, how many classes, and how far these lie apart."""
    n = x.shape[1 if x.ndim > 1 else 0]
    return x.size // n, n, math.prod(x.shape[2:])


def _team(n: int, inner: int) -> int:
    """How many threads take a sample; those of neighbours in memory lie one beside the other for single threads."""
    return 1 if inner > 1 or n <= FEW else team_for(n)


def _numbers(target: Array) -> Array:
    return flat(target if target.dtype == "int64" else target.astype("int64"))
