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


# What torch says of integers, and of two dtypes, depends on the kernel that it chooses for dilation and for empty
# batches.
ONE_KERNEL = {"dtypes": "tested on samples for which torch has one kernel"}
NO_HALF = {
    "half": "torch's half precision convolutions on the CPU now and then end the process with a segmentation fault"
}

CASES = [
    *(Case(f"{F}conv{n}d", convolution(n), tolerance=SUMS, skip=ONE_KERNEL | NO_HALF) for n in (1, 2, 3)),
    *(
        Case(f"{F}conv{n}d", convolution(n, dilated=False), "not dilated", tolerance=SUMS, skip=NO_HALF)
        for n in (1, 2, 3)
    ),
    Case(F + "conv2d", convolution(2, padding_names=True), "padding name", tolerance=SUMS, skip=ONE_KERNEL | NO_HALF),
]
