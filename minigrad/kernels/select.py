"""Choosing between two arrays by a mask, without a branch for every element.

NumPy's `where` copies runs of elements; where a mask changes at random (a relu's, a dropout's) the processor guesses
wrong half of the time: 3.6 ms for a million float32. Ands and exclusive ors of whole words need 0.5 ms for x-or-zero,
1.2 ms for x-or-y. Below a few thousand elements `where` is quicker.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from minigrad import backend
from minigrad.backend import np

LARGE = 8192  # elements from which the masks pay
WORDS = {2: np.int16, 4: np.int32, 8: np.int64}


def select(condition: Any, a: Any, b: Any, xp: ModuleType) -> Any:
    """`a` where `condition` holds, else `b`: arrays of one dtype, or numbers, broadcast together."""
    if xp is np and getattr(condition, "size", 0) >= LARGE:
        if _fits(a) and _fits(b) and a.dtype == b.dtype:
            return _either(condition, a, b)
        if _fits(a) and _is_zero(b):
            return _or_zero(_all_bits(condition, a.itemsize), a)
        if _fits(b) and _is_zero(a):
            return _or_zero(_all_bits(~condition, b.itemsize), b)
    return xp.where(condition, a, b)


def _fits(x: Any) -> bool:
    return backend.is_array(x) and x.itemsize in WORDS


def _is_zero(x: Any) -> bool:
    return type(x) in (bool, int, float) and x == 0 and str(x)[0] != "-"  # -0.0 is not all zero bits


def _all_bits(condition: Any, itemsize: int) -> Any:
    """Words of ones where the condition holds, of zeros elsewhere."""
    return np.multiply(condition.view(np.int8), -1, dtype=WORDS[itemsize])


def _or_zero(mask: Any, x: Any) -> Any:
    words = x.view(WORDS[x.itemsize])
    if mask.shape == np.broadcast_shapes(mask.shape, x.shape):
        mask &= words
    else:
        mask = mask & words
    return mask.view(x.dtype)


def _either(condition: Any, a: Any, b: Any) -> Any:
    """b ^ ((a ^ b) & mask), which is a where the mask is all ones and b where it is zero."""
    word = WORDS[a.itemsize]
    changed = a.view(word) ^ b.view(word)
    return (changed & _all_bits(condition, a.itemsize) ^ b.view(word)).view(a.dtype)
