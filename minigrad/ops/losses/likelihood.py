"""Losses that are negative logarithms of likelihoods: of normal and of Poisson distributions."""

from __future__ import annotations

import math
from typing import Any

from minigrad.ops.arithmetic import square
from minigrad.ops.compare import where
from minigrad.ops.create import full_like
from minigrad.ops.elementwise import exp, log, xlogy
from minigrad.ops.extrema import clamp_min
from minigrad.ops.losses.elementwise import reduced_tensor, reduction_by
from minigrad.ops.shape import unsqueeze

__all__ = ["gaussian_nll_loss", "poisson_nll_loss"]


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """(log(var) + (input - target)**2 / var) / 2, plus log(2 pi) / 2 if `full`.

    `var` below eps counts as eps, and is differentiated as if it did not; it has the input's shape, or lacks the last
    dim, or has size 1 in one dim, or is a number. ValueError for other shapes and for a negative variance.
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = full_like(input, var)
    elif (var.array < 0).any():
        raise ValueError("var has negative entry/entries")
    elif var.array.dtype.kind != "f":
        kind = var.dtype.type_name
        raise RuntimeError(f"result type Float can't be cast to the desired output type {kind}\ncast with .float()")
    have, shape = var.array.shape, input.array.shape
    if have != shape:
        if have == shape[:-1]:
            var = unsqueeze(var, -1)
        elif len(have) != len(shape) or [n for n, m in zip(have, shape) if n != m] != [1]:
            raise ValueError(f"var is of incorrect size\nit is {list(have)} for an input of {list(shape)}")
    reduction = reduction_by(None, None, reduction)
    var = var + clamp_min(eps - var.detach(), 0)
    losses = 0.5 * (log(var) + square(input - target) / var)
    return reduced_tensor(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """exp(input) - target input, `input` being the logarithm of the rate; else input - target log(input + eps).

    `full` adds Stirling's approximation of log(target!), target log(target) - target + log(2 pi target) / 2, where the
    target is above 1.
    """
    reduction = reduction_by(size_average, reduce, reduction)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = xlogy(target, target) - target + 0.5 * log(2 * math.pi * target)
        losses = losses + where(target <= 1, 0, stirling)
    return reduced_tensor(losses, reduction)
