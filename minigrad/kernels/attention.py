"""The weights of attention, softmax(scale query key^T + mask), and their derivative, split over threads.

Shapes: query (..., L, E), key (..., S, E), mask broadcast to (..., L, S), weights (..., L, S).
"""

from __future__ import annotations

import math
from typing import Any

from minigrad.backend import Array, np
from minigrad.kernels.products import write_product
from minigrad.kernels.sums import total
from minigrad.kernels.threads import over

COST = 32  # of a weight's exponential, beside its product, in multiplications


def weights(query: Array, key: Array, mask: Array | None, scale: float, xp: Any) -> Array:
    """The weights; a mask of truth values leaves out what is False, and rows in which everything is left out are 0."""
    front = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    out = xp.empty((*front, query.shape[-2], key.shape[-2]), query.dtype)

    def work(start: int, stop: int) -> None:
        part = mask if mask is None or mask.ndim < out.ndim or len(mask) == 1 else mask[start:stop]
        _weights(query[start:stop], key[start:stop], part, scale, out[start:stop], xp)

    if _is_split(query, key):
        over(len(out), work, (query.shape[-1] + COST) * out.size)
    else:
        _weights(query, key, mask, scale, out, xp)
    return out


def _weights(query: Array, key: Array, mask: Array | None, scale: float, out: Array, xp: Any) -> None:
    share = math.sqrt(abs(scale))  # half of the scale to each, so that float16 overflows later
    write_product(query * math.copysign(share, scale), xp.swapaxes(key * share, -1, -2), out)
    if mask is not None:
        out += xp.where(mask, 0.0, -math.inf).astype(out.dtype) if mask.dtype.kind == "b" else mask
    if not out.size:
        return
    largest = out.max(axis=-1, keepdims=True)
    out -= xp.where(largest == -math.inf, 0, largest)
    xp.exp(out, out=out)
    sums = total(out, (out.ndim - 1,), True)
    out /= xp.where(sums == 0, 1, sums)


def slopes(g: Array, out: Array, query: Array, key: Array, scale: float, xp: Any) -> tuple[Array, Array, Array]:
    """The gradients of query, key and mask, before they are summed over what was broadcast."""
    share = math.sqrt(abs(scale))
    signed = math.copysign(share, scale)
    of_scores = xp.empty_like(out)
    of_query = xp.empty((*out.shape[:-1], query.shape[-1]), out.dtype)
    of_key = xp.empty((*out.shape[:-2], out.shape[-1], key.shape[-1]), out.dtype)

    def work(part: slice) -> None:
        scores, weights = of_scores[part], out[part]
        xp.multiply(g[part], weights, out=scores)
        xp.subtract(g[part], total(scores, (out.ndim - 1,), True), out=scores)
        scores *= weights
        write_product(scores, key[part] * share, of_query[part])
        write_product(xp.swapaxes(scores, -2, -1), query[part] * signed, of_key[part])
        of_query[part] *= signed
        of_key[part] *= share

    if _is_split(query, key):
        over(len(out), lambda start, stop: work(slice(start, stop)), (2 * query.shape[-1] + COST) * out.size)
    else:
        work(slice(None))
    return of_query, of_key, of_scores


def _is_split(query: Array, key: Array) -> bool:
    return type(query) is np.ndarray and query.ndim > 2 and query.shape[:-2] == key.shape[:-2]
