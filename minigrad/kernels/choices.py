"""Random integers and choices on raw arrays, torch's own: `random_`, `randperm`, `bernoulli_`, dropout, multinomial.

The conventions are those of `draws`: each function takes the engine first, fills arrays in the order of their memory,
and from an `MT19937` equals torch 2.13 bit for bit. On the GPU kernels draw, but for `randperm` and for `multinomial`
with replacement, which are drawn on the CPU from the same engine.
"""

from __future__ import annotations

import math
import warnings

from minigrad.backend import Array, dtype_of, is_gpu_array, module_of, np, to_numpy
from minigrad.formats import memory_order
from minigrad.kernels.draws import C_NAMES, exponential_, is_floating, refuse, store
from minigrad.kernels.gpu import random as gpu
from minigrad.kernels.mt19937 import shuffled
from minigrad.kernels.words import Words

MANTISSA = {"Half": 11, "Float": 24, "Double": 53}  # bits; integers up to 2 to that power are exact
WIDE = 2**28  # a range of this many numbers or more is drawn from 64 bits: the remainder of 32 would favour some


# -- integers ---------------------------------------------------------------------------------------------------------


def random_(engine: Words, out: Array, low: int | None = None, high: int | None = None) -> Array:
    """Integers of [low, high), as a remainder: low + word % (high - low). `randint(low, high)` is this on a new array.

    With `high` None, from `low` up to the largest number of the dtype (for a float, the largest before which every
    integer is exact). With neither, from 0 up to it; torch takes other words of the stream for that than for `low` = 0.

    Errors: RuntimeError for an empty range and for bounds outside the dtype; a UserWarning for inexact ones.
    """
    name = dtype_of(out).type_name
    top = 2 ** MANTISSA[name] if is_floating(out) else 1 if name == "Bool" else int(np.iinfo(out.dtype).max)
    if low is None:
        return _remainders(engine, out, 0, top + 1, out.dtype.itemsize == 8)
    if not all(-(2**63) <= bound < 2**63 for bound in (low, high or 0)):
        raise ValueError("Overflow when unpacking long long")
    if high is None and low == -(2**63):
        return _all_64_bits(engine, out)
    low, width = _checked_range(out, low, high, top)
    if not out.size:
        return out
    return _remainders(engine, out, low, width, width >= WIDE)


def _remainders(engine: Words, out: Array, low: int, width: int, wide: bool) -> Array:
    """low + word % width, of words of 64 bits or of 32; a width of 2**64 takes all of them."""
    if gpu.takes(engine, out):
        return gpu.integers_(engine, out, low, width, wide)
    words = engine.words64(out.size) if wide else engine.words32(out.size)
    if width < 2**64:
        words = words % np.uint64(width) + np.uint64(low % 2**64)
    return store(out, words.view(np.int64))


def _all_64_bits(engine: Words, out: Array) -> Array:
    name = dtype_of(out).type_name
    if name in ("Half", "Bool"):
        refuse("random_full_64_bits_range_kernel_cpu", out)
    if name not in ("Long", "Double", "Float"):
        raise RuntimeError("random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16")
    return _remainders(engine, out, 0, 2**64, True)


def _checked_range(out: Array, low: int, high: int | None, top: int) -> tuple[int, int]:
    """(low, number of integers) of what `out` can hold of the range, or torch's errors and warnings."""
    if high is not None and low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if is_floating(out):
        low, high = _narrowed(out, low, high)
        if high is not None and low >= high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
                f"from={low} >= to={high}"
            )
        if high is None and low >= top:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got "
                f"from={low} > to_inc={top}"
            )
    last = top if high is None else high - 1
    _check_bounds(out, low, last, top)
    return low, last - low + 1


def _narrowed(out: Array, low: int, high: int | None) -> tuple[int, int | None]:
    """The range moved inwards where a float dtype would round its first or last integer out of it."""
    bits = MANTISSA[dtype_of(out).type_name]
    first = _rounded(low + 1, out)
    if math.isfinite(first) and first < low:
        low = int(first) + 2 ** (abs(low + 1).bit_length() - bits)
    if high is not None:
        last = _rounded(high - 1, out)
        if math.isfinite(last) and last >= high:
            high = int(last) - 2 ** (abs(high - 1).bit_length() - bits)
    return low, high


def _rounded(number: int, out: Array) -> float:
    with np.errstate(over="ignore"):
        return float(np.array(number, np.int64).astype(out.dtype))


def _check_bounds(out: Array, low: int, last: int, top: int) -> None:
    """torch's errors for bounds that the dtype cannot hold, and its warnings for those it holds inexactly."""
    name = dtype_of(out).type_name
    if is_floating(out):
        most: float = float(np.finfo(out.dtype).max)
        least = -most
    else:
        most, least = top, 0 if name == "Bool" else int(np.iinfo(out.dtype).min)
    for which, bound in (("from", low), ("to - 1", last)):
        if not least <= bound <= most:
            raise RuntimeError(f"{which} is out of bounds for {C_NAMES[name]}")
        if is_floating(out) and abs(bound) > top:
            bits = MANTISSA[name]
            warnings.warn(
                f"{which} is out of bounds [-(2^{bits}), 2^{bits}]. Due to precision limitations {C_NAMES[name]} can "
                "support discrete uniform distribution only within this range. This warning will become an error in "
                "version 1.7 release, please fix the code in advance",
                stacklevel=4,
            )


def draw_seed(engine: Words) -> int:
    """The int that `torch.empty((), dtype=torch.int64).random_(generator=...).item()` gives: 63 bits.

    A DataLoader's iterator draws one, its base seed for workers, from the loader's generator when it is made, with or
    without shuffling. With `shuffle=True` and no generator given, its RandomSampler then draws a second one from the
    default generator, when the first index is asked for, and seeds a generator of its own, from which the `randperm`
    comes. With a generator given, `randperm` takes that one itself. Either way the sampler draws one more `randperm`
    when the first is used up, to take n % n = 0 indices from: of the given generator, this is seen by what is drawn
    next.
    """
    return int(engine.words64(1)[0]) % 2**63


# -- permutations -----------------------------------------------------------------------------------------------------


def randperm(engine: Words, n: int, dtype: np.dtype | type = np.int64) -> np.ndarray:
    """The integers 0 ... n-1 in random order, as a new array: Fisher and Yates, one 32-bit word a place.

    Errors: RuntimeError for a negative n, or one that the dtype cannot count to exactly. torch has another algorithm
    from n = 214,748,364 on (two words a place), which minigrad has not: NotImplementedError.
    """
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    out = np.empty(n, dtype)
    name = dtype_of(out).type_name
    if name == "Bool":
        raise NotImplementedError("\"randperm\" not implemented for 'Bool'")
    if is_floating(out):
        if n > 2 ** MANTISSA[name] + 1:
            limit = "2049" if name == "Half" else f"2^{MANTISSA[name]}+1"
            raise RuntimeError(f"n cannot be greater than {limit} for {name} type.")
    elif n - 1 > np.iinfo(out.dtype).max:
        raise RuntimeError(f"value cannot be converted to type {out.dtype}_t without overflow")
    if n >= 2**32 // 20:
        raise NotImplementedError(f"randperm: n = {n} is too large, it must be less than {2**32 // 20}")
    return store(out, shuffled(engine.words32(n - 1))) if n else out


# -- bernoulli and dropout --------------------------------------------------------------------------------------------


def bernoulli_(engine: Words, out: Array, p: float | Array = 0.5) -> Array:
    """1 with probability `p`, else 0: x < p, with x of 53 bits where `p` is a number or a float64 array, else of 24. (A
    `Philox` gives 32 bits for a number.)

    An array `p` is broadcast to `out`. Errors: RuntimeError for p outside [0, 1] or of a shape that does not broadcast,
    NotImplementedError for an integer array. On the GPU the values of an array are not looked at.
    """
    if isinstance(p, (int, float)):
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        return gpu.bernoulli_(engine, out, p) if gpu.takes(engine, out) else store(out, engine.chances(out.size, p))
    if not out.size:
        return out
    if not is_floating(p):
        refuse("bernoulli_tensor_cpu_p_", p)
    on_gpu = gpu.takes(engine, out) and is_gpu_array(p)
    try:
        chances = module_of(p).broadcast_to(p, out.shape)
    except ValueError:
        raise RuntimeError(
            f"bernoulli_: the probabilities' shape {list(p.shape)} cannot be expanded to the tensor's {list(out.shape)}"
        ) from None
    if on_gpu:
        return gpu.bernoulli_each(engine, out, chances)
    chances = to_numpy(chances)
    if not ((chances >= 0) & (chances <= 1)).all():
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false.\n"
            "bernoulli: every probability must be in [0, 1]."
        )
    x = engine.uniform64(out.size) if p.dtype == np.float64 else engine.uniform32(out.size)
    return store(out, x < chances.transpose(memory_order(out)).reshape(-1))


def dropout_noise(engine: Words, input: Array, p: float) -> Array:
    """What `F.dropout(input, p, training=True)` multiplies `input` by: 0 with probability p, else 1 / (1 - p).

    Of the input's shape, dtype and strides. Nothing is drawn for p = 0 and p = 1, nor for an empty input. For the noise
    of whole channels (Dropout2d), give an array of shape (N, C, 1, 1).
    """
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    noise = module_of(input).empty_like(input)
    if p in (0, 1):
        noise[...] = 1 - p
        return noise
    if not is_floating(input):
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {dtype_of(input).type_name}\n"
            "dropout scales what it keeps: give it a floating point tensor."
        )
    noise = bernoulli_(engine, noise, 1 - p)
    noise *= dropout_scale(input, p)
    return noise


def dropout_scale(input: Array, p: float) -> float:
    """1 / (1 - p); for float16 divided in float32 and rounded once, as torch does."""
    return 1 / (1 - p) if input.dtype == np.float64 else float(input.dtype.type(np.float32(1) / np.float32(1 - p)))


# -- multinomial ------------------------------------------------------------------------------------------------------


def multinomial(engine: Words, p: Array, num_samples: int, replacement: bool = False) -> Array:
    """Indices drawn with probabilities proportional to `p`, shape (k,) or (rows, k): int64, `num_samples` a row.

    Without replacement (or for one sample) the indices of the largest p / q, with q exponential: the largest is a
    multinomial draw, and so is each next one among the rest. With replacement, where a uniform number falls in the
    cumulative sum. Equal to torch's but for the order of ties among indices of probability 0.

    Errors: RuntimeError for a wrong number of dims, a dtype that is not floating, negative, infinite, nan or all-zero
    probabilities, and too many samples.
    """
    if not 1 <= p.ndim <= 2:
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not is_floating(p):
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {dtype_of(p).type_name}")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > p.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    shape = p.shape[:-1] + (num_samples,)
    xp = module_of(p)
    if 0 in shape:
        return xp.empty(shape, np.int64)
    if replacement and num_samples > 1:
        return xp.asarray(_with_replacement(engine, to_numpy(p), num_samples))
    return xp.asarray(_without_replacement(engine, p if gpu.takes(engine, p) else to_numpy(p), num_samples))


def _refuse_zero_rows(weights: Array) -> None:
    if (weights.sum(-1) == 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


def _without_replacement(engine: Words, weights: Array, k: int) -> Array:
    xp = module_of(weights)
    if not weights.size:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    if not (xp.isfinite(weights).all() and weights.min() >= 0):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    _refuse_zero_rows(weights)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scores = weights / exponential_(engine, xp.empty_like(weights))
    if k == 1:
        return scores.argmax(-1)[..., None]
    return xp.argsort(-scores, axis=-1, kind="stable")[..., :k]


def _with_replacement(engine: Words, weights: np.ndarray, k: int) -> np.ndarray:
    if not (weights >= 0).all():
        raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
    if not np.isfinite(weights).all():
        raise RuntimeError("invalid multinomial distribution (encountering probability entry = infinity or NaN)")
    _refuse_zero_rows(weights)
    # Summed from left to right in the dtype, float16 in float32; the search compares in float64.
    total = np.cumsum(weights, axis=-1, dtype=np.promote_types(weights.dtype, np.float32))
    total /= total[..., -1:].copy()
    total[..., -1] = 1
    rows = total.reshape(-1, total.shape[-1])
    x = engine.uniform64(len(rows) * k).reshape(-1, k)
    found = np.stack([np.searchsorted(row, u) for row, u in zip(rows.astype(np.float64), x)])
    return found.reshape(weights.shape[:-1] + (k,))
