"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reference.case import SUMS, Case, Sample
from reference.strategies import Draw

F = "nn.functional."


def convolution(n: int, padding_names: bool = False, dilated: bool = True) -> Callable[[Draw], Sample]:
    """conv{n}d(x, weight, bias, ...) with kernels, strides, paddings, dilations and groups that fit the input."""

    def draw(d: Draw) -> Sample:
        groups = d.one_of(1, 1, 2)
        channels, outputs = groups * d.size(1, 2), groups * d.size(1, 2)
        kernel = [d.size(1, 3 if n < 3 else 2) for _ in range(n)]
        dilation = [d.size(1, 2) if dilated else 1 for _ in range(n)]
        padding = [d.size(0, 2) for _ in range(n)]
        spans = [g * (k - 1) + 1 for g, k in zip(dilation, kernel)]
        sizes = [max(1, s - 2 * p) + d.size(0, 3 if n < 3 else 1) for s, p in zip(spans, padding)]
        batch = (d.size(0 if dilated else 1, 2),) if d.size(0, 4) else ()  # one in five without a batch dimension
        x = d.floats((*batch, channels, *sizes))
        weight = d.floats((outputs, channels // groups, *kernel))
        bias = d.floats((outputs,)) if d.flag() else None
        if padding_names:
            name = d.one_of("same", "valid")
            if name == "valid":
                x = np.pad(x, [(0, 0)] * (x.ndim - n) + [(0, s) for s in spans])
            return Sample(x, weight, bias, padding=name, dilation=tuple(dilation), groups=groups)
        stride = [d.size(1, 3) for _ in range(n)]
        same = len({*stride}) == len({*padding}) == len({*dilation}) == 1  # a number will do
        pick = (lambda v: v[0]) if same and d.flag() else tuple
        return Sample(x, weight, bias, pick(stride), pick(padding), pick(dilation), groups)

    return draw


def transposed(n: int) -> Callable[[Draw], Sample]:
    """conv_transpose{n}d(x, weight, bias, ...), output padding reaching a stride where dilation allows."""

    def draw(d: Draw) -> Sample:
        groups = d.one_of(1, 1, 2)
        channels, outputs = groups * d.size(1, 2), d.size(1, 2)
        kernel = [d.size(1, 3 if n < 3 else 2) for _ in range(n)]
        dilation, stride = ([d.size(1, 3) for _ in range(n)] for _ in range(2))
        output_padding = [d.size(0, max(pair) - 1) for pair in zip(dilation, stride)]
        windows = [d.size(1, 3) for _ in range(n)]
        sizes = [(o - 1) * s + g * (k - 1) + 1 for o, s, g, k in zip(windows, stride, dilation, kernel)]
        padding = [d.size(0, min(2, (size - 1) // 2)) for size in sizes]
        batch = (d.size(1, 2),) if d.size(0, 4) else ()
        x, weight = d.floats((*batch, channels, *windows)), d.floats((channels, outputs, *kernel))
        bias = d.floats((outputs * groups,)) if d.flag() else None
        return Sample(
            x, weight, bias, tuple(stride), tuple(padding), tuple(output_padding), groups, dilation=tuple(dilation)
        )

    return draw


def blocks(d: Draw) -> tuple[list[int], dict[str, tuple[int, ...]], list[int]]:
    """The sizes of an image, a window that fits, and how many blocks there are each way."""
    pairs = {
        "kernel_size": (d.size(1, 3), d.size(1, 3)),
        "dilation": (d.size(1, 2), d.size(1, 2)),
        "padding": (d.size(0, 2), d.size(0, 2)),
        "stride": (d.size(1, 3), d.size(1, 3)),
    }
    spans = [g * (k - 1) + 1 for k, g in zip(pairs["kernel_size"], pairs["dilation"])]
    sizes = [max(1, s - 2 * p) + d.size(0, 3) for s, p in zip(spans, pairs["padding"])]
    counts = [(n + 2 * p - s) // m + 1 for n, p, s, m in zip(sizes, pairs["padding"], spans, pairs["stride"])]
    return sizes, pairs, counts


def unfolding(d: Draw) -> Sample:
    sizes, how, _ = blocks(d)
    return Sample(d.floats((*((d.size(0, 2),) if d.flag() else ()), d.size(1, 2), *sizes)), **how)


def folding(d: Draw) -> Sample:
    sizes, how, (rows, columns) = blocks(d)
    block = d.size(1, 2) * how["kernel_size"][0] * how["kernel_size"][1]
    batch = (d.size(0, 2),) if d.flag() else ()
    return Sample(d.floats((*batch, block, rows * columns)), tuple(sizes), **how)


# What torch says of integers, and of two dtypes, depends on the kernel that it chooses for dilation and for empty
# batches.
ONE_KERNEL = {"dtypes": "tested on samples for which torch has one kernel"}
NO_HALF = {
    "half": "torch's half precision convolutions on the CPU now and then end the process with a segmentation fault"
}


def time_first(d: Draw) -> Sample:
    """(time, batch, channels), where the window fits."""
    k, pad, channels, out = d.size(1, 3), d.size(0, 2), d.size(1, 3), d.size(1, 3)
    x = d.floats((max(1, k - 2 * pad) + d.size(0, 3), d.size(1, 2), channels))
    return Sample(x, d.floats((k, channels, out)), d.floats((out,)), pad)


OF_CONV1D = {"layouts": "torch takes only row-major weights", "grad_fn": "it is conv1d with its dims in another order"}

CASES = [
    *(Case(f"{F}conv{n}d", convolution(n), tolerance=SUMS, skip=ONE_KERNEL | NO_HALF) for n in (1, 2, 3)),
    *(
        Case(f"{F}conv{n}d", convolution(n, dilated=False), "not dilated", tolerance=SUMS, skip=NO_HALF)
        for n in (1, 2, 3)
    ),
    Case(F + "conv2d", convolution(2, padding_names=True), "padding name", tolerance=SUMS, skip=ONE_KERNEL | NO_HALF),
    *(Case(f"{F}conv_transpose{n}d", transposed(n), tolerance=SUMS, skip=ONE_KERNEL | NO_HALF) for n in (1, 2, 3)),
    Case(F + "conv_tbc", time_first, tolerance=SUMS, skip=OF_CONV1D),
    Case(F + "unfold", unfolding),
    Case(F + "fold", folding),
]
