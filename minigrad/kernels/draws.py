"""Random numbers in place, on raw arrays: what torch's `uniform_`, `normal_` and their like leave in a CPU tensor.

Every function takes the engine (an `MT19937` or a `Philox`; a `minigrad.random.Generator` is one of them), fills `out`
and returns it. A new array is `uniform_(engine, np.empty(shape, dtype))`. From an `MT19937` equal to torch 2.13 to the
bit, float32 `normal_` included, on processors with fused multiply-add; elsewhere torch's own last bits differ.

`out` may be strided: torch fills it in the order of its memory, so a transposed array is filled column by column. On
the GPU, where the engine is a `Philox`, a kernel draws (`gpu.random`), the same numbers as are drawn here from such an
engine: what stands here is the specification. Without kernels `store` uploads.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

from minigrad.backend import Array, dtype_of, module_of, np
from minigrad.formats import memory_order
from minigrad.kernels.box_muller import (
    BLOCK,
    box_muller_float32,
    box_muller_float64,
    fma32,
    fma64,
    libm,
)
from minigrad.kernels.gpu import random as gpu
from minigrad.kernels.philox import Philox
from minigrad.kernels.words import Words

f16, f32, f64 = np.float16, np.float32, np.float64

C_NAMES = {
    "Half": "c10::Half", "Float": "float", "Double": "double", "Byte": "unsigned char", "Char": "signed char",
    "Short": "short int", "Int": "int", "Long": "long int", "Bool": "bool",
}  # fmt: skip


# -- into the array ---------------------------------------------------------------------------------------------------


def store(out: Array, values: np.ndarray) -> Array:
    """Write the flat NumPy array `values` into `out` in memory order, cast to its dtype; returns `out`.

    float64 goes to float16 by way of float32, as in torch, which rounds twice.
    """
    if out.dtype == f16:
        values = values.astype(f32)
    target = out.transpose(memory_order(out))
    target[...] = module_of(out).asarray(values.astype(out.dtype, copy=False).reshape(target.shape))
    return out


def refuse(kernel: str, out: Array) -> NoReturn:
    """Raise torch's NotImplementedError for a dtype the draw has no kernel for."""
    raise NotImplementedError(
        f"\"{kernel}\" not implemented for '{dtype_of(out).type_name}'\n"
        "It fills floating point tensors: use float16, float32 or float64."
    )


def is_floating(out: Array) -> bool:
    return out.dtype.kind == "f"


# -- uniform ----------------------------------------------------------------------------------------------------------


def uniform_(engine: Words, out: Array, low: float = 0.0, high: float = 1.0) -> Array:
    """x (high - low) + low with x uniform on [0, 1), multiplied and added with one rounding (`fma`).

    x is the low 24 bits of a word times 2**-24; for float64 the low 53 bits of two words times 2**-53. Where rounding
    gives `high` itself the value is `low`. The weights of a layer come from here: `uniform_(-b, b)` with b = 1 /
    sqrt(fan_in).
    """
    if not is_floating(out):
        refuse("check_uniform_bounds", out)
    name = dtype_of(out).type_name
    most = float(np.finfo(out.dtype).max)
    for which, bound in (("from", low), ("to", high)):
        if not -most <= bound <= most:
            raise RuntimeError(f"{which} is out of bounds for {C_NAMES[name]}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > most:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{name}>::max(), but found to={high:g} and from={low:g} "
            "which result in to-from to exceed the limit"
        )
    if gpu.takes(engine, out):
        exact = f64 if out.dtype == f64 else f32
        return gpu.uniform_(
            engine, out, float(exact(low)), float(exact(high) - exact(low)), float(out.dtype.type(high))
        )
    if out.dtype == f64:
        values = fma64(engine.uniform64(out.size), high - low, low)
        np.copyto(values, low, where=values == high)
    else:
        x, width = engine.uniform32(out.size), f32(high) - f32(low)
        values = (x * width if low == 0 else fma32(x, width, f32(low))).astype(out.dtype, copy=False)
        np.copyto(values, out.dtype.type(f32(low)), where=values == out.dtype.type(f32(high)))
    return store(out, values)


# -- normal -----------------------------------------------------------------------------------------------------------


def normal_(engine: Words, out: Array, mean: float = 0.0, std: float = 1.0) -> Array:
    """Normal numbers by Box and Muller's transform.

    torch has two ways. A contiguous array of 16 elements or more is drawn in blocks of 16 (see `box_muller`), where a
    rest of n % 16 is drawn together with the last numbers of the block before, again. All others are drawn in pairs;
    the second of a pair waits in `engine.spare` for the next such draw, whatever its mean, std and dtype. A `Philox`
    has one way: `Philox.normals`.
    """
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if not out.size:
        return out
    if not is_floating(out):
        refuse("normal_kernel_cpu", out)
    if isinstance(engine, Philox):
        return (
            gpu.normal_(engine, out, mean, std)
            if gpu.takes(engine, out)
            else store(out, scaled(engine, out, mean, std))
        )
    if out.size < BLOCK or not out.flags.c_contiguous:
        return store(out, fma64(pairwise_normal(engine, out.size), std, mean))
    rest = out.size % BLOCK
    # float16 is computed block by block in float32; the others draw a uniform number for every element first.
    drawn = out.size - rest if out.dtype == f16 else out.size
    values = blockwise_normal(engine, drawn, out.dtype == f64, mean, std)
    if rest:
        values = np.concatenate(
            [values[: out.size - BLOCK], blockwise_normal(engine, BLOCK, out.dtype == f64, mean, std)]
        )
    return store(out, values)


def blockwise_normal(engine: Words, n: int, double: bool, mean: float, std: float) -> np.ndarray:
    """As many whole blocks of 16 normal numbers as `n` uniform ones give; the uniform numbers left over are dropped."""
    u = engine.uniform64(n) if double else engine.uniform32(n)
    u = u[: n - n % BLOCK].reshape(-1, 2, BLOCK // 2)
    if not double:
        return box_muller_float32(u, mean, std).reshape(-1)
    halves = box_muller_float64(libm(math.log, 1 - u[:, 0]), u[:, 1])
    return fma64(np.stack(halves, axis=1).reshape(-1), std, mean)


def pairwise_normal(engine: Any, n: int) -> np.ndarray:
    """`n` standard normal numbers (float64) drawn in pairs; the first may be the one kept from the last pair."""
    kept = [] if engine.spare is None else [engine.spare]
    u = engine.uniform64((n - len(kept) + 1) // 2 * 2)
    pairs = box_muller_float64(libm(math.log1p, -u[1::2]), u[::2])
    values = np.concatenate([kept, np.stack(pairs, axis=1).reshape(-1)])
    engine.spare = float(values[n]) if len(values) > n else None
    return values[:n]


def scaled(engine: Philox, out: Array, mean: float, std: float) -> np.ndarray:
    """Normal numbers for all of `out`, in float64 if it is, else in float32."""
    drawn = engine.normals(out.size, out.dtype)
    return fma64(drawn, std, mean) if out.dtype == f64 else fma32(drawn, f32(std), f32(mean))


def log_normal_(engine: Words, out: Array, mean: float = 1.0, std: float = 2.0) -> Array:
    """exp(x) with x normal, drawn in pairs."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    if not out.size:
        return out
    if not is_floating(out):
        refuse("log_normal_cpu", out)
    if isinstance(engine, Philox):
        if gpu.takes(engine, out):
            return gpu.normal_(engine, out, mean, std, exp=True)
        return store(out, np.exp(scaled(engine, out, mean, std)))
    return store(out, libm(math.exp, fma64(pairwise_normal(engine, out.size), std, mean)))


# -- from one uniform number each -------------------------------------------------------------------------------------


def exponential_(engine: Words, out: Array, lambd: float = 1.0) -> Array:
    """-log(1 - x) / lambd."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    if not out.size:
        return out
    if not is_floating(out):
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {dtype_of(out).type_name}"
        )
    if gpu.takes(engine, out):
        return gpu.exponential_(engine, out, lambd)
    return store(out, -1.0 / lambd * libm(math.log1p, -engine.uniform64(out.size)))


def cauchy_(engine: Words, out: Array, median: float = 0.0, sigma: float = 1.0) -> Array:
    """median + sigma tan(pi (x - 1/2))."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    if not is_floating(out):
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {C_NAMES[dtype_of(out).type_name]}"
        )
    if gpu.takes(engine, out):
        return gpu.cauchy_(engine, out, median, sigma)
    tangent = libm(math.tan, math.pi * (engine.uniform64(out.size) - 0.5))
    return store(out, fma64(tangent, sigma, median))


def geometric_(engine: Words, out: Array, p: float) -> Array:
    """ceil(log(x) / log(1 - p)): the number of the first success among trials that succeed with probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if not out.size:
        return out
    if out.dtype.kind == "b":
        refuse("geometric_cpu", out)
    if gpu.takes(engine, out):
        return gpu.geometric_(engine, out, p)
    return store(out, np.ceil(libm(math.log, engine.uniform64(out.size)) / math.log1p(-p)))
