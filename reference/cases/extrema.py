"""The larger and the smaller of two, and clamping."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from reference.case import Case, Sample
from reference.strategies import Draw, broadcastable

SPLIT = "2.15"  # since then ties of fmax, fmin and clamp are split, and a bound that is a number leaves nothing


def clamped(d: Draw) -> Sample:
    """clamp(x, min, max) with numbers, one of them perhaps missing."""
    low, high = d.one_of(None, -1, 0.5, -1.5), d.one_of(1, 2.5, None)
    if low is None and high is None:
        low = 0
    kinks = [k for k in (low, high, nan) if k is not None]
    return Sample(d.floats(d.shape(), kinks=kinks), **{k: v for k, v in (("min", low), ("max", high)) if v is not None})


def clamped_by_tensors(d: Draw) -> Sample:
    shapes = d.broadcastable(2)
    full = np.broadcast_shapes(*shapes)  # torch's backward fails for an input that is broadcast up
    x, low, high = d.float_arrays([full, *shapes], ties=True)
    bounds: dict[str, Any] = d.one_of({"min": low}, {"max": high}, {"min": low, "max": high})
    return Sample(x, **bounds)


def bounded(d: Draw) -> Sample:
    """f(x, bound), a number or a tensor."""
    x, bound = d.float_arrays(d.broadcastable(2), ties=True)
    number = d.one_of(1, -0.5)
    return Sample(x, bound) if d.flag() else Sample(d.floats(x.shape, kinks=(number,)), number)


CASES = [
    Case("maximum", broadcastable(2, ties=True)),
    Case("maximum", broadcastable(2, kinks=(nan, 1)), "nan", skip={"finite_difference": "nan"}),
    Case("minimum", broadcastable(2, ties=True)),
    Case("minimum", broadcastable(2, kinks=(nan, 1)), "nan", skip={"finite_difference": "nan"}),
    Case("fmax", broadcastable(2, ties=True), kinks_from=SPLIT),
    Case("fmin", broadcastable(2, ties=True), kinks_from=SPLIT),
    Case("clamp", clamped, kinks_from=SPLIT, covers=("clip",)),
    Case("clamp", clamped_by_tensors, "tensors", kinks_from=SPLIT),
    Case("clamp_min", bounded, kinks_from=SPLIT),
    Case("clamp_max", bounded, kinks_from=SPLIT),
]
