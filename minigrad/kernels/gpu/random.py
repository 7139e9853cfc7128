"""Random numbers made on the GPU, one kernel a draw: what `kernels.draws` and `kernels.choices` would give for the same
generator, in the order of the array's memory.

Here arguments are right already. An array that is not dense, or of a dtype that a kernel does not write, is drawn into
a new one and copied. Nothing waits and nothing is uploaded, so a recording may draw.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from minigrad.backend import Array, module_of, np
from minigrad.formats import memory_order
from minigrad.kernels.gpu import launch as launching
from minigrad.kernels.gpu.launch import THREADS, flat, launch
from minigrad.kernels.philox import Philox, Place, Recorded, limit, signed
from minigrad.kernels.words import Words

f16, f32, f64 = (np.dtype(name) for name in ("float16", "float32", "float64"))
ANY = "?bBhilqefd"


def takes(engine: Words, out: Array) -> bool:
    """Whether `out` is filled here: it is on the GPU and has elements, and the engine is Philox."""
    return isinstance(engine, Philox) and launching.takes(out, dtypes=ANY)


def _fill(kernel: str, engine: Any, out: Array, made: np.dtype, per: int, *numbers: Any) -> Array:
    """Fill `out` by a kernel that writes the dtype `made` and takes `per` words an element."""
    xp, laid = module_of(out), out.transpose(memory_order(out))
    direct = laid.dtype == made and laid.flags.c_contiguous
    to = laid if direct else xp.empty(laid.shape, made)
    _launch(kernel, to, -(-to.size * per // 4), to, to.size, *numbers, *engine.take(to.size * per))
    if not direct:
        laid[...] = to
    return out


def _launch(kernel: str, like: Array, counters: int, *args: Any) -> None:
    launch("random", kernel, like, -(-counters // THREADS), *args)


def _real(out: Array) -> np.dtype:
    """What a kernel writes for `out`: float16 is rounded from float32, integers come from float64."""
    return f32 if out.dtype in (f16, f32) else f64


def uniform_(engine: Words, out: Array, low: float, width: float, high: float) -> Array:
    """x * width + low with x uniform on [0, 1), and `low` where that is `high`."""
    made = _real(out)
    _fill("uniform", engine, out, made, made.itemsize // 4, low, width, high)
    if out.dtype == f16:
        out[...] = module_of(out).where(out == high, out.dtype.type(low), out)
    return out


def normal_(engine: Words, out: Array, mean: float, std: float, exp: bool = False) -> Array:
    """Normal numbers, or `exp` of them."""
    made = _real(out)
    return _fill("normal", engine, out, made, made.itemsize // 4, float(mean), float(std), exp)


def exponential_(engine: Words, out: Array, lambd: float) -> Array:
    """-log(1 - x) / lambd, from 53 bits."""
    return _fill("exponential", engine, out, _real(out), 2, -1.0 / lambd)


def cauchy_(engine: Words, out: Array, median: float, sigma: float) -> Array:
    """median + sigma tan(pi (x - 1/2)), from 53 bits."""
    return _fill("cauchy", engine, out, _real(out), 2, float(median), float(sigma))


def geometric_(engine: Words, out: Array, p: float) -> Array:
    """ceil(log(x) / log(1 - p)), from 53 bits."""
    return _fill("geometric", engine, out, _real(out), 2, math.log1p(-p))


def integers_(engine: Words, out: Array, low: int, width: int, wide: bool) -> Array:
    """low + word % width, of words of 64 bits or of 32."""
    made = np.dtype(np.int64)
    return _fill("integers", engine, out, made, 2 if wide else 1, signed(low % 2**64), signed(width % 2**64), wide)


def bernoulli_(engine: Words, out: Array, p: float) -> Array:
    """1 with probability `p`, else 0."""
    if out.dtype in (f32, f64):
        return _fill("bernoulli", engine, out, out.dtype, 1, limit(p))
    return _fill("truth", engine, out, np.dtype(bool), 1, limit(p))


def bernoulli_each(engine: Any, out: Array, chances: Array) -> Array:
    """1 with the probability that `chances`, of the shape of `out`, has there; those outside [0, 1] are not noticed."""
    xp, order = module_of(out), memory_order(out)
    p = xp.ascontiguousarray(chances.transpose(order), dtype=_real(chances))
    drawn = xp.empty(p.shape, bool)
    per = p.itemsize // 4
    _launch("truth_each", p, -(-p.size * per // 4), p, drawn, p.size, *engine.take(p.size * per))
    out.transpose(order)[...] = drawn
    return out


# -- dropout ----------------------------------------------------------------------------------------------------------


class Noise(NamedTuple):
    """A draw of dropout's noise, from which it can be made again: all that is kept for the backward pass."""

    limit: int  # words below it keep their element
    scale: float
    order: tuple[int, ...]  # of the dims in memory
    place: Place


def noise_for(engine: Any, x: Array, p: float, scale: float) -> Noise:
    """Draw: 0 with probability `p`, else `scale`, for each element of `x`."""
    return Noise(limit(1 - p), scale, memory_order(x), engine.take(x.size))


def dropout(x: Array, noise: Noise) -> Array:
    """x * noise, float32 or float64, laid out as the array that the noise was drawn for."""
    xp = module_of(x)
    laid = flat(x.transpose(noise.order))
    out = xp.empty_like(laid)
    _launch("dropout", laid, -(-x.size // 4), laid, out, x.size, noise.limit, noise.scale, *noise.place)
    return out.transpose(tuple(sorted(range(x.ndim), key=noise.order.__getitem__)))


# -- recordings -------------------------------------------------------------------------------------------------------


def recorded(xp: Any) -> Recorded:
    """What a recording is about to draw: nothing yet."""
    return Recorded(xp.empty(2, np.uint64))


def set_state(engine: Philox, drawn: Recorded) -> None:
    """Let the launches of a recording draw the engine's next numbers, which then count as drawn."""
    place = engine.take(drawn.words)
    launch("random", "set_state", drawn.buffer, 1, drawn.buffer, place.seed, place.offset, threads=32)
