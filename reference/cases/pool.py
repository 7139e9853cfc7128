"""Max and average pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference.case import SUMS, Case, Sample
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


# Places of maxima are tested for every dtype with return_indices; without it torch's max_pool1d takes no integers.
NO_INTEGERS = {"dtypes": "torch has another kernel, without integers, where no indices are asked for"}
OUTSIDE = {"verdict": "where a spoilt window misses the input altogether, torch writes outside its memory"}
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
]
