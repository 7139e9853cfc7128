"""Max and average pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference.case import SUMS, Case, Fixed, Sample
from reference.strategies import Draw

F = "nn.functional."


def windows(d: Draw, n: int, dilated: bool = False) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The sizes of an input, and the windows of a pooling that fit it."""
    kernel = [d.size(1, 3) for _ in range(n)]
    padding = [d.size(0, k // 2) for k in kernel]
    dilation = [d.size(1, 2) if dilated else 1 for _ in range(n)]
    # Not smaller than the dilation: torch writes outside its memory where a window misses the input altogether.
    sizes = [max(g, g * (k - 1) + 1 - 2 * p) + d.size(0, 3) for k, p, g in zip(kernel, padding, dilation)]
    how = {"kernel_size": tuple(kernel), "padding": tuple(padding), "ceil_mode": d.flag()}
    how |= {"dilation": tuple(dilation)} if dilated else {}
    if d.flag():
        how["stride"] = tuple(d.size(1, 3) for _ in range(n))
    return (*((d.size(0, 2),) if d.flag() else ()), d.size(1, 2), *sizes), how


def maxima(n: int, dilated: bool = False, **options: Any) -> Callable[[Draw], Sample]:
    def draw(d: Draw) -> Sample:
        shape, how = windows(d, n, dilated)
        return Sample(d.floats(shape, ties=True), **how, **options)

    return draw


def averages(n: int) -> Callable[[Draw], Sample]:
    def draw(d: Draw) -> Sample:
        shape, how = windows(d, n)
        if n == 3:  # for which torch has no window larger than the input without padding
            shape = shape[:-3] + tuple(max(pair) for pair in zip(shape[-3:], how["kernel_size"]))
        how["count_include_pad"] = d.flag()
        if n > 1:
            how["divisor_override"] = d.one_of(None, 3)
        return Sample(d.floats(shape), **how)

    return draw


def adaptive(n: int) -> Callable[[Draw], Sample]:
    def draw(d: Draw) -> Sample:
        shape = (*((d.size(1, 2),) if d.flag() else ()), d.size(1, 2), *(d.size(1, 5) for _ in range(n)))
        return Sample(d.floats(shape), tuple(d.size(1, 4) for _ in range(n)))

    return draw


def adaptive_maxima(n: int) -> Callable[[Draw], Sample]:
    """Sizes that windows cover evenly, or with overlaps."""

    def draw(d: Draw) -> Sample:
        batch = (d.size(0, 2),) if d.flag() else ()
        shape = (*batch, d.size(1, 2), *(d.size(1, 5) for _ in range(n)))
        wanted = tuple(d.size(1, 4) for _ in range(n))
        return Sample(d.floats(shape, ties=True), wanted, return_indices=d.flag())

    return draw


def fractional(n: int) -> Callable[[Draw], Sample]:
    """Windows where random samples say, or torch's stream of random numbers."""

    def draw(d: Draw) -> Sample:
        kernel, wanted = [d.size(1, 3) for _ in range(n)], [d.size(1, 3) for _ in range(n)]
        sizes = [k + w - 1 + d.size(1, 3) for k, w in zip(kernel, wanted)]
        shape = (*((d.size(1, 2),) if d.flag() else ()), d.size(1, 2), *sizes)
        how = (
            {"output_size": tuple(wanted)}
            if d.flag()
            else {"output_ratio": tuple(w / m for w, m in zip(wanted, sizes))}
        )
        samples = Fixed(d.floats((2, shape[-n - 1], n), 0, 0.99))
        return Sample(
            d.floats(shape, ties=True), tuple(kernel), **how, return_indices=d.flag(), _random_samples=samples
        )

    return draw


def norms(n: int) -> Callable[[Draw], Sample]:
    """Without a window that ceil_mode cuts to nothing: see the average's kinks at 0."""

    def draw(d: Draw) -> Sample:
        kernel = tuple(d.size(1, 3) for _ in range(n))
        shape = (*((d.size(1, 2),) if d.flag() else ()), d.size(1, 2), *(k + d.size(0, 3) for k in kernel))
        how = {"stride": tuple(d.size(1, 3) for _ in range(n))} if d.flag() else {}
        return Sample(
            d.floats(shape, 0.5, 3), d.one_of(2, 1, 3.5, math.inf, -math.inf), kernel if n > 1 else kernel[0],
            ceil_mode=d.flag(), **how,
        )  # fmt: skip

    return draw


def put_back(n: int) -> Callable[[Draw], Sample]:
    """max_unpool with different places, as a pooling without overlaps gives them."""

    def draw(d: Draw) -> Sample:
        kernel, windows = [d.size(1, 3) for _ in range(n)], [d.size(1, 3) for _ in range(n)]
        shape = (*((d.size(1, 2),) if d.flag() else ()), d.size(1, 2), *windows)
        how: dict[str, Any] = {}
        sizes = [w * k for w, k in zip(windows, kernel)]
        if d.flag():
            sizes = [d.size(max(w, size - k + 1), size + k - 1) for w, size, k in zip(windows, sizes, kernel)]
            how["output_size"] = tuple(sizes)
        rng = d.rng()
        planes, plane = math.prod(shape[:-n]), math.prod(sizes)
        places = np.array([rng.permutation(plane)[: math.prod(windows)] for _ in range(planes)], np.int64)
        return Sample(d.floats(shape), places.reshape(shape), tuple(kernel), **how)

    return draw


# Places of maxima are tested for every dtype with return_indices; without it torch's max_pool1d takes no integers.
NO_INTEGERS = {"dtypes": "torch has another kernel, without integers, where no indices are asked for"}
OUTSIDE = {"verdict": "where a spoilt window misses the input altogether, torch writes outside its memory"}
UNCHECKED = {"verdict": "torch reads outside its memory for kernels of size 0 and less"}
NOWHERE = {"verdict": "an output without elements takes any index in torch"}
NO_HALF = {"dtypes": "torch has no half precision for this one on the CPU"}

CASES = [
    *(Case(f"{F}max_pool{n}d", maxima(n), skip=NO_INTEGERS if n == 1 else {}) for n in (1, 2, 3)),
    *(Case(f"{F}max_pool{n}d", maxima(n, return_indices=True), "return_indices") for n in (1, 2, 3)),
    *(
        Case(f"{F}max_pool{n}d", maxima(n, dilated=True, return_indices=True), "dilation", skip=OUTSIDE)
        for n in (1, 2, 3)
    ),
    *(Case(f"{F}avg_pool{n}d", averages(n), tolerance=SUMS, skip=NO_HALF if n == 3 else {}) for n in (1, 2, 3)),
    *(Case(f"{F}adaptive_avg_pool{n}d", adaptive(n), tolerance=SUMS) for n in (1, 2, 3)),
    *(Case(f"{F}adaptive_max_pool{n}d", adaptive_maxima(n)) for n in (1, 2, 3)),
    *(Case(f"{F}fractional_max_pool{n}d", fractional(n), skip=UNCHECKED) for n in (2, 3)),
    *(Case(f"{F}max_pool{n}d_with_indices", maxima(n)) for n in (1, 2, 3)),
    *(Case(f"{F}adaptive_max_pool{n}d_with_indices", adaptive_maxima(n)) for n in (1, 2, 3)),
    *(Case(f"{F}fractional_max_pool{n}d_with_indices", fractional(n), skip=UNCHECKED) for n in (2, 3)),
    *(Case(f"{F}lp_pool{n}d", norms(n), tolerance=SUMS, skip=NO_INTEGERS if n == 1 else {}) for n in (1, 2, 3)),
    *(Case(f"{F}max_unpool{n}d", put_back(n), skip=NOWHERE) for n in (1, 2, 3)),
]
