"""How many numbers fall into each of equal intervals."""

from __future__ import annotations

from typing import Any

from minigrad import backend
from minigrad.autograd.variable import wrap
from minigrad.ops.checks import not_implemented
from minigrad.ops.forms import forms

__all__ = ["histc"]


@forms(out="exact")
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """The counts, in the dtype of `input`, in `bins` intervals from `min` to `max`, the last of which includes `max`.

    Equal bounds stand for the smallest and the largest of the numbers; numbers outside, and nan, are not counted.
    Errors: RuntimeError for no bins and for bounds that are not finite or in the wrong order.
    """
    array = input.array.reshape(-1)
    if array.dtype.kind != "f":
        not_implemented("histogram_cpu", array)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if min == max and array.size:
        min, max = float(array.min()), float(array.max())
    if min == max:
        min, max = min - 1, max + 1
    if not (abs(min) < float("inf") and abs(max) < float("inf")):
        raise RuntimeError(f"torch.histc: range of [{min}, {max}] is not finite")
    if min > max:
        raise RuntimeError("torch.histc: max must be larger than min")
    xp = backend.module_of(array)
    inside = array[(array >= min) & (array <= max)]
    place = ((inside - inside.dtype.type(min)) * bins / inside.dtype.type(max - min)).astype(xp.int64)
    return wrap(xp.bincount(xp.minimum(place, bins - 1), minlength=bins).astype(array.dtype))
