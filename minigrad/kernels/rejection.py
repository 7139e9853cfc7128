"""Random numbers drawn one by one, each trying until it accepts: gamma, Dirichlet, Poisson and binomial.

The conventions are those of `draws`: the engine first, elements in the order of `parameter`'s values, torch's stream.
How many numbers of the stream an element takes depends on those it gets, so these are loops in Python on the CPU, some
ten microseconds an element; arrays of the GPU are fetched for it. Sources: Marsaglia and Tsang 2000 (gamma), Hörmann
1993 (PTRS and BTRS), Knuth (Poisson).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minigrad.backend import Array, module_of, np, to_numpy
from minigrad.kernels.draws import pairwise_normal
from minigrad.kernels.words import Words


def _each(draw: Callable[..., float], engine: Words, *parameters: Array) -> np.ndarray:
    """`draw(engine, *numbers)` for each element of arrays of one shape, in float64."""
    arrays = [to_numpy(p).astype(np.float64) for p in parameters]
    numbers = zip(*(a.reshape(-1).tolist() for a in arrays))
    return np.array([draw(engine, *n) for n in numbers], np.float64).reshape(arrays[0].shape)


def _like(values: np.ndarray, parameter: Array) -> Array:
    return module_of(parameter).asarray(values.astype(parameter.dtype))


def _uniform(engine: Words) -> float:
    return float(engine.uniform64(1)[0])


# -- gamma ------------------------------------------------------------------------------------------------------------

THIRD = float(np.float32(1 / 3))  # torch's, of that precision in float64 too


def standard_gamma(engine: Words, alpha: Array) -> Array:
    """Numbers of density x**(alpha - 1) exp(-x) / gamma(alpha), at least the smallest normal number."""
    least = np.finfo(alpha.dtype).tiny
    draw = _gamma if alpha.dtype == np.float64 else _gamma_of_float32
    return _like(np.maximum(_each(draw, engine, alpha), least), alpha)


def dirichlet(engine: Words, alpha: Array) -> Array:
    """Points of the simplex, (..., k): gamma numbers divided by their sum, between tiny and 1 - eps / 2."""
    gammas = _each(_gamma, engine, alpha)
    limits = np.finfo(alpha.dtype)
    return _like(np.clip(gammas / gammas.sum(-1, keepdims=True), limits.tiny, 1 - limits.epsneg), alpha)


def _gamma(engine: Words, alpha: float, rounded: Callable[[float], float] = float) -> float:
    scale = 1.0
    if alpha < 1:  # gamma(a) is gamma(a + 1) times a power of a uniform number
        if alpha == 0:
            return 0.0
        scale = (1 - _uniform(engine)) ** rounded(1 / alpha)
        alpha = rounded(alpha + 1)
    d = rounded(alpha - THIRD)
    c = 1 / math.sqrt(9 * d)
    while True:
        y = 0.0
        while y <= 0:
            x = float(pairwise_normal(engine, 1)[0])
            y = 1 + c * x
        v, u = y * y * y, 1 - _uniform(engine)
        if u < 1 - 0.0331 * x**4 or math.log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return scale * d * v


def _gamma_of_float32(engine: Words, alpha: float) -> float:
    """torch computes with a float32 parameter in float32."""
    return _gamma(engine, alpha, lambda number: float(np.float32(number)))


# -- counts -----------------------------------------------------------------------------------------------------------


def poisson(engine: Words, rate: Array) -> Array:
    """Counts of mean `rate`, in its dtype. Error: RuntimeError for a negative rate."""
    if not (rate >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return _like(_each(_poisson, engine, rate), rate)


def _poisson(engine: Words, rate: float) -> float:
    if rate == 0:
        return 0
    if rate >= 10:
        return _transformed_rejection(engine, rate)
    count, product, least = 0, 1.0, math.exp(-rate)
    while True:  # uniform numbers are multiplied until the product is as small as exp(-rate)
        product *= _uniform(engine)
        if product <= least:
            return count
        count += 1


def _transformed_rejection(engine: Words, rate: float) -> float:
    """PTRS, with the constants of Hörmann's paper."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = _uniform(engine) - 0.5, _uniform(engine)
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= squeeze:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        if math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b) <= (
            -rate + k * math.log(rate) - math.lgamma(k + 1)
        ):
            return k


def binomial(engine: Words, count: Array, prob: Array) -> Array:
    """How many of `count` trials succeed with probability `prob`, in its dtype."""
    return _like(_each(_binomial, engine, count, prob), prob)


def _binomial(engine: Words, count: float, prob: float) -> float:
    if count <= 0 or prob <= 0:
        return 0
    if prob >= 1:
        return count
    if prob > 0.5:
        return count - _binomial_below_half(engine, count, 1 - prob)
    return _binomial_below_half(engine, count, prob) if prob <= 0.5 else math.nan


def _binomial_below_half(engine: Words, count: float, prob: float) -> float:
    if count * prob >= 10:
        return _binomial_rejection(engine, count, prob)
    waited, successes = 0.0, 0
    while True:  # the trials until a success are geometric
        u = _uniform(engine)
        waited += math.ceil(math.log(u) / math.log1p(-prob)) if u else math.inf
        if waited > count:
            return successes
        successes += 1


STIRLING = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _stirling_tail(k: float) -> float:
    """log k! less Stirling's formula."""
    if k <= 9:
        return STIRLING[int(k)]
    square = (k + 1) ** 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _binomial_rejection(engine: Words, count: float, prob: float) -> float:
    """BTRS, with the constants of Hörmann's paper."""
    deviation = math.sqrt(count * prob * (1 - prob))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    c = count * prob + 0.5
    squeeze = 0.92 - 4.2 / b
    odds = prob / (1 - prob)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((count + 1) * prob)
    while True:
        u, v = _uniform(engine) - 0.5, _uniform(engine)
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + c)
        if k < 0 or k > count:
            continue
        if us >= 0.07 and v <= squeeze:
            return k
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + _stirling_tail(mode)
            + _stirling_tail(count - mode)
            - _stirling_tail(k)
            - _stirling_tail(count - k)
        )
        if math.log(v * alpha / (a / (us * us) + b)) <= bound:
            return k
